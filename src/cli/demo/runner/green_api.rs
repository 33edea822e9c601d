//! A simulated GREEN-API with some instances. The oracle is the judge.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::broker::Appeared;
use super::{Judged, LATENCY, Pace, Sight, Sighting, Trial};
use crate::config::{Config, Instance, Receive};
use crate::core::policy::Policy;
use crate::core::prepared::prepare;
use chatbridge_event::event::{Body, InstanceId, Notification};
use chatbridge_event::record::RecordFactory;
use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalConfig, SimulatedInstance, Simulator, SimulatorConfig};
use chatbridge_lab::oracle::{Oracle, Verdict};

/// The first simulated WhatsApp instance. The others follow.
const FIRST_WHATSAPP: u64 = 1_101_000_001;
/// Ids of MAX instances begin with 3100. If there are several instances, the last one is of MAX.
const MAX_INSTANCE: u64 = 3_100_000_001;
/// The identity and time of queued events are kept in memory for the final verdict.
pub(crate) const EVENTS_MAX: u64 = 1_000_000;
/// The maximum number of simulated instances.
pub(crate) const INSTANCES_MAX: u64 = 1_000;

/// The upstream and the judge.
pub(crate) struct GreenApi {
    simulator: Simulator,
    instances: Vec<SimulatedInstance>,
    generators: Vec<Generator>,
    events: u64,
    oracle: Oracle,
    queued_at: HashMap<String, Instant>,
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

impl GreenApi {
    /// Starts with this many events over this many instances.
    pub(crate) async fn start(instances: u64, events: u64) -> io::Result<Self> {
        let mut ids: Vec<u64> = (1..instances).map(|n| FIRST_WHATSAPP + n - 1).collect();
        ids.push(if instances > 1 { MAX_INSTANCE } else { FIRST_WHATSAPP });
        let instances: Vec<SimulatedInstance> =
            ids.iter().map(|id| SimulatedInstance::new(*id, format!("{:032x}", fastrand::u128(..)))).collect();
        let simulator = Simulator::start(SimulatorConfig {
            instances: instances.clone(),
            latency: LATENCY,
            journal: JournalConfig::off(),
            ..SimulatorConfig::default()
        })
        .await?;
        let generators = ids.iter().map(|id| Generator::new(*id, 1)).collect();
        Ok(Self { simulator, instances, generators, events, oracle: Oracle::default(), queued_at: HashMap::new() })
    }
}

impl Trial for GreenApi {
    const FROM: &'static str = "GREEN-API's queue";
    const KEPT: &'static str = "every event arrived, in order per chat, and was deleted only then";
    const BROKEN: &'static str =
        "NOT everything arrived: see the figures above; RUST_LOG=info shows what the bridge met";
    const SORTS: usize = 1;

    fn description(&self) -> String {
        format!("GREEN-API simulator at {}", self.simulator.url())
    }

    fn configure(&self, config: Config) -> Config {
        let api_url: url::Url = self.simulator.url().parse().expect("the simulator knows its own address");
        let instance = |instance: &SimulatedInstance| Instance {
            id: InstanceId::new(instance.id),
            token: SecretString::from(instance.token.clone()),
            api_url: api_url.clone(),
            receive_timeout: Duration::from_secs(20),
            receive: Receive::Poll,
        };
        Config { instances: self.instances.iter().map(instance).collect(), ..config }
    }

    async fn heard(&self) {}

    fn events_max(&self) -> u64 {
        self.events
    }

    fn send(&mut self, sent: u64) -> io::Result<()> {
        let turn = (sent % self.instances.len() as u64) as usize;
        let (instance, body) = (self.instances[turn].id, self.generators[turn].body());
        let (id, key) = identity(instance, &body);
        self.queued_at.insert(id.clone(), Instant::now());
        self.oracle.queued(id, instance, key);
        self.simulator.enqueue(instance, body).map(drop).map_err(io::Error::other)
    }

    fn look(&mut self, sent: u64) -> Sight {
        let (events, published) = (self.events, self.oracle.published());
        let deleted = sent - self.simulator.total_depth() as u64;
        Sight {
            done: deleted,
            told: format!("queued {sent}/{events}  published {published}  deleted {deleted}"),
            is_settled: published == sent && deleted == sent,
        }
    }

    async fn changed(&mut self) {
        std::future::pending().await
    }

    fn appeared(&mut self, record: &Appeared) -> Sighting {
        let is_first = self.oracle.appeared(&record.id, record.key());
        let sent_at = is_first.then(|| self.queued_at.get(&record.id).copied()).flatten();
        Sighting { sent_at, sort: Some(0) }
    }

    fn published(&self) -> u64 {
        self.oracle.verdict().published
    }

    fn judge(&self, pace: Pace) -> Judged {
        let (verdict, still_queued) = (self.oracle.verdict(), self.simulator.total_depth() as u64);
        let deleted = verdict.queued - still_queued;
        let figures = vec![
            ("queued", verdict.queued),
            ("published", verdict.published),
            ("deleted", deleted),
            ("lost", verdict.lost),
            ("repeated", verdict.repeated),
            ("out of order", verdict.out_of_order),
        ];
        let held = verdict.promise_held() && still_queued == 0;
        let summary = Summary {
            verdict,
            deleted,
            still_queued,
            seconds: pace.seconds,
            events_per_second: pace.events_per_second,
            queue_to_consumer_p50_ms: pace.p50_ms,
            queue_to_consumer_p99_ms: pace.p99_ms,
        };
        Judged { json: serde_json::to_string(&summary), figures, held }
    }

    async fn stop(self) {
        self.simulator.stop().await;
    }
}

/// The id and key that a consumer has to see for `body`.
fn identity(instance: u64, body: &str) -> (String, String) {
    let body = RawValue::from_string(body.to_owned()).expect("the generator makes JSON");
    let notification = Notification { instance: InstanceId::new(instance), receipt_id: None, body: Body::Json(body) };
    let now = Timestamp::now();
    let prepared = prepare(notification, &Policy::default(), now);
    let key = prepared.record(&RecordFactory::default(), now).map(|record| record.key).unwrap_or_default();
    (prepared.id().to_string(), key)
}
