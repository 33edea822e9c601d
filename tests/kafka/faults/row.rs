//! What a row of the table is: a fault, and what the bridge promises under it.

use std::time::Duration;

use chatbridge_lab::green_api::Fault;

use super::stage::Stage;
use crate::support::way::Way;

/// How long things last: short for `make test`, as in life for the table of `make faults`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Every check, the shortest waits the bridge can be told.
    Test,
    /// The bridge's own defaults; where events are pushed, GREEN-API's times and ours are a sixth of what they are.
    Table,
}

/// Which Kafka a row plays on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one that every row that leaves it alone shares; topics are the row's own.
    Shared,
    /// One that may be stopped, frozen and killed, by one row after the other.
    Harmed,
    /// The same, by way of a TCP proxy.
    Proxied,
    /// The same, as a user whose rights can be taken.
    Restricted,
    /// Three brokers.
    Cluster,
    /// librdkafka's own mock, which can be told what to answer.
    Mock,
}

/// Whom the fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The first instance. The others must not notice.
    First,
    /// Every instance.
    All,
}

/// What `ulimit` is told for the memory that a pod has, in KiB: all that is asked for counts, used or not. So that the
/// stacks of threads are not much of it, they are not as large as they could be.
pub(crate) const MEMORY: &[&str] = &["-s 1024", "-d 262144"];

type Check = Box<dyn Fn(&Stage<'_>) + Send + Sync>;
type Act = Box<dyn Fn(&mut Stage<'_>) + Send + Sync>;

/// One fault.
pub(crate) struct Row {
    /// What happens, for people.
    pub(crate) name: &'static str,
    /// Part of the table.
    pub(crate) group: &'static str,
    /// The ways of receiving that it can happen to.
    pub(crate) ways: &'static [Way],
    pub(crate) place: Place,
    pub(crate) hit: Hit,
    /// How long the fault lasts, at each pace.
    pub(crate) test_lasts: Duration,
    pub(crate) table_lasts: Duration,
    /// Properties of the topic of events.
    pub(crate) topic: Vec<(&'static str, &'static str)>,
    /// The bridge's environment.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// What the shell's `ulimit` is told before the bridge starts.
    pub(crate) ulimits: &'static [&'static str],
    /// For the pace of `make test` alone: what would otherwise be waited for.
    pub(crate) hurry: Vec<(&'static str, &'static str)>,
    /// A proxy stands between the bridge and GREEN-API.
    pub(crate) through_proxy: bool,
    /// How long GREEN-API waits for the answer to a push, at each pace; `None`: as long as it does by default there.
    pub(crate) tires_after: Option<[Duration; 2]>,
    /// Makes what it needs.
    pub(crate) before: Option<Box<dyn Fn() + Send + Sync>>,
    pub(crate) strike: Act,
    /// Without it the fault has no end: it is over when it has struck.
    pub(crate) end: Option<Act>,
    /// Mends what the next row needs whole.
    pub(crate) after: Option<Act>,
    pub(crate) expect: Expect,
}

/// What shows while the fault lasts, and afterwards.
#[derive(Default)]
pub(crate) struct Expect {
    /// In `chatbridge_source_errors_total`, where it is polled.
    pub(crate) class: Option<&'static str>,
    /// In `chatbridge_webhook_requests_total`.
    pub(crate) outcome: Option<&'static str>,
    /// In `chatbridge_publish_errors_total`.
    pub(crate) publish_class: Option<&'static str>,
    /// Of the first instance, in `/status`, where it is polled.
    pub(crate) phase: Option<&'static str>,
    /// Words of a log line, and how many such lines there may be.
    pub(crate) says: Vec<(&'static str, usize)>,
    /// Reasons of the dead letters, each as often as it comes.
    pub(crate) letters: Vec<&'static str>,
    /// Other metrics that have to be above zero.
    pub(crate) metrics: Vec<&'static str>,
    /// Requests of the first instance a second, while the fault lasts.
    pub(crate) requests_per_second_max: Option<f64>,
    /// How many events may be in Kafka once more.
    pub(crate) repeats_max: u64,
    /// How many of them another reader may have taken.
    pub(crate) stolen: bool,
    /// Anything else.
    pub(crate) more: Option<Check>,
}

impl Row {
    pub(crate) fn new(
        group: &'static str,
        name: &'static str,
        strike: impl Fn(&mut Stage<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            group,
            ways: &Way::BOTH,
            place: Place::Shared,
            hit: Hit::First,
            test_lasts: Duration::from_secs(4),
            table_lasts: Duration::from_secs(10),
            topic: Vec::new(),
            environment: Vec::new(),
            ulimits: &[],
            hurry: Vec::new(),
            through_proxy: false,
            tires_after: None,
            before: None,
            strike: Box::new(strike),
            end: None,
            after: None,
            expect: Expect::default(),
        }
    }

    /// GREEN-API answers the first instance so, for a while.
    pub(crate) fn upstream(group: &'static str, name: &'static str, faults: fn() -> Vec<Fault>) -> Self {
        Self::faulty(group, name, faults).only(&[Way::Poll])
    }

    /// What GREEN-API pushes for the first instance fares so, for a while.
    pub(crate) fn pushed(group: &'static str, name: &'static str, faults: fn() -> Vec<Fault>) -> Self {
        Self::faulty(group, name, faults).only(&[Way::Push])
    }

    fn faulty(group: &'static str, name: &'static str, faults: fn() -> Vec<Fault>) -> Self {
        Self::new(group, name, move |stage| stage.misbehave(faults())).ends(|stage| stage.simulator.clear_faults())
    }

    /// Makes no sense otherwise.
    pub(crate) fn only(mut self, ways: &'static [Way]) -> Self {
        self.ways = ways;
        self
    }

    /// GREEN-API waits for the answer to a push so long, in milliseconds.
    pub(crate) fn tires_after(mut self, test_ms: u64, table_ms: u64) -> Self {
        self.tires_after = Some([test_ms, table_ms].map(Duration::from_millis));
        self
    }

    pub(crate) fn ends(mut self, end: impl Fn(&mut Stage<'_>) + Send + Sync + 'static) -> Self {
        self.end = Some(Box::new(end));
        self
    }

    pub(crate) fn through_proxy(mut self) -> Self {
        self.through_proxy = true;
        self
    }

    pub(crate) fn after(mut self, after: impl Fn(&mut Stage<'_>) + Send + Sync + 'static) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    pub(crate) fn before(mut self, before: impl Fn() + Send + Sync + 'static) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn hits_all(mut self) -> Self {
        self.hit = Hit::All;
        self
    }

    /// How long it lasts, in seconds.
    pub(crate) fn lasts(mut self, test: u64, table: u64) -> Self {
        self.test_lasts = Duration::from_secs(test);
        self.table_lasts = Duration::from_secs(table);
        self
    }

    pub(crate) fn topic(mut self, name: &'static str, value: &'static str) -> Self {
        self.topic.push((name, value));
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The bridge has these limits.
    pub(crate) fn under(mut self, ulimits: &'static [&'static str]) -> Self {
        self.ulimits = ulimits;
        self
    }

    pub(crate) fn hurried(mut self, name: &'static str, value: &'static str) -> Self {
        self.hurry.push((name, value));
        self
    }

    pub(crate) fn class(mut self, class: &'static str) -> Self {
        self.expect.class = Some(class);
        self
    }

    pub(crate) fn outcome(mut self, outcome: &'static str) -> Self {
        self.expect.outcome = Some(outcome);
        self
    }

    pub(crate) fn publish_class(mut self, class: &'static str) -> Self {
        self.expect.publish_class = Some(class);
        self
    }

    pub(crate) fn phase(mut self, phase: &'static str) -> Self {
        self.expect.phase = Some(phase);
        self
    }

    /// One log line says so.
    pub(crate) fn says(self, words: &'static str) -> Self {
        self.says_at_most(words, 1)
    }

    pub(crate) fn says_at_most(mut self, words: &'static str, times: usize) -> Self {
        self.expect.says.push((words, times));
        self
    }

    pub(crate) fn letters(mut self, reasons: &[&'static str]) -> Self {
        self.expect.letters = reasons.to_vec();
        self
    }

    pub(crate) fn counts(mut self, metric: &'static str) -> Self {
        self.expect.metrics.push(metric);
        self
    }

    pub(crate) fn requests_per_second_max(mut self, requests: f64) -> Self {
        self.expect.requests_per_second_max = Some(requests);
        self
    }

    pub(crate) fn repeats_max(mut self, repeats: u64) -> Self {
        self.expect.repeats_max = repeats;
        self
    }

    pub(crate) fn stolen(mut self) -> Self {
        self.expect.stolen = true;
        self
    }

    pub(crate) fn and(mut self, check: impl Fn(&Stage<'_>) + Send + Sync + 'static) -> Self {
        self.expect.more = Some(Box::new(check));
        self
    }

    pub(crate) fn lasts_at(&self, pace: Pace) -> Duration {
        if self.end.is_none() {
            return Duration::ZERO;
        }
        match pace {
            Pace::Test => self.test_lasts,
            Pace::Table => self.table_lasts,
        }
    }
}
