//! The whole thing with nothing installed: a simulated GREEN-API, a broker in the process, the *real* bridge between
//! them, and a consumer that holds what arrives against what was queued.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::config::{Config, Instance, Receive};
use crate::core::policy::Policy;
use crate::core::prepared::prepare;
use chatbridge_event::event::{Body, InstanceId, Notification};
use chatbridge_event::record::RecordFactory;
use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalConfig, SimulatedInstance, Simulator, SimulatorConfig};
use chatbridge_lab::oracle::{Oracle, Verdict};

mod bridge;
mod broker;
pub(crate) mod chatapp;
mod progress;

use bridge::RunningBridge;
use broker::{Appeared, Broker};
use progress::Progress;

/// The first simulated WhatsApp instance; the others follow.
const FIRST_WHATSAPP: u64 = 1_101_000_001;
/// Ids of MAX instances begin with 3100; the last of several is one (reference §1).
const MAX_INSTANCE: u64 = 3_100_000_001;
/// As far away as a GREEN-API host in the same region; without it the bridge would meet the 100 requests per second.
const LATENCY: Duration = Duration::from_millis(10);
/// Without any progress for so long, the demo gives up and says what is missing.
const STALLED: Duration = Duration::from_secs(60);
/// Queued events, by identity and time, are kept in memory for the final judgement.
pub(crate) const EVENTS_MAX: u64 = 1_000_000;
/// Simulated instances at most.
pub(crate) const INSTANCES_MAX: u64 = 1_000;

/// What the demo shall do.
#[derive(Debug, Clone)]
pub(crate) struct Demo {
    /// Simulated instances.
    pub instances: u64,
    /// Events over all of them.
    pub events: u64,
    /// Events a second over all instances; 0: all at once.
    pub rate: u64,
    /// An existing Kafka, instead of the one in the process.
    pub brokers: Option<String>,
    /// Events shown as a consumer sees them.
    pub samples: usize,
    /// The summary for machines.
    pub json: bool,
}

/// Why the demo could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Ports, output.
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
    Start(#[from] app::StartError),
    /// The bridge did not get to hear anything.
    #[error("the bridge has not subscribed its channels after {} s; RUST_LOG=info shows what it met", .0.as_secs())]
    NotHeard(Duration),
}

/// The figures at the end.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    verdict: Verdict,
    deleted: u64,
    still_queued: u64,
    seconds: f64,
    events_per_second: f64,
    /// From joining GREEN-API's queue to a consumer's hands.
    queue_to_consumer_p50_ms: f64,
    queue_to_consumer_p99_ms: f64,
}

impl Demo {
    /// Runs the demo; true if the promise held and everything arrived. `stop` ends it early.
    ///
    /// # Errors
    /// Where it could not be run.
    pub(crate) async fn run(&self, stop: CancellationToken) -> Result<bool, DemoError> {
        let mut ids: Vec<u64> = (1..self.instances).map(|n| FIRST_WHATSAPP + n - 1).collect();
        ids.push(if self.instances > 1 { MAX_INSTANCE } else { FIRST_WHATSAPP });
        let simulated: Vec<SimulatedInstance> =
            ids.iter().map(|id| SimulatedInstance::new(*id, format!("{:032x}", fastrand::u128(..)))).collect();
        let simulator = Simulator::start(SimulatorConfig {
            instances: simulated.clone(),
            latency: LATENCY,
            journal: JournalConfig::off(),
            ..SimulatorConfig::default()
        })
        .await?;
        let broker = Broker::start(self.brokers.clone())?;
        let bridge = RunningBridge::start(config(&simulator, &simulated, &broker)).await?;
        self.say(&format!(
            "GREEN-API simulator at {}, {}, metrics at {}",
            simulator.url(),
            broker.description(),
            bridge.metrics_url()
        ))?;
        let outcome = self.watch(&simulator, &ids, broker.consume().await?, &stop).await;
        bridge.end().await?;
        let (summary, samples) = outcome?;
        self.show(&summary, &samples)?;
        simulator.stop().await;
        Ok(summary.verdict.promise_held() && summary.still_queued == 0)
    }

    /// Queues events at the wanted rate and judges what arrives, until all is there.
    async fn watch(
        &self,
        simulator: &Simulator,
        ids: &[u64],
        mut appeared: mpsc::Receiver<Appeared>,
        stop: &CancellationToken,
    ) -> Result<(Summary, Vec<Appeared>), DemoError> {
        let mut oracle = Oracle::default();
        let mut queued_at: HashMap<String, Instant> = HashMap::new();
        let mut latencies_ms: Vec<f64> = Vec::new();
        let mut samples = Vec::new();
        let mut generators: Vec<Generator> = ids.iter().map(|id| Generator::new(*id, 1)).collect();
        let mut progress = Progress::new(self.events, self.json);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        let mut last_progress = Instant::now();
        let mut queued = 0;

        loop {
            let published = oracle.published();
            let deleted = queued - simulator.total_depth() as u64;
            progress
                .show(deleted, || format!("queued {queued}/{}  published {published}  deleted {deleted}", self.events));
            let complete = queued == self.events && published == queued && deleted == queued;
            if complete || stop.is_cancelled() || last_progress.elapsed() > STALLED {
                break;
            }
            tokio::select! {
                _ = ticks.tick() => {
                    let due = self.due(started.elapsed());
                    while queued < due {
                        let generator = &mut generators[(queued % self.instances) as usize];
                        let instance = ids[(queued % self.instances) as usize];
                        let body = generator.body();
                        let (id, key) = identity(instance, &body);
                        queued_at.insert(id.clone(), Instant::now());
                        oracle.queued(id, instance, key);
                        simulator.enqueue(instance, body).map_err(io::Error::other)?;
                        queued += 1;
                        last_progress = Instant::now();
                    }
                }
                Some(record) = appeared.recv() => {
                    last_progress = Instant::now();
                    if oracle.appeared(&record.id, record.key()) && let Some(at) = queued_at.get(&record.id) {
                        latencies_ms.push(record.at.duration_since(*at).as_secs_f64() * 1000.0);
                    }
                    if samples.len() < self.samples {
                        samples.push(record);
                    }
                }
                () = stop.cancelled() => {}
            }
        }
        progress.finish();
        // Waiting for everything does not show a repeat of the very last events; a moment more does.
        while let Ok(Some(record)) = tokio::time::timeout(Duration::from_millis(300), appeared.recv()).await {
            oracle.appeared(&record.id, record.key());
        }
        let seconds = last_progress.duration_since(started).as_secs_f64();
        let still_queued = simulator.total_depth() as u64;
        latencies_ms.sort_by(f64::total_cmp);
        let verdict = oracle.verdict();
        let summary = Summary {
            deleted: queued - still_queued,
            still_queued,
            seconds,
            events_per_second: verdict.published as f64 / seconds.max(f64::EPSILON),
            queue_to_consumer_p50_ms: percentile(&latencies_ms, 0.50),
            queue_to_consumer_p99_ms: percentile(&latencies_ms, 0.99),
            verdict,
        };
        Ok((summary, samples))
    }

    /// How many events shall have been queued by now.
    fn due(&self, elapsed: Duration) -> u64 {
        due(self.rate, elapsed).min(self.events)
    }

    fn say(&self, line: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout(), "{line}") }
    }

    fn show(&self, summary: &Summary, samples: &[Appeared]) -> io::Result<()> {
        if self.json {
            return writeln!(io::stdout(), "{}", serde_json::to_string(summary)?);
        }
        for sample in samples {
            self.say(&format!("\n{}", sample.as_a_consumer_sees_it()))?;
        }
        let Summary { verdict, .. } = summary;
        self.say("")?;
        for (name, figure) in [
            ("queued", verdict.queued),
            ("published", verdict.published),
            ("deleted", summary.deleted),
            ("lost", verdict.lost),
            ("repeated", verdict.repeated),
            ("out of order", verdict.out_of_order),
        ] {
            self.say(&format!("{name:<14}{figure:>8}"))?;
        }
        self.say(&format!(
            "\nfrom GREEN-API's queue to a consumer: p50 {:.1} ms, p99 {:.1} ms; {:.0} events/s over {:.1} s",
            summary.queue_to_consumer_p50_ms,
            summary.queue_to_consumer_p99_ms,
            summary.events_per_second,
            summary.seconds
        ))?;
        let held = verdict.promise_held() && summary.still_queued == 0;
        self.say(match held {
            true => "every event arrived, in order per chat, and was deleted only then",
            false => "NOT everything arrived: see the figures above; RUST_LOG=info shows what the bridge met",
        })
    }
}

/// How many are due at `rate` a second; 0: all at once.
fn due(rate: u64, elapsed: Duration) -> u64 {
    if rate == 0 { u64::MAX } else { (elapsed.as_secs_f64() * rate as f64) as u64 }
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// The id and key a consumer has to see for `body`.
fn identity(instance: u64, body: &str) -> (String, String) {
    let body = RawValue::from_string(body.to_owned()).expect("the generator makes JSON");
    let notification = Notification { instance: InstanceId::new(instance), receipt_id: None, body: Body::Json(body) };
    let now = Timestamp::now();
    let prepared = prepare(notification, &Policy::default(), now);
    let key = prepared.record(&RecordFactory::default(), now).map(|record| record.key).unwrap_or_default();
    (prepared.id().to_string(), key)
}

fn config(simulator: &Simulator, simulated: &[SimulatedInstance], broker: &Broker) -> Config {
    let api_url = simulator.url().parse::<url::Url>().expect("the simulator knows its own address");
    let instances = simulated
        .iter()
        .map(|instance| Instance {
            id: InstanceId::new(instance.id),
            token: SecretString::from(instance.token.clone()),
            api_url: api_url.clone(),
            receive_timeout: Duration::from_secs(20),
            receive: Receive::Poll,
        })
        .collect();
    Config { instances, ..bridge::config(broker) }
}
