//! Which events are published, dropped or dead-lettered, and the text for calls. Plain functions of the configuration.

use crate::config::{CallPolicy, Calls, Events, UnknownPolicy};
use chatbridge_event::event::{CallState, DeadLetterReason, Event, Kind};

mod call_summary;

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

/// Why an event is dropped: the metric's label. Every drop has a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Its type is in `events.drop`.
    Type,
    /// A type this version does not know, and `events.unknown = "drop"`.
    UnknownType,
    /// `calls.publish` excludes it.
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

/// The configured policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    events: Events,
    calls: Calls,
}

impl Policy {
    /// From the configuration.
    #[must_use]
    pub fn new(events: Events, calls: Calls) -> Self {
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

    /// Adds text that the configuration asks for beyond the notification itself. The event's id was made before and
    /// does not change, because it depends on the notification alone.
    pub fn annotate(&self, event: &mut Event) {
        if let (Kind::Call(call), Some(language)) = (&mut event.kind, self.calls.language) {
            call.summary = call_summary::summary(call, language, self.calls.publish);
        }
    }

    fn unknown(&self) -> Verdict {
        match self.events.unknown {
            UnknownPolicy::Publish => Verdict::Publish,
            UnknownPolicy::Drop => Verdict::Drop(DropReason::UnknownType),
            UnknownPolicy::DeadLetter => Verdict::DeadLetter(DeadLetterReason::UnknownType),
        }
    }

    /// A call without a readable state counts both as ringing and as an outcome: one event too many is better than one
    /// too few.
    fn wants_call(&self, state: CallState) -> bool {
        match self.calls.publish {
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
    use crate::config::Language;
    use chatbridge_event::event::InstanceId;
    use chatbridge_event::normalize::green_api::normalize;
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
            let policy = Policy::new(Events::default(), Calls { publish: policy, ..Calls::default() });
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
            let policy = Policy::new(Events { unknown: policy, ..Events::default() }, Calls::default());
            for event in &unknown {
                assert_eq!(policy.verdict(event), expected);
            }
        }
    }

    #[test]
    fn types_are_dropped_by_name() {
        let policy = Policy::new(Events { drop: vec!["incomingCall".into()], ..Events::default() }, Calls::default());
        assert_eq!(policy.verdict(&call("offer")), Verdict::Drop(DropReason::Type));
        let flat = event(r#"{"type":"incoming","typeMessage":"incomingCall","status":"missed"}"#);
        assert_eq!(policy.verdict(&flat), Verdict::Drop(DropReason::Type), "by the type it has otherwise");
        assert_eq!(policy.verdict(&event(r#"{"typeWebhook":"outgoingCall"}"#)), Verdict::Publish);
    }

    fn summaries(publish: CallPolicy, language: Option<Language>, upstream_type: &str) -> Vec<Option<&'static str>> {
        let policy = Policy::new(Events::default(), Calls { publish, language, ..Calls::default() });
        ["offer", "pickUp", "hungUp", "hangUp", "missed", "declined", "invalid"]
            .iter()
            .map(|status| {
                let mut event = event(&format!(r#"{{"typeWebhook":"{upstream_type}","status":"{status}"}}"#));
                let id = event.id;
                policy.annotate(&mut event);
                assert_eq!(event.id, id, "words take no part in the id");
                let Kind::Call(call) = event.kind else { panic!("{upstream_type} is a call") };
                call.summary
            })
            .collect()
    }

    #[test]
    fn every_state_of_a_call_has_the_words_of_seed_004() {
        use CallPolicy::{All, Outcome};
        let (missed, rejected) = (Some("Пропущенный звонок"), Some("Сброшенный звонок"));
        let (ringing, answered) = (Some("Входящий вызов"), Some("Отвеченный звонок"));
        assert_eq!(
            summaries(All, Some(Language::Ru), "incomingCall"),
            [ringing, answered, rejected, rejected, missed, missed, None]
        );
        assert_eq!(
            summaries(Outcome, Some(Language::Ru), "incomingCall")[1..],
            [answered, missed, missed, missed, missed, None]
        );
        let (rejected, missed) = (Some("Rejected call"), Some("Missed call"));
        assert_eq!(
            summaries(All, Some(Language::En), "incomingCall"),
            [Some("Incoming call"), Some("Answered call"), rejected, rejected, missed, missed, None]
        );
        assert_eq!(summaries(Outcome, Some(Language::En), "incomingCall")[2], missed);
        assert_eq!(summaries(All, Some(Language::En), "outgoingCall")[1], Some("Answered outgoing call"));
        assert_eq!(summaries(All, None, "incomingCall"), [None; 7], "no language, no words");
    }
}
