//! The webhook's listener without a socket, in front of a broker that always says yes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use chatbridge::app::webhook;
use chatbridge::config::Webhook;
use chatbridge::core::bridge::Bridge;
use chatbridge::core::policy::Policy;
use chatbridge::core::publish::{Delivered, PublishError, Publisher, memory};
use chatbridge::green_api::carrier::Carrier;
use chatbridge::green_api::push::intake::{Intake, Turn};
use chatbridge::green_api::push::intakes::Intakes;
use chatbridge::inbound::calls::CallTelemetry;
use chatbridge::inbound::server::{self, Timeouts};
use chatbridge::watch::telemetry::InstanceTelemetry;
use chatbridge::watch::telemetry::metrics::Metrics;
use chatbridge::watch::telemetry::status::StatusBoard;
use chatbridge_event::event::InstanceId;
use chatbridge_event::record::{Record, RecordFactory};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// An instance that is received by webhook.
pub(crate) const INSTANCE: u64 = 1_101_000_001;
/// It shares its token with one for which Kafka was not found yet; the other token is that of a third instance alone.
pub(crate) const TOKENS: [&str; 2] = ["s3cret-of-two", "s3cret-of-one"];
const STARTING: u64 = 1_101_000_002;
const ALONE: u64 = 1_101_000_003;

/// A proxy of ours, so that what it says of its caller counts.
const PEER: &str = "10.0.0.1:4711";
const PIECE_BYTES: usize = 16;
/// As much of either direction as the kernel would take at once.
const STREAM_BYTES: usize = 64 * 1024;
/// Small, so that limits are met.
const BODY_BYTES_MAX: u32 = 16 * 1024;

/// What a caller does with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Sends them, then waits in silence.
    Waits,
    /// The same, a few at a time.
    WaitsPieceByPiece,
    /// Sends them and nothing more.
    HangsUp,
}

/// What became of one connection.
pub(crate) struct Served {
    answers: Vec<u8>,
    /// Records that the broker took.
    pub(crate) published: usize,
}

/// Takes every record, and counts them.
#[derive(Default)]
struct Broker(AtomicUsize);

impl Publisher for Broker {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        assert!(!record.key.is_empty());
        // As long as the acknowledgement takes, the caller may hang up.
        tokio::task::yield_now().await;
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(memory::acknowledgement())
    }
}

pub(crate) struct Listener {
    runtime: Runtime,
    settings: Webhook,
    telemetry: Arc<CallTelemetry>,
    instances: [Arc<InstanceTelemetry>; 2],
}

impl Listener {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let (metrics, board) = (Arc::new(Metrics::new()), StatusBoard::default());
        let of = |id| Arc::new(InstanceTelemetry::new(&metrics, board.add(InstanceId::new(id))));
        let instances = [INSTANCE, ALONE].map(of);
        Self { runtime, settings: settings(), telemetry: Arc::new(metrics.webhook_calls()), instances }
    }

    /// Serves one connection to its end, and to the end of all that it began.
    pub(crate) fn serve(&self, bytes: &[u8], caller: Caller) -> Served {
        self.runtime.block_on(async {
            let broker = Arc::new(Broker::default());
            let turns = [Turn::default(), Turn::default()];
            let router = self.router(&broker, &turns);
            let (theirs, ours) = duplex(STREAM_BYTES);
            let timeouts = Timeouts { header: self.settings.header_timeout, write: self.settings.write_timeout };
            let peer: SocketAddr = PEER.parse().expect("an address");
            let serving = server::connection(ours, peer, router, timeouts, CancellationToken::new());
            let ((), answers) = tokio::join!(serving, calls(theirs, bytes, caller));
            // What was taken in hand is delivered though its caller hung up.
            for turn in turns {
                drop(turn.lock().await);
            }
            Served { answers, published: broker.0.load(Ordering::Relaxed) }
        })
    }

    fn router(&self, broker: &Arc<Broker>, turns: &[Turn; 2]) -> Router {
        let bridge = Arc::new(Bridge::new(Arc::clone(broker), RecordFactory::default(), Policy::default()));
        let intakes = Arc::new(Intakes::default());
        intakes.expect(InstanceId::new(STARTING), TOKENS[0].into());
        for ((telemetry, turn), token) in self.instances.iter().zip(turns).zip(TOKENS) {
            let carrier = Carrier::new(Arc::clone(&bridge), Arc::clone(telemetry));
            let (calls_max, patience) = (self.settings.requests_per_instance_max, self.settings.answer_timeout);
            intakes.expect(telemetry.instance(), token.into());
            let intake = Intake::new(carrier, Arc::clone(turn), calls_max, patience);
            intakes.open(telemetry.instance(), Arc::new(intake));
        }
        webhook::router(self.settings.clone(), intakes, None, Arc::clone(&self.telemetry))
    }
}

impl Served {
    /// Of each answer.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = String::from_utf8_lossy(&self.answers);
        let heads = answers.split("HTTP/1.").skip(1).map(|head| head.get(2..5).and_then(|status| status.parse().ok()));
        heads.map(|status| status.expect("a status")).collect()
    }
}

/// Sends the bytes and reads every answer.
async fn calls(stream: DuplexStream, bytes: &[u8], caller: Caller) -> Vec<u8> {
    let (mut reader, mut writer) = split(stream);
    let sending = async {
        let at_once = if caller == Caller::WaitsPieceByPiece { PIECE_BYTES } else { STREAM_BYTES };
        for piece in bytes.chunks(at_once) {
            if writer.write_all(piece).await.is_err() {
                // The listener has had enough.
                return;
            }
            tokio::task::yield_now().await;
        }
        if caller == Caller::HangsUp {
            writer.shutdown().await.expect("nothing is held back");
        }
    };
    let mut answers = Vec::new();
    let ((), read) = tokio::join!(sending, reader.read_to_end(&mut answers));
    read.expect("an end");
    answers
}

fn settings() -> Webhook {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect();
    Webhook {
        listen: PEER.parse().expect("an address"),
        public_url: None,
        answer_timeout: Duration::from_secs(60),
        body_bytes_max: BODY_BYTES_MAX,
        body_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(30),
        connections_max: 1,
        connections_per_address_max: 1,
        requests_per_instance_max: 2,
        buffered_bytes_max: 2 * BODY_BYTES_MAX,
        allow_from: networks(&["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]),
        trusted_proxies: networks(&["10.0.0.0/24"]),
        tls: None,
    }
}
