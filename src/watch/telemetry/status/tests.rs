//! Situations, and what the board says of them.

use super::*;
use crate::watch::telemetry::words::PANIC;

const SILENCE_MAX: Duration = Duration::from_secs(60);

#[test]
fn the_label_of_a_phase_is_its_word_in_the_status() {
    use Phase::*;
    for phase in [Starting, Polling, Listening, Delivering, BackingOff, Waiting, Misconfigured, Parked, Stopped] {
        assert_eq!(serde_json::json!(phase), phase.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_takes_no_step_is_stalled_until_it_takes_one() {
    let board = StatusBoard::default();
    let (_other, status) = (board.add(InstanceId::new(1)), board.add(InstanceId::new(2)));
    tokio::time::advance(SILENCE_MAX * 2).await;
    assert_eq!(board.stalled(SILENCE_MAX), None, "what was never polled is not stuck");
    status.set_phase(Phase::Polling);
    tokio::time::advance(SILENCE_MAX).await;
    assert_eq!(board.stalled(SILENCE_MAX), None);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(board.stalled(SILENCE_MAX), Some(InstanceId::new(2)));
    status.set_queue_depth(3); // somebody else's doing
    assert_eq!(board.stalled(SILENCE_MAX), Some(InstanceId::new(2)));
    status.queue_empty();
    assert_eq!(board.stalled(SILENCE_MAX), None);
}

#[test]
fn a_panic_is_the_cause_until_something_goes_well() {
    let status = StatusBoard::default().add(InstanceId::new(1));
    for goes_well in [InstanceStatus::deleted, InstanceStatus::queue_empty] {
        status.failed(PANIC, "");
        status.set_phase(Phase::Polling);
        status.received("message", None);
        assert_eq!(status.cause(), Cause::Panic, "the same one may strike again");
        goes_well(&status);
        assert_eq!(status.cause(), Cause::Backlog);
    }
    status.failed("rate_limited", "");
    status.set_phase(Phase::BackingOff);
    status.set_phase(Phase::Polling);
    assert_eq!(status.cause(), Cause::RateLimited, "a retry is not yet a recovery");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_kafka_is_no_stall_and_neither_is_having_stopped() {
    let board = StatusBoard::default();
    let status = board.add(InstanceId::new(1));
    status.received("message", None);
    status.set_in_hand(true);
    tokio::time::advance(SILENCE_MAX * 100).await;
    assert_eq!(board.stalled(SILENCE_MAX), None);
    status.set_in_hand(false);
    assert_eq!(board.stalled(SILENCE_MAX), None, "the wait for Kafka counts as none of its own");
    tokio::time::advance(SILENCE_MAX * 2).await;
    assert_eq!(board.stalled(SILENCE_MAX), Some(InstanceId::new(1)));
    status.set_phase(Phase::Stopped);
    assert_eq!(board.stalled(SILENCE_MAX), None);
}
