//! A receive beside a delete: what it may bring, and when it is not begun.

use super::*;

const DELETE_TAKES: Duration = Duration::from_millis(50);

fn overlapping(
    receives: impl IntoIterator<Item = (Duration, Option<u64>)>,
    deletes: impl IntoIterator<Item = Result<Deletion, QueueError>>,
) -> Run {
    let queue = PlannedQueue { delete_takes: DELETE_TAKES, ..PlannedQueue::starting_now() };
    locked(&queue.receives).extend(receives.into_iter().map(|(takes, number)| (takes, Ok(number))));
    locked(&queue.deletes).extend(deletes);
    run_as(Arc::new(queue), true)
}

#[tokio::test(start_paused = true)]
async fn the_next_receive_begins_behind_the_delete_and_before_its_answer() {
    let long = Duration::from_millis(80);
    let run = overlapping([(long, Some(1)), (long, Some(2)), (long, Some(3))], []);
    run.to_the_end().await;
    assert_eq!(
        run.queue.story(),
        ["receive", "delete 101", "receive", "delete 103", "receive", "delete 105", "receive"]
    );
    let asked = locked(&run.queue.asked);
    let gaps: Vec<Duration> = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert_eq!(gaps[1..], [HEAD_START, long, HEAD_START, long, HEAD_START], "one round trip an event");
    assert_eq!(run.published().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_answered_at_once_shares_nothing() {
    let queue = PlannedQueue { delete_takes: HEAD_START / 2, ..PlannedQueue::starting_now() };
    locked(&queue.receives).extend([(Duration::ZERO, Ok(Some(1))), (Duration::ZERO, Ok(Some(2)))]);
    let run = run_as(Arc::new(queue), true);
    run.to_the_end().await;
    let asked = locked(&run.queue.asked);
    assert_eq!(asked[2].0 - asked[1].0, HEAD_START / 2, "the receive does not wait for the head start");
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_overtakes_its_delete_is_no_second_publishing_and_the_next_deletes_go_alone() {
    // The head once more, while its delete is on the way; whose receipt that spent.
    let zero = Duration::ZERO;
    let receives = [Some(1), Some(1), Some(2), Some(3)].map(|number| (zero, number));
    let run = overlapping(receives, [Ok(Deletion::Unclear)]);
    run.to_the_end().await;
    assert_eq!(run.published().len(), 3, "1, 2 and 3, once each");
    let asked = locked(&run.queue.asked);
    let what: Vec<&str> = asked.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(what[..5], ["receive", "delete 101", "receive", "delete 103", "receive"]);
    assert_eq!(asked[3].0 - asked[1].0, DELETE_TAKES, "the head's second delete waits for nothing but its first");
    for delete in [3, 5, 7] {
        assert!(asked[delete].1.starts_with("delete"), "{what:?}");
        assert_eq!(asked[delete + 1].0 - asked[delete].0, DELETE_TAKES, "request {delete} goes alone: {what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_come_beside_the_delete_is_delivered_though_a_stop_came_meanwhile() {
    let run = overlapping([(Duration::ZERO, Some(1)), (Duration::ZERO, Some(2))], []);
    let stop = run.stop.clone();
    let (_, ()) = tokio::join!(run.polled(), async move {
        tokio::time::sleep(HEAD_START * 2).await;
        stop.cancel();
    });
    assert_eq!(run.queue.story(), ["receive", "delete 101", "receive", "delete 103"]);
    assert_eq!(run.published().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_brings_nothing_beside_a_delete_ends_with_the_stop() {
    let run = overlapping([(Duration::ZERO, Some(1))], []);
    let stop = run.stop.clone();
    let (_, ()) = tokio::join!(run.polled(), async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
    });
    assert_eq!(run.queue.story(), ["receive", "delete 101", "receive"]);
}
