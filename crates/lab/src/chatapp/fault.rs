//! What can be made to go wrong, as values that also travel as JSON (`POST /simulator/faults`, `/simulator/acts`): a
//! [`Fault`] meets whatever comes to its place, an [`Act`] strikes what is there now.

use serde::{Deserialize, Serialize};

use crate::kit::faults::{self, Terms, certain};

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
    /// A new WebSocket: an error of this code and a close with it.
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
    /// A publication: its data is an object, not a string.
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
        /// The close code.
        code: u16,
    },
    /// Every socket's TCP connection is reset.
    Reset,
    /// Every socket stays open, reads nothing and says nothing for this long.
    Silence {
        /// How long.
        duration_ms: u64,
    },
    /// Nobody is subscribed any more, and nobody is told (laravel-websockets 2.x).
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

/// Why a fault can never happen.
const MEANINGLESS: &str = "this cannot go wrong there; see the kinds' descriptions for where they happen";

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
}

impl faults::Fault for Fault {
    type Place = Place;

    fn concerns(&self, place: Place) -> bool {
        self.place.covers(place)
    }

    fn terms(&self) -> Terms {
        Terms { after: self.after, times: self.times, probability: self.probability }
    }

    fn check(&self) -> Result<(), &'static str> {
        use FaultKind::{
            Close, Delay, Drop, Duplicate, Garbled, Hang, InvalidToken, Mute, ObjectData, Refuse, Reset, Status,
            Strike, Truncate,
        };
        let can_happen = match self.kind {
            Status { .. } | Reset => self.place.is_http() || self.place == Place::Connect,
            InvalidToken | Garbled | Truncate { .. } | Hang { .. } => self.place.is_http(),
            Delay { .. } => self.place != Place::Publication,
            Close { .. } => self.place == Place::Connect,
            Mute => matches!(self.place, Place::Connect | Place::Subscribe),
            Refuse => self.place == Place::Subscribe,
            Drop | Duplicate | ObjectData | Strike { .. } => self.place == Place::Publication,
        };
        if can_happen { Ok(()) } else { Err(MEANINGLESS) }
    }
}

#[cfg(test)]
mod tests {
    use super::faults::Fault as _;
    use super::*;

    #[test]
    fn a_fault_of_every_call_is_one_of_pages_and_of_no_authorisation() {
        let fault = Fault::new(Place::Rest, FaultKind::Status { code: 429 });
        let concerned = [Place::Rest, Place::Messages, Place::Auth].map(|place| fault.concerns(place));
        assert_eq!(concerned, [true, true, false]);
    }

    #[test]
    fn what_cannot_happen_is_refused() {
        for (place, kind) in [
            (Place::Rest, FaultKind::Drop),
            (Place::Publication, FaultKind::Garbled),
            (Place::Subscribe, FaultKind::Reset),
            (Place::Auth, FaultKind::Mute),
        ] {
            assert_eq!(Fault::new(place, kind).check(), Err(MEANINGLESS));
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
