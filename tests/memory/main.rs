//! What a body makes in memory is a small multiple of its bytes, whatever its shape.
//!
//! A program of its own, for its allocator counts. It counts what is asked for, and a vector that moves as it grows
//! counts twice meanwhile; what librdkafka allocates it does not see. How much the whole process takes, librdkafka and
//! all, `tests/kafka` looks at with the real binary under a limit.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chatbridge::chatapp::hear::ledger::Ledger;
use chatbridge::chatapp::keep::drain::Drain;
use chatbridge::chatapp::keep::spool::{Frame, Road, Spool};
use chatbridge::chatapp::keep::suspects::Suspects;
use chatbridge::core::bridge::Bridge;
use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::{prepare, prepare_event, prepare_undecodable};
use chatbridge::core::publish::{Delivered, PublishError, Publisher};
use chatbridge::green_api::client;
use chatbridge::watch::telemetry::chatapp::ChatAppTelemetry;
use chatbridge::watch::telemetry::metrics::Metrics;
use chatbridge_base::clock::Clock;
use chatbridge_base::json::Json;
use chatbridge_event::event::{Channel, Event, EventId, InstanceId, SourceId};
use chatbridge_event::normalize::chatapp;
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::{Extent, Record, RecordFactory};
use chatbridge_pusher::Reconnect;
use jiff::Timestamp;
use peak_alloc::PeakAlloc;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

mod shapes;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The bound that docs/deployment.md states: so many times the bytes of a body …
const MULTIPLE: usize = 6;
/// … and this once, for what is made of the values that are taken apart.
const ONCE_BYTES: usize = 12 * 1024 * 1024;

/// One measurement at a time.
static MEASURING: Mutex<()> = Mutex::new(());

/// The most that was allocated while `work` ran, beyond what was before.
fn peak(work: impl FnOnce()) -> usize {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    work();
    ALLOCATED.peak_usage().saturating_sub(before)
}

/// Measures `work` with each of the inputs, and fails with all that took too much.
fn within_bounds<B: AsRef<[u8]>, N: AsRef<str>>(what: &str, make: fn() -> Vec<(N, B)>, work: impl Fn(&[u8])) {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let inputs = make();
    let mut beyond = Vec::new();
    let mut worst = (0, "");
    for (name, input) in &inputs {
        let (name, input) = (name.as_ref(), input.as_ref());
        let (took, may) = (peak(|| work(input)), MULTIPLE * input.len() + ONCE_BYTES);
        worst = worst.max((100 * took / may, name));
        if took > may {
            beyond.push(format!("{name}: {} kB of {} kB", took / 1024, input.len() / 1024));
        }
    }
    eprintln!("{what}: {} shapes, at most {} % of what is allowed ({})", inputs.len(), worst.0, worst.1);
    assert!(beyond.is_empty(), "{what}: too much for {} shapes:\n{}", beyond.len(), beyond.join("\n"));
}

fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).expect("in range")
}

const INSTANCE: u64 = 1_101_000_001;

/// Every record that may be made of an event, one after the other.
fn records(event: Event) {
    let factory = RecordFactory::default();
    drop(factory.record(&event, Extent::WithoutThumbnails, now()));
    drop(prepare_event(event, &Policy::default(), now()).record(&factory, now()));
}

/// As the poller does.
fn received(bytes: &[u8]) {
    let Ok(Some(received)) = client::decode(InstanceId::new(INSTANCE), bytes.to_vec()) else { return };
    drop(prepare(received.notification, &Policy::default(), now()).record(&RecordFactory::default(), now()));
}

/// As the drain does: an event is gone before the next one is made.
fn unpacked(bytes: &[u8]) {
    match chatapp::decode(bytes.to_vec()) {
        Ok(body) => {
            chatapp::normalize(chatapp::Arrival::default(), body).take(2_000).for_each(|item| records(item.event))
        }
        Err(undecodable) => {
            let source = SourceId::ChatApp(Channel::Unnamed);
            let id = EventId::of(&source.uri(), &undecodable.bytes);
            let prepared = prepare_undecodable(source, id, undecodable, now());
            drop(prepared.record(&RecordFactory::default(), now()));
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("shapes are text")
}

#[test]
fn a_view_and_a_canonical_form_are_small() {
    within_bounds("JSON", shapes::values, |bytes| {
        let view = Json::parse(text(bytes)).expect("shapes are JSON");
        view.write_canonical(&mut Vec::new());
    });
}

#[test]
fn a_notification_of_any_shape_takes_little() {
    let answer = |body: &[u8]| received(&[br#"{"receiptId":7,"body":"#, body, b"}"].concat());
    within_bounds("bodies of GREEN-API", shapes::bodies_of_green_api, answer);
    within_bounds("other bodies", shapes::values, answer);
    within_bounds("what is no body", shapes::bytes, answer);
    within_bounds("what is no answer", shapes::bytes, received);
    within_bounds("records", shapes::bodies_of_green_api, |body| {
        records(normalize(InstanceId::new(INSTANCE), RawValue::from_string(text(body).to_owned()).expect("JSON")));
    });
}

#[test]
fn a_frame_of_any_shape_takes_little() {
    within_bounds("bodies of ChatApp", shapes::bodies_of_chatapp, unpacked);
    within_bounds("what is no body", shapes::bytes, unpacked);
}

/// A Kafka that is away.
struct Away;

impl Publisher for Away {
    fn publish(&self, _: &Record) -> impl Future<Output = Result<Delivered, PublishError>> + Send {
        std::future::pending()
    }
}

/// The bound that docs/deployment.md states for events of ChatApp that wait for Kafka: so many bytes of bodies, each as
/// above.
const WAITING_BYTES: usize = 8 * 1024 * 1024;

#[test]
fn what_waits_for_kafka_takes_little_whatever_lies_on_disk() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = std::env::temp_dir().join(format!("chatbridge-memory-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary directory takes folders");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let lying = runtime.block_on(async {
        let spool = Spool::open(&dir.join("spool"), 1 << 30).expect("a spool");
        let bodies = shapes::bodies_of_chatapp();
        let count = bodies.len() as u64;
        for (_, body) in bodies {
            let (road, channel, event, received_at) = (Road::Push, None, None, now());
            let frame = Frame { road, channel, event, received_at, asked_behind: None, body: body.into_bytes() };
            let _ = spool.append(&frame).await.expect("open");
        }
        (spool, count)
    });
    let (spool, count) = lying;
    let took = peak(|| {
        let telemetry = Arc::new(ChatAppTelemetry::new(Arc::new(Metrics::new())));
        let clock = Clock::of_this_machine();
        let ledger = Arc::new(Ledger::new(clock, Reconnect::default(), Arc::clone(&telemetry)));
        let bridge = Arc::new(Bridge::new(Away, RecordFactory::default(), Policy::default()));
        let suspects = Arc::new(Suspects::open(&dir.join("suspect"), |frame| spool.holds(frame)));
        let drain = Drain { spool: spool.clone(), suspects, bridge, ledger, telemetry };
        // It takes in hand what it will in a second or two; a slow machine sees less of it, and is no reason to fail.
        let running =
            async { tokio::time::timeout(Duration::from_secs(10), drain.run(CancellationToken::new())).await };
        assert!(runtime.block_on(running).is_err(), "it waits");
    });
    assert_eq!(spool.depth().frames, count);
    drop(std::fs::remove_dir_all(&dir));
    let may = MULTIPLE * WAITING_BYTES + ONCE_BYTES;
    eprintln!("{count} frames: {} kB, {} % of what is allowed", took / 1024, 100 * took / may);
    assert!(took <= may, "{} kB", took / 1024);
}
