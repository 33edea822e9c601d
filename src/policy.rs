//! Which events are published, dropped or dead-lettered: the configuration's wishes as a plain function.

use crate::config::{CallPolicy, Events, UnknownPolicy};
use crate::event::{CallState, DeadLetterReason, Event, Kind};

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Publish it.
    Publish,
    /// Delete it upstream without publishing it, and count it.
    Drop(DropReason),
    /// Send it to the dead letters.
    DeadLetter(DeadLetterReason),
}

/// Why an event is dropped: the metric's label. There is no drop without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Its type is in `events.drop`.
    Type,
    /// A type this version does not know, and `events.unknown = "drop"`.
    UnknownType,
    /// `calls.publish` does not want it.
    Call,
}

impl DropReason {
    /// The metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::UnknownType => "unknown_type",
            Self::Call => "call",
        }
    }
}

/// The configured wishes.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    events: Events,
    calls: CallPolicy,
}

impl Policy {
    /// From the configuration.
    #[must_use]
    pub fn new(events: Events, calls: CallPolicy) -> Self {
        Self { events, calls }
    }

    /// The verdict on one event.
    #[must_use]
    pub fn verdict(&self, event: &Event) -> Verdict {
        if self.events.drop.iter().any(|dropped| dropped.eq_ignore_ascii_case(&event.upstream_type)) {
            return Verdict::Drop(DropReason::Type);
        }
        match &event.kind {
            Kind::Unknown => self.unknown(),
            Kind::Message(message) if !message.content.is_supported() => self.unknown(),
            Kind::Call(call) if !self.wants_call(call.state) => Verdict::Drop(DropReason::Call),
            _ => Verdict::Publish,
        }
    }

    fn unknown(&self) -> Verdict {
        match self.events.unknown {
            UnknownPolicy::Publish => Verdict::Publish,
            UnknownPolicy::Drop => Verdict::Drop(DropReason::UnknownType),
            UnknownPolicy::DeadLetter => Verdict::DeadLetter(DeadLetterReason::UnknownType),
        }
    }

    /// Seed 004's four ways. A call without a readable state counts as ringing and as an outcome: rather one too many.
    fn wants_call(&self, state: CallState) -> bool {
        match self.calls {
            CallPolicy::None => false,
            CallPolicy::Ringing => matches!(state, CallState::Ringing | CallState::Unknown),
            CallPolicy::Outcome => state != CallState::Ringing,
            CallPolicy::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::InstanceId;
    use crate::normalize::normalize;
    use serde_json::value::RawValue;

    fn event(body: &str) -> Event {
        normalize(InstanceId::new(1), RawValue::from_string(body.to_owned()).expect("JSON"))
    }

    fn call(status: &str) -> Event {
        event(&format!(r#"{{"typeWebhook":"incomingCall","status":"{status}"}}"#))
    }

    #[test]
    fn calls_are_handled_in_the_four_ways_of_seed_004() {
        for (policy, wanted) in [
            (CallPolicy::None, vec![]),
            (CallPolicy::Ringing, vec!["offer"]),
            (CallPolicy::Outcome, vec!["pickUp", "hungUp", "missed", "declined"]),
            (CallPolicy::All, vec!["offer", "pickUp", "hungUp", "missed", "declined"]),
        ] {
            let policy = Policy::new(Events::default(), policy);
            for status in ["offer", "pickUp", "hungUp", "missed", "declined"] {
                let expected =
                    if wanted.contains(&status) { Verdict::Publish } else { Verdict::Drop(DropReason::Call) };
                assert_eq!(policy.verdict(&call(status)), expected, "{policy:?} {status}");
            }
        }
    }

    #[test]
    fn unknown_types_follow_the_configuration() {
        let unknown = [
            event(r#"{"typeWebhook":"somethingNew"}"#),
            event(r#"{"typeWebhook":"incomingMessageReceived","messageData":{"typeMessage":"hologram"}}"#),
        ];
        for (policy, expected) in [
            (UnknownPolicy::Publish, Verdict::Publish),
            (UnknownPolicy::Drop, Verdict::Drop(DropReason::UnknownType)),
            (UnknownPolicy::DeadLetter, Verdict::DeadLetter(DeadLetterReason::UnknownType)),
        ] {
            let policy = Policy::new(Events { unknown: policy, ..Events::default() }, CallPolicy::All);
            for event in &unknown {
                assert_eq!(policy.verdict(event), expected);
            }
        }
    }

    #[test]
    fn types_are_dropped_by_name() {
        let policy = Policy::new(Events { drop: vec!["incomingCall".into()], ..Events::default() }, CallPolicy::All);
        assert_eq!(policy.verdict(&call("offer")), Verdict::Drop(DropReason::Type));
        assert_eq!(policy.verdict(&event(r#"{"typeWebhook":"outgoingCall"}"#)), Verdict::Publish);
    }
}
