//! What can be made to go wrong, as values that also travel as JSON (`POST /simulator/faults`, `/simulator/acts`): a
//! [`Fault`] meets whatever comes to its place, an [`Act`] strikes what is there now.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// Faults that may be active at once; more are refused.
const FAULTS_MAX: usize = 10_000;

/// One thing that goes wrong, where, how often.
///
/// As JSON: `{"place":"auth","kind":{"type":"status","code":403},"times":1}`. The first fault that applies, in the
/// order they were added, is the one that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: FaultKind,
    /// How many pass unharmed before it begins.
    #[serde(default)]
    pub after: u32,
    /// How often it happens; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How likely each is to meet it, 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
}

fn certain() -> f64 {
    1.0
}

/// Where something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `POST /v1/tokens`.
    Login,
    /// `POST /v1/tokens/refresh`.
    Refresh,
    /// Every other REST call, pages of chats and messages among them; no authorisation.
    Rest,
    /// A page of chats.
    Chats,
    /// A page of messages.
    Messages,
    /// `POST /broadcasting/auth`.
    Auth,
    /// A new WebSocket.
    Connect,
    /// A channel's subscription.
    Subscribe,
    /// An event that is published.
    Publication,
}

impl Place {
    fn covers(self, here: Self) -> bool {
        self == here || (self == Self::Rest && matches!(here, Self::Chats | Self::Messages))
    }

    fn is_http(self) -> bool {
        !matches!(self, Self::Connect | Self::Subscribe | Self::Publication)
    }
}

/// The ways of going wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// HTTP and a new WebSocket: this status, with an error envelope.
    Status {
        /// The HTTP status.
        code: u16,
    },
    /// HTTP: 403 `ApiInvalidTokenError`, whatever the token.
    InvalidToken,
    /// HTTP: 200 and a page of HTML: not JSON.
    Garbled,
    /// HTTP: the answer breaks off after so many bytes of its body.
    Truncate {
        /// How many arrive.
        bytes: usize,
    },
    /// HTTP and a new WebSocket: the connection is reset (TCP RST).
    Reset,
    /// HTTP: no answer for this long, then the connection is closed.
    Hang {
        /// How long.
        duration_ms: u64,
    },
    /// Everything but a publication: this much later.
    Delay {
        /// How much.
        duration_ms: u64,
    },
    /// A new WebSocket: an error of this code and a close with it (§5.5).
    Close {
        /// The close code.
        code: u16,
    },
    /// A new WebSocket or a subscription: never a word.
    Mute,
    /// A subscription: refused, as if the signature were wrong.
    Refuse,
    /// A publication: never sent, though whoever asked heard that it was.
    Drop,
    /// A publication: sent twice.
    Duplicate,
    /// A publication: its data is an object, not a string (§5.2).
    ObjectData,
    /// A publication: this happens just before it.
    Strike {
        /// What happens.
        act: Act,
    },
}

/// What strikes everything that is there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Every socket is told an error of this code and closed with it.
    Disconnect {
        /// The close code (§5.5).
        code: u16,
    },
    /// Every socket's TCP connection is reset.
    Reset,
    /// Every socket stays open, reads nothing and says nothing for this long.
    Silence {
        /// How long.
        duration_ms: u64,
    },
    /// Nobody is subscribed any more, and nobody is told (§6, laravel-websockets 2.x).
    UnsubscribeSilently,
    /// Every socket is told an error of this code and stays open.
    ErrorFrame {
        /// The code.
        code: u16,
    },
    /// Every access token ends.
    ExpireTokens,
    /// Every refresh token ends.
    ExpireRefreshTokens,
    /// The Pusher server ends and comes back on the same port.
    Restart {
        /// How long nobody listens.
        downtime_ms: u64,
        /// Without a goodbye, as after SIGKILL.
        #[serde(default)]
        killed: bool,
    },
}

/// Why a fault was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    /// It could never happen.
    #[error("this cannot go wrong there; see the kinds' descriptions for where they happen")]
    Meaningless,
    /// There are as many as may be.
    #[error("there are too many faults already; clear them first")]
    TooMany,
}

impl Fault {
    /// Every time. Narrow it with the methods below.
    #[must_use]
    pub fn new(place: Place, kind: FaultKind) -> Self {
        Self { place, kind, after: 0, times: None, probability: 1.0 }
    }

    /// Only so often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only after so many went well.
    #[must_use]
    pub fn after(self, passed: u32) -> Self {
        Self { after: passed, ..self }
    }

    /// Only with this probability.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    fn can_happen(&self) -> bool {
        use FaultKind::{
            Close, Delay, Drop, Duplicate, Garbled, Hang, InvalidToken, Mute, ObjectData, Refuse, Reset, Status,
            Strike, Truncate,
        };
        match self.kind {
            Status { .. } | Reset => self.place.is_http() || self.place == Place::Connect,
            InvalidToken | Garbled | Truncate { .. } | Hang { .. } => self.place.is_http(),
            Delay { .. } => self.place != Place::Publication,
            Close { .. } => self.place == Place::Connect,
            Mute => matches!(self.place, Place::Connect | Place::Subscribe),
            Refuse => self.place == Place::Subscribe,
            Drop | Duplicate | ObjectData | Strike { .. } => self.place == Place::Publication,
        }
    }
}

/// The active faults and the dice.
pub(super) struct FaultPlan(Mutex<Plan>);

struct Plan {
    dice: Rng,
    faults: Vec<Active>,
}

struct Active {
    fault: Fault,
    matched: u32,
    happened: u32,
}

impl Active {
    fn is_spent(&self) -> bool {
        self.fault.times.is_some_and(|times| self.happened >= times)
    }

    fn hits(&mut self, here: Place, dice: &mut Rng) -> bool {
        if !self.fault.place.covers(here) || self.is_spent() {
            return false;
        }
        let before = self.matched;
        self.matched = before.saturating_add(1);
        let hit = before >= self.fault.after && (self.fault.probability >= 1.0 || dice.f64() < self.fault.probability);
        self.happened = self.happened.saturating_add(u32::from(hit));
        hit
    }
}

impl FaultPlan {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(Plan { dice: Rng::with_seed(seed), faults: Vec::new() }))
    }

    /// Adds one behind the others. Spent ones make room.
    pub(super) fn add(&self, fault: Fault) -> Result<(), FaultRefused> {
        if !fault.can_happen() {
            return Err(FaultRefused::Meaningless);
        }
        self.with(|plan| {
            plan.faults.retain(|active| !active.is_spent());
            if plan.faults.len() >= FAULTS_MAX {
                return Err(FaultRefused::TooMany);
            }
            plan.faults.push(Active { fault, matched: 0, happened: 0 });
            Ok(())
        })
    }

    pub(super) fn clear(&self) {
        self.with(|plan| plan.faults.clear());
    }

    /// Those that can still happen.
    pub(super) fn pending(&self) -> Vec<Fault> {
        self.with(|plan| plan.faults.iter().filter(|one| !one.is_spent()).map(|one| one.fault.clone()).collect())
    }

    /// What, if anything, goes wrong here and now.
    pub(super) fn draw(&self, here: Place) -> Option<FaultKind> {
        self.with(|Plan { dice, faults }| {
            faults.iter_mut().find_map(|active| active.hits(here, dice).then(|| active.fault.kind.clone()))
        })
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Plan) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_applies_happens_as_often_as_it_may() {
        let plan = FaultPlan::new(1);
        let status = |code| FaultKind::Status { code };
        plan.add(Fault::new(Place::Messages, status(500)).after(1).times(1)).expect("it can happen");
        plan.add(Fault::new(Place::Rest, status(429)).times(2)).expect("it can happen");
        let drawn: Vec<_> = (0..4).map(|_| plan.draw(Place::Messages)).collect();
        assert_eq!(drawn, [Some(status(429)), Some(status(500)), Some(status(429)), None]);
        assert_eq!(plan.draw(Place::Auth), None);
        assert!(plan.pending().is_empty());
    }

    #[test]
    fn what_cannot_happen_is_refused() {
        let plan = FaultPlan::new(1);
        for (place, kind) in [
            (Place::Rest, FaultKind::Drop),
            (Place::Publication, FaultKind::Garbled),
            (Place::Subscribe, FaultKind::Reset),
            (Place::Auth, FaultKind::Mute),
        ] {
            assert_eq!(plan.add(Fault::new(place, kind)), Err(FaultRefused::Meaningless));
        }
    }

    #[test]
    fn json_and_back() {
        let fault = Fault::new(Place::Publication, FaultKind::Strike { act: Act::Disconnect { code: 4200 } }).times(1);
        let text = serde_json::to_string(&fault).expect("JSON");
        assert_eq!(serde_json::from_str::<Fault>(&text).expect("the same"), fault, "{text}");
        let short: Fault = serde_json::from_str(r#"{"place":"auth","kind":{"type":"garbled"}}"#).expect("a fault");
        assert_eq!(short, Fault::new(Place::Auth, FaultKind::Garbled));
        serde_json::from_str::<Fault>(r#"{"place":"auth","kind":{"type":"garbled"},"time":1}"#).expect_err("misspelt");
    }
}
