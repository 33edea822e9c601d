//! What can be made to go wrong, as values that also travel as JSON (`POST /simulator/faults`).

use serde::{Deserialize, Serialize};

use super::coding::Coding;
use super::method::Method;
use crate::kit::faults::{self, Terms, certain};

/// One thing that goes wrong, where, how often.
///
/// As JSON: `{"method":"delete","kind":{"type":"reset"},"effect":"done","times":1}`. The first fault that
/// applies to a request, in the order they were added, is the one that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this instance; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u64>,
    /// Only this method; any when absent.
    #[serde(default)]
    pub method: Method,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Whether the request takes effect all the same.
    #[serde(default)]
    pub effect: Effect,
    /// How many matching requests pass unharmed before the fault begins.
    #[serde(default)]
    pub after: u32,
    /// How often it happens; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How likely each matching request is to meet it, 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
}

/// Whether a request that meets a fault still does what it asked for: a delete may be done and its answer
/// lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing was done.
    #[default]
    Skipped,
    /// It was done; only the answer is lost or replaced.
    Done,
}

/// The ways of going wrong.
///
/// On [`Method::Push`], where the simulator is the one who asks: `Status` and `Nginx` are what a proxy answers it,
/// `Reset` is a connection lost, `Truncate` a connection lost so far into the event's body, `Delay` a later start,
/// `Compressed` an event that comes compressed. Of `Status`, `Nginx` and `Reset` the webhook sees nothing or, with
/// [`Effect::Done`], everything: its own answer is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// This status with this body.
    Status {
        /// The HTTP status.
        code: u16,
        /// The body, verbatim.
        #[serde(default)]
        body: String,
        /// A `Retry-After` header (not documented, so a client may not rely on it).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
    /// This status with nginx's HTML page (403, 404, 502, 504).
    Nginx {
        /// The HTTP status.
        code: u16,
    },
    /// The connection is reset (TCP RST) without an answer.
    Reset,
    /// No answer for this long, then the connection is closed.
    Hang {
        /// How long.
        duration_ms: u64,
    },
    /// The request is served, this much later.
    Delay {
        /// How much later.
        duration_ms: u64,
    },
    /// `null` at once, whatever the queue holds (the hot loop and issue 1115).
    EmptyAtOnce,
    /// 200 and no body: another empty answer.
    EmptyBody,
    /// 200 `{}`: another empty answer.
    EmptyObject,
    /// 200 with this body, verbatim.
    RawBody {
        /// The body.
        body: String,
    },
    /// 200 `{"result":false,"reason":"…"}`.
    ResultFalse,
    /// 500 `findUnAckedMessage` with the token in its `path`.
    AlreadyGone,
    /// The request is served, but its answer breaks off after so many bytes of the body.
    Truncate {
        /// How many bytes arrive.
        bytes: usize,
    },
    /// The request is served, and its answer has this status: GREEN-API once answered so with a notification.
    OtherStatus {
        /// The HTTP status.
        code: u16,
    },
    /// The request is served, and its answer comes compressed, which nobody asked for.
    Compressed {
        /// How.
        coding: Coding,
    },
    /// A push's body comes in pieces: a slow sender.
    Trickle {
        /// The size of each piece.
        bytes: usize,
        /// Before each but the first.
        pause_ms: u64,
    },
    /// A push is sent a second time this long after the first began, answered or not.
    Overlap {
        /// How long after.
        after_ms: u64,
    },
    /// A push is sent a second time after its answer, whatever that was.
    Twice,
    /// Someone else reads the instance too: on a receive the event is handed out and then
    /// deleted by the other one; on a delete the other one was faster.
    StolenBySecondConsumer,
}

impl FaultKind {
    /// The word for it in the journal, the same as in JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Nginx { .. } => "nginx",
            Self::Reset => "reset",
            Self::Hang { .. } => "hang",
            Self::Delay { .. } => "delay",
            Self::EmptyAtOnce => "empty_at_once",
            Self::EmptyBody => "empty_body",
            Self::EmptyObject => "empty_object",
            Self::RawBody { .. } => "raw_body",
            Self::ResultFalse => "result_false",
            Self::AlreadyGone => "already_gone",
            Self::Truncate { .. } => "truncate",
            Self::OtherStatus { .. } => "other_status",
            Self::Compressed { .. } => "compressed",
            Self::Trickle { .. } => "trickle",
            Self::Overlap { .. } => "overlap",
            Self::Twice => "twice",
            Self::StolenBySecondConsumer => "stolen_by_second_consumer",
        }
    }
}

/// Why the kind, an answer of the HTTP queue's, cannot happen to a push.
const NOT_OF_PUSHES: &str = "a push cannot go wrong like this: use status, nginx, reset, delay, truncate, compressed, \
                             trickle, overlap or twice";
/// Why the kind, which is about the sender of a push, cannot happen to a request.
const ONLY_OF_PUSHES: &str = "only a push can go wrong like this: set `method` to `push`";

impl faults::Fault for Fault {
    type Place = (u64, Method);

    fn concerns(&self, (instance, method): Self::Place) -> bool {
        self.method.covers(method) && self.instance.is_none_or(|only| only == instance)
    }

    fn terms(&self) -> Terms {
        Terms { after: self.after, times: self.times, probability: self.probability }
    }

    fn check(&self) -> Result<(), &'static str> {
        use FaultKind::{Compressed, Delay, Nginx, Overlap, Reset, Status, Trickle, Truncate, Twice};
        match (&self.kind, self.method) {
            (Trickle { .. } | Overlap { .. } | Twice, Method::Push) => Ok(()),
            (Trickle { .. } | Overlap { .. } | Twice, _) => Err(ONLY_OF_PUSHES),
            (Status { .. } | Nginx { .. } | Reset | Delay { .. } | Truncate { .. } | Compressed { .. }, _) => Ok(()),
            (_, Method::Push) => Err(NOT_OF_PUSHES),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// A fault of every instance, every time, in place of the effect. Narrow it with the methods below.
    pub fn new(method: Method, kind: FaultKind) -> Self {
        Self { instance: None, method, kind, effect: Effect::Skipped, after: 0, times: None, probability: 1.0 }
    }

    /// Only on this instance.
    #[must_use]
    pub fn on(mut self, instance: u64) -> Self {
        self.instance = Some(instance);
        self
    }

    /// Only so often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after so many matching requests went well.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// The request takes effect, the answer is still lost or replaced.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.effect = Effect::Done;
        self
    }

    /// A status with a plain body.
    pub fn status(method: Method, code: u16, body: impl Into<String>) -> Self {
        Self::new(method, FaultKind::Status { code, body: body.into(), retry_after_seconds: None })
    }

    /// The connection is reset before anything is done.
    pub fn reset_before(method: Method) -> Self {
        Self::new(method, FaultKind::Reset)
    }

    /// The connection is reset after everything is done: the lost answer.
    pub fn reset_after(method: Method) -> Self {
        Self::reset_before(method).after_effect()
    }

    /// 400: events go to a `webhookUrl`. Happens by itself on an instance that has one.
    pub fn webhook_url_is_set() -> Self {
        Self::status(Method::Any, 400, super::answers::WEBHOOK_URL_IS_SET)
    }

    /// 400: the instance is starting.
    pub fn starting() -> Self {
        Self::status(Method::Any, 400, "instance in starting process try later")
    }

    /// 400: the instance is no longer paid for.
    pub fn expired() -> Self {
        Self::status(Method::Any, 400, "Instance account is expired. Renew your instance from personal area")
    }

    /// 401 with an empty body: wrong token.
    pub fn unauthorized() -> Self {
        Self::status(Method::Any, 401, "")
    }

    /// 403, nginx HTML: wrong instance.
    pub fn forbidden() -> Self {
        Self::new(Method::Any, FaultKind::Nginx { code: 403 })
    }

    /// 404, nginx HTML: wrong shard host.
    pub fn not_found() -> Self {
        Self::new(Method::Any, FaultKind::Nginx { code: 404 })
    }

    /// 408 at the end of a long poll: an empty answer.
    pub fn request_timeout() -> Self {
        Self::status(Method::Receive, 408, "")
    }

    /// 429, with or without `Retry-After`.
    pub fn too_many_requests(method: Method, retry_after_seconds: Option<u32>) -> Self {
        let body = super::answers::TOO_MANY_REQUESTS.to_owned();
        Self::new(method, FaultKind::Status { code: 429, body, retry_after_seconds })
    }

    /// 466: the Developer tariff is used up.
    pub fn quota_exceeded(method: Method) -> Self {
        Self::status(
            method,
            466,
            r#"{"invokeStatus":{"method":"receiveNotification","used":"3","total":3,"status":"QUOTE_EXCEEDED","description":"Quota exceeded"}}"#,
        )
    }

    /// What a receive brings comes under another status, and is handed out all the same.
    pub fn other_status(code: u16) -> Self {
        Self::new(Method::Receive, FaultKind::OtherStatus { code })
    }

    /// What the method answers, or sends, comes compressed.
    pub fn compressed(method: Method, coding: Coding) -> Self {
        Self::new(method, FaultKind::Compressed { coding })
    }

    /// 502, nginx HTML.
    pub fn bad_gateway(method: Method) -> Self {
        Self::new(method, FaultKind::Nginx { code: 502 })
    }

    /// 504, nginx HTML: a long poll cut by a proxy, an empty answer.
    pub fn gateway_timeout() -> Self {
        Self::new(Method::Receive, FaultKind::Nginx { code: 504 })
    }

    /// 500 `findUnAckedMessage` on a delete that did nothing or, with [`Fault::after_effect`], did it.
    pub fn already_gone() -> Self {
        Self::new(Method::Delete, FaultKind::AlreadyGone)
    }

    /// A delete answered `result:false`.
    pub fn result_false() -> Self {
        Self::new(Method::Delete, FaultKind::ResultFalse)
    }

    /// The event is gone between receive and delete (two receivers).
    pub fn stolen() -> Self {
        Self::new(Method::Receive, FaultKind::StolenBySecondConsumer)
    }
}

#[cfg(test)]
mod tests {
    use super::faults::Fault as _;
    use super::*;

    #[test]
    fn the_shortest_json_is_a_fault_of_everything_always() {
        let fault: Fault = serde_json::from_str(r#"{"kind":{"type":"reset"}}"#).expect("a fault");
        assert_eq!(fault, Fault::reset_before(Method::Any));
    }

    #[test]
    fn json_and_back() {
        let fault = Fault::too_many_requests(Method::Delete, Some(3)).on(7).times(2).after(1).after_effect();
        let text = serde_json::to_string(&fault).expect("json");
        assert_eq!(serde_json::from_str::<Fault>(&text).expect("the same"), fault, "{text}");
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        serde_json::from_str::<Fault>(r#"{"kind":{"type":"reset"},"time":1}"#).expect_err("unknown field");
        serde_json::from_str::<Fault>(r#"{"kind":{"type":"hang","ms":1}}"#).expect_err("unknown field");
    }

    #[test]
    fn a_push_has_faults_of_its_own() {
        let check = |method, kind| Fault::new(method, kind).check();
        assert_eq!(check(Method::Push, FaultKind::Twice), Ok(()));
        assert_eq!(check(Method::Any, FaultKind::Twice), Err(ONLY_OF_PUSHES));
        assert_eq!(check(Method::Push, FaultKind::EmptyObject), Err(NOT_OF_PUSHES));
        assert_eq!(Fault::reset_after(Method::Push).check(), Ok(()));
        assert_eq!(Fault::stolen().check(), Ok(()));
    }

    #[test]
    fn the_journal_uses_the_words_of_the_json() {
        let kinds = [
            FaultKind::Reset,
            FaultKind::EmptyAtOnce,
            FaultKind::AlreadyGone,
            FaultKind::StolenBySecondConsumer,
            FaultKind::Twice,
            FaultKind::Trickle { bytes: 1, pause_ms: 1 },
            FaultKind::OtherStatus { code: 466 },
            FaultKind::Compressed { coding: Coding::Br },
            FaultKind::Overlap { after_ms: 1 },
            FaultKind::Hang { duration_ms: 1 },
            FaultKind::Status { code: 500, body: String::new(), retry_after_seconds: None },
        ];
        for kind in kinds {
            assert_eq!(serde_json::to_value(&kind).expect("json")["type"], kind.name());
        }
    }
}
