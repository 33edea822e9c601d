//! The whole system with nothing installed: a simulated upstream, a broker in this process, the real bridge between
//! them, and a consumer that compares what arrives with what was sent.

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::config::Config;

mod bridge;
mod broker;
pub(crate) mod chatapp;
pub(crate) mod green_api;
mod progress;

use bridge::RunningBridge;
use broker::{Appeared, Broker};
use progress::Progress;

/// About the distance of a host in the same region. Without it the bridge would hit GREEN-API's 100 requests per
/// second.
const LATENCY: Duration = Duration::from_millis(10);
/// After this long without progress, the demo gives up and says what is missing.
const STALLED: Duration = Duration::from_secs(60);

/// What the demo should do.
#[derive(Debug, Clone)]
pub(crate) struct Demo {
    /// Events over all instances or channels.
    pub events: u64,
    /// Events a second over all of them. 0 means all at once.
    pub rate: u64,
    /// An existing Kafka instead of the one in the process.
    pub brokers: Option<String>,
    /// Records shown as a consumer sees them.
    pub samples: usize,
    /// The summary for machines.
    pub json: bool,
}

/// Why the demo could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Ports or output.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The broker in the process.
    #[error("failed to start the built-in Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The consumer.
    #[error(transparent)]
    Read(#[from] crate::core::consume::ReadError),
    /// The bridge.
    #[error(transparent)]
    Start(#[from] app::RunError),
    /// The bridge did not begin to receive.
    #[error("the bridge has not subscribed its channels after {} s; RUST_LOG=info shows what it met", .0.as_secs())]
    NotHeard(Duration),
}

/// A simulated upstream, and the judge of what arrives from it.
pub(crate) trait Trial {
    /// Where latencies are measured from.
    const FROM: &'static str;
    /// The last line if the promise was kept, and if it was not.
    const KEPT: &'static str;
    const BROKEN: &'static str;
    /// The number of sorts of records. Some of each sort are shown.
    const SORTS: usize;

    /// What it is, and its addresses.
    fn description(&self) -> String;

    /// The same configuration with this upstream added.
    fn configure(&self, config: Config) -> Config;

    /// Resolves once the bridge receives what is sent.
    async fn heard(&self);

    /// How many events may have been sent by now, whatever the rate.
    fn events_max(&self) -> u64;

    /// Sends one more event. `sent` is the number sent so far.
    fn send(&mut self, sent: u64) -> io::Result<()>;

    /// Checks the upstream again. `sent` is the number of events sent so far.
    fn look(&mut self, sent: u64) -> Sight;

    /// Resolves when something has changed by itself. May be dropped at any time.
    async fn changed(&mut self);

    /// Judges a record. Call in the order of its partition.
    fn appeared(&mut self, record: &Appeared) -> Sighting;

    /// The figures, once nothing more is waited for.
    fn judge(&self, pace: Pace) -> Judged;

    /// How many events are in Kafka, by the final verdict.
    fn published(&self) -> u64;

    async fn stop(self);
}

/// The progress so far.
pub(crate) struct Sight {
    /// The position of the bar.
    done: u64,
    /// The text beside the bar.
    told: String,
    /// Whether everything sent is accounted for.
    is_settled: bool,
}

/// What a record is.
#[derive(Default)]
pub(crate) struct Sighting {
    /// When its event was sent, if this is its first appearance.
    sent_at: Option<Instant>,
    /// Its sort, if it is worth showing.
    sort: Option<usize>,
}

/// The speed of the demo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    seconds: f64,
    events_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Whether the demo finished with all events.
    is_complete: bool,
}

/// The result.
pub(crate) struct Judged {
    /// The summary for machines.
    json: serde_json::Result<String>,
    figures: Vec<(&'static str, u64)>,
    held: bool,
}

impl Demo {
    /// Runs the demo. Returns true if the promise held and everything arrived. `stop` ends it early.
    ///
    /// # Errors
    /// If it could not be run.
    pub(crate) async fn run<T: Trial>(&self, mut trial: T, stop: CancellationToken) -> Result<bool, DemoError> {
        let broker = Broker::start(self.brokers.clone())?;
        let bridge = RunningBridge::start(trial.configure(bridge::config(&broker))).await?;
        let (upstream, kafka, metrics) = (trial.description(), broker.description(), bridge.metrics_url());
        self.say(&format!("{upstream}, {kafka}, metrics at {metrics}"))?;
        let outcome = self.watch(&mut trial, broker.consume().await?, &stop).await;
        bridge.end().await?;
        let (judged, pace, samples) = outcome?;
        let held = judged.held;
        self.show::<T>(judged, pace, samples)?;
        trial.stop().await;
        Ok(held)
    }

    /// Sends events at the wanted rate and judges what arrives, until everything is accounted for.
    async fn watch<T: Trial>(
        &self,
        trial: &mut T,
        mut appeared: mpsc::Receiver<Appeared>,
        stop: &CancellationToken,
    ) -> Result<(Judged, Pace, Samples), DemoError> {
        tokio::select! {
            () = trial.heard() => {}
            () = stop.cancelled() => {}
            () = sleep(STALLED) => return Err(DemoError::NotHeard(STALLED)),
        }
        let mut latencies_ms: Vec<f64> = Vec::new();
        let mut samples = Samples { wanted: self.samples, taken: (0..T::SORTS).map(|_| Vec::new()).collect() };
        let mut progress = Progress::new(self.events, self.json);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        let mut last_progress = Instant::now();
        let (mut sent, mut is_complete) = (0, false);

        while !is_complete && !stop.is_cancelled() && last_progress.elapsed() < STALLED {
            tokio::select! {
                _ = ticks.tick() => {
                    let due = self.due(started.elapsed());
                    while sent < due.min(trial.events_max()) {
                        trial.send(sent)?;
                        sent += 1;
                        last_progress = Instant::now();
                    }
                    let Sight { done, told, is_settled } = trial.look(sent);
                    progress.show(done, told);
                    is_complete = sent == self.events && is_settled;
                }
                () = trial.changed() => last_progress = Instant::now(),
                Some(record) = appeared.recv() => {
                    last_progress = Instant::now();
                    let Sighting { sent_at, sort } = trial.appeared(&record);
                    latencies_ms.extend(sent_at.map(|at| record.at.duration_since(at).as_secs_f64() * 1000.0));
                    samples.offer(record, sort);
                }
                () = stop.cancelled() => {}
            }
        }
        progress.finish();
        // Repeats of the very last events come only after everything has arrived, so wait a moment longer.
        while let Ok(Some(record)) = timeout(Duration::from_millis(300), appeared.recv()).await {
            trial.appeared(&record);
        }
        let seconds = last_progress.duration_since(started).as_secs_f64();
        latencies_ms.sort_by(f64::total_cmp);
        let pace = Pace {
            seconds,
            events_per_second: trial.published() as f64 / seconds.max(f64::EPSILON),
            p50_ms: percentile(&latencies_ms, 0.50),
            p99_ms: percentile(&latencies_ms, 0.99),
            is_complete,
        };
        Ok((trial.judge(pace), pace, samples))
    }

    /// How many events should have been sent by now.
    fn due(&self, elapsed: Duration) -> u64 {
        if self.rate == 0 { u64::MAX } else { (elapsed.as_secs_f64() * self.rate as f64) as u64 }
    }

    fn say(&self, line: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout(), "{line}") }
    }

    fn show<T: Trial>(&self, judged: Judged, pace: Pace, samples: Samples) -> io::Result<()> {
        if self.json {
            return writeln!(io::stdout(), "{}", judged.json?);
        }
        for sample in samples.taken.into_iter().flatten().take(self.samples) {
            self.say(&format!("\n{}", sample.as_a_consumer_sees_it()))?;
        }
        self.say("")?;
        for (name, figure) in judged.figures {
            self.say(&format!("{name:<14}{figure:>8}"))?;
        }
        let Pace { seconds, events_per_second, p50_ms, p99_ms, .. } = pace;
        self.say(&format!(
            "\nfrom {} to a consumer: p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms; {events_per_second:.0} events/s over \
             {seconds:.1} s",
            T::FROM
        ))?;
        self.say(if judged.held { T::KEPT } else { T::BROKEN })
    }
}

/// Records to show: the first ones of each sort.
struct Samples {
    wanted: usize,
    taken: Vec<Vec<Appeared>>,
}

impl Samples {
    fn offer(&mut self, record: Appeared, sort: Option<usize>) {
        let of_each = self.wanted.div_ceil(self.taken.len());
        if let Some(taken) = sort.and_then(|sort| self.taken.get_mut(sort))
            && taken.len() < of_each
        {
            taken.push(record);
        }
    }
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
