//! When a request may be sent: a limit per second, a limit of requests in flight, and urgent ones first.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::select;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Requests in flight at a time.
const IN_FLIGHT_MAX: usize = 4;
/// Of those, requests that can wait: this keeps room for an urgent one.
const PATIENT_IN_FLIGHT_MAX: usize = 3;
/// How long to pause after a 429 without a time.
const HOLD: Duration = Duration::from_secs(1);
/// The longest pause, whatever a 429 asks for.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// How urgent a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Tokens and authorisations: nothing is received until they are answered.
    Urgent,
    /// Back-fill and reconciling, which can wait.
    Patient,
}

/// Gives each request its turn.
pub(super) struct Pace {
    queue: Mutex<Queue>,
    changed: Notify,
}

/// A request's turn. It ends when this is dropped.
pub(super) struct Turn<'p> {
    pace: &'p Pace,
    urgency: Urgency,
}

/// A place in the queue. Dropped when the turn comes, or when the caller has gone away.
struct Place<'p> {
    pace: &'p Pace,
    ticket: u64,
}

impl Pace {
    pub(super) fn new(requests_per_second_max: u32) -> Self {
        Self { queue: Mutex::new(Queue::new(requests_per_second_max)), changed: Notify::new() }
    }

    /// Returns when it is this request's turn.
    pub(super) async fn turn(&self, urgency: Urgency) -> Turn<'_> {
        let place = Place { pace: self, ticket: self.lock().stand(urgency) };
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let entry = self.lock().enter(place.ticket, Instant::now());
            match entry {
                Entry::Go => return Turn { pace: self, urgency },
                Entry::At(time) => select! {
                    () = changed => {}
                    () = sleep_until(time) => {}
                },
                Entry::Behind => changed.await,
            }
        }
    }

    /// Pauses all requests for this long.
    pub(super) fn hold(&self, wanted: Option<Duration>) {
        let until = Instant::now() + wanted.unwrap_or(HOLD).min(HOLD_MAX);
        let mut queue = self.lock();
        queue.next_at = queue.next_at.map_or(Some(until), |next| Some(next.max(until)));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pace.lock().leave(self.ticket);
        self.pace.changed.notify_waiters();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.lock().ended(self.urgency);
        self.pace.changed.notify_waiters();
    }
}

/// What a waiting request has to do.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// Send now.
    Go,
    /// Wait until then.
    At(Instant),
    /// Wait until something changes.
    Behind,
}

/// The queue and the requests in flight: no clock, no runtime.
struct Queue {
    spacing: Duration,
    /// When the next request may be sent. Unused time is not saved up: a second of silence allows no burst.
    next_at: Option<Instant>,
    waiting: [VecDeque<u64>; 2],
    in_flight: [usize; 2],
    tickets: u64,
}

impl Queue {
    fn new(requests_per_second_max: u32) -> Self {
        let spacing = Duration::from_secs(1) / requests_per_second_max.max(1);
        Self { spacing, next_at: None, waiting: Default::default(), in_flight: [0; 2], tickets: 0 }
    }

    fn stand(&mut self, urgency: Urgency) -> u64 {
        self.tickets += 1;
        self.waiting[urgency as usize].push_back(self.tickets);
        self.tickets
    }

    fn leave(&mut self, ticket: u64) {
        for line in &mut self.waiting {
            line.retain(|waiting| *waiting != ticket);
        }
    }

    fn ended(&mut self, urgency: Urgency) {
        self.in_flight[urgency as usize] -= 1;
    }

    fn enter(&mut self, ticket: u64, now: Instant) -> Entry {
        let [urgent, patient] = &self.waiting;
        let in_flight = self.in_flight.iter().sum::<usize>();
        let urgency = if urgent.front() == Some(&ticket) && in_flight < IN_FLIGHT_MAX {
            Urgency::Urgent
        } else if urgent.is_empty()
            && patient.front() == Some(&ticket)
            && in_flight < IN_FLIGHT_MAX
            && self.in_flight[Urgency::Patient as usize] < PATIENT_IN_FLIGHT_MAX
        {
            Urgency::Patient
        } else {
            return Entry::Behind;
        };
        if let Some(next_at) = self.next_at.filter(|next_at| *next_at > now) {
            return Entry::At(next_at);
        }
        self.next_at = Some(now + self.spacing);
        self.in_flight[urgency as usize] += 1;
        self.leave(ticket);
        Entry::Go
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_its_share_however_many_ask() {
        let pace = Arc::new(Pace::new(10));
        let began = Instant::now();
        let mut asking = JoinSet::new();
        for _ in 0..35 {
            let pace = Arc::clone(&pace);
            asking.spawn(async move {
                let _turn = pace.turn(Urgency::Patient).await;
                began.elapsed()
            });
        }
        let mut at = asking.join_all().await;
        at.sort();
        for window in at.windows(11) {
            assert!(window[10] - window[0] >= Duration::from_secs(1), "{window:?}");
        }
        assert!(at[34] < Duration::from_millis(3500), "and none waits longer than it must: {:?}", at[34]);
    }

    #[tokio::test(start_paused = true)]
    async fn few_at_a_time_and_there_is_always_room_for_an_urgent_one() {
        let pace = Pace::new(50);
        let patient = [pace.turn(Urgency::Patient).await, pace.turn(Urgency::Patient).await];
        let third = pace.turn(Urgency::Patient).await;
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, pace.turn(Urgency::Patient)).await.is_err(), "three are on their way");
        let urgent =
            tokio::time::timeout(second, pace.turn(Urgency::Urgent)).await.expect("room for one that is urgent");
        assert!(tokio::time::timeout(second, pace.turn(Urgency::Urgent)).await.is_err(), "four are on their way");
        drop(third);
        assert!(
            tokio::time::timeout(second, pace.turn(Urgency::Patient)).await.is_ok(),
            "who went away holds nobody up"
        );
        drop((urgent, patient));
        assert_eq!(pace.lock().in_flight, [0, 0]);
        assert!(pace.lock().waiting.iter().all(VecDeque::is_empty));
    }

    #[test]
    fn an_urgent_one_overtakes_those_that_wait_and_each_kind_keeps_its_order() {
        let mut queue = Queue::new(10);
        let now = Instant::now();
        let patient = [queue.stand(Urgency::Patient), queue.stand(Urgency::Patient)];
        assert_eq!(queue.enter(patient[1], now), Entry::Behind);
        let urgent = queue.stand(Urgency::Urgent);
        assert_eq!(queue.enter(patient[0], now), Entry::Behind);
        assert_eq!(queue.enter(urgent, now), Entry::Go);
        let next = now + Duration::from_millis(100);
        assert_eq!(queue.enter(patient[0], now), Entry::At(next));
        assert_eq!(queue.enter(patient[0], next), Entry::Go);
        assert_eq!(queue.enter(patient[0], next + Duration::from_secs(1)), Entry::Behind, "a turn is had once");
        assert_eq!(queue.enter(patient[1], next + Duration::from_millis(100)), Entry::Go);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_everybody_is_silent_for_as_long_as_it_said_within_reason() {
        let pace = Pace::new(50);
        for (said, silent) in [(None, 1), (Some(5), 5), (Some(86_400), 60)] {
            pace.hold(said.map(Duration::from_secs));
            let before = Instant::now();
            drop(pace.turn(Urgency::Urgent).await);
            assert_eq!(before.elapsed().as_secs(), silent, "{said:?}");
        }
    }
}
