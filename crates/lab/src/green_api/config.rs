//! What a simulator is told before it starts. The defaults are the documented service; every field that
//! differs from it exists because the documents leave the point open or because a test cannot wait.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kit::journal::JournalConfig;

/// Everything the simulator can be told; [`Default`] is the service as documented, on a free loopback port.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Where to listen. Loopback by default: nothing here asks who is calling.
    pub listen: SocketAddr,
    /// The instances that exist from the start.
    pub instances: Vec<SimulatedInstance>,
    /// How long an event stays in its queue before it vanishes without a word (24 h).
    pub retention: Duration,
    /// `receiveNotification` and `deleteNotification` per instance and method (100).
    pub requests_per_second_max: u32,
    /// Every other method, per instance and method (1).
    pub other_requests_per_second_max: u32,
    /// Added to each request before it is looked at: the round trip to the real service.
    pub latency: Duration,
    /// What a second receive without a delete gives (open).
    pub redelivery: Redelivery,
    /// Whether an event handed out again keeps its receipt (open).
    pub receipts: Receipts,
    /// What a delete with a spent or unknown receipt is told (contradictory).
    pub spent_receipt: SpentReceipt,
    /// How events are pushed while a `webhookUrl` is set.
    pub push: PushConfig,
    /// No long poll waits longer than this, whatever `receiveTimeout` asks. 60 s changes nothing;
    /// tests make it short.
    pub long_poll_max: Duration,
    /// Events one instance may hold; the next one is refused.
    pub queue_events_max: usize,
    /// The largest body a POST may carry. Bodies enqueued in-process are not limited.
    pub body_bytes_max: usize,
    /// Instances that may exist at once.
    pub instances_max: usize,
    /// Open connections; the next one is closed at once.
    pub connections_max: usize,
    /// What is remembered of everything that happened.
    pub journal: JournalConfig,
    /// Seed of the dice thrown for faults. Each instance throws its own, so that a run repeats
    /// however the instances interleave.
    pub seed: u64,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            instances: Vec::new(),
            retention: Duration::from_secs(24 * 60 * 60),
            requests_per_second_max: 100,
            other_requests_per_second_max: 1,
            latency: Duration::ZERO,
            redelivery: Redelivery::default(),
            receipts: Receipts::default(),
            spent_receipt: SpentReceipt::default(),
            push: PushConfig::default(),
            long_poll_max: Duration::from_secs(60),
            queue_events_max: 1_000_000,
            body_bytes_max: 16 * 1024 * 1024,
            instances_max: 10_000,
            connections_max: 20_000,
            journal: JournalConfig::default(),
            seed: 0,
        }
    }
}

/// One instance, as the console would list it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedInstance {
    /// `idInstance`.
    pub id: u64,
    /// `apiTokenInstance`. Part of every URL, absent from every `Debug` output.
    pub token: String,
    /// `webhookUrl`; empty: the HTTP queue. May hold a secret, and is as absent.
    #[serde(default)]
    pub webhook_url: String,
    /// `webhookUrlToken`, as absent.
    #[serde(default)]
    pub webhook_token: String,
}

impl SimulatedInstance {
    /// An instance with this id and token.
    pub fn new(id: u64, token: impl Into<String>) -> Self {
        Self { id, token: token.into(), webhook_url: String::new(), webhook_token: String::new() }
    }

    /// The same, pushing its events to this URL from the start.
    #[must_use]
    pub fn pushing_to(self, url: impl Into<String>, token: impl Into<String>) -> Self {
        Self { webhook_url: url.into(), webhook_token: token.into(), ..self }
    }
}

impl fmt::Debug for SimulatedInstance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SimulatedInstance").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a receive gives while an event is handed out and not yet deleted ("the next receive returns the same head
/// again"; how soon, and whether instead of the next event, is contradictory).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redelivery {
    /// The same head, at once.
    #[default]
    SameHead,
    /// The same head, but only after this pause; until then the queue looks empty (≈ 30 s was observed).
    SameHeadAfter(Duration),
    /// The first event that is not handed out; each comes again after this pause, like the un-acked
    /// deliveries of a broker (the name `findUnAckedMessage`).
    NextUnacked(Duration),
}

/// Whether a redelivered event keeps its `receiptId` (undocumented).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receipts {
    /// One receipt per event.
    Stable,
    /// A new receipt each time the event is handed out; only the latest one deletes. The default,
    /// because it is the one that catches a client which trusts the first receipt.
    #[default]
    NewPerHandOut,
    /// A new receipt each time, and each of them deletes.
    NewAndOldOnesValid,
}

/// How events are pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushConfig {
    /// How long an answer is waited for (180 s).
    pub answer_max: Duration,
    /// Before the same event is pushed again (60 s).
    pub pause: Duration,
    /// Events an instance pushes in a second at most (about 50). 0 counts as 1.
    pub events_per_second_max: u32,
    /// Certificates in PEM that an `https` URL's may rest on, beside the machine's own.
    pub extra_roots_pem: Vec<u8>,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            answer_max: Duration::from_secs(180),
            pause: Duration::from_secs(60),
            events_per_second_max: 50,
            extra_roots_pem: Vec::new(),
        }
    }
}

/// The answer to a delete whose receipt is spent or was never given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpentReceipt {
    /// 200 `{"result":false,"reason":"…"}`.
    #[default]
    ResultFalse,
    /// 500 `findUnAckedMessage`, with a `path` that contains the token.
    AlreadyGone,
}

/// An event's place among all events of its instance, counted from 1 in the order they were queued.
/// The simulator's own; it never crosses the wire of the GREEN-API methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub u64);

impl fmt::Display for EntryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
