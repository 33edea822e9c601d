//! The same with ChatApp: a simulated one, the *real* bridge with its spool in a temporary folder, and a consumer. Half
//! way the Pusher server is killed, so that there is something to tell, and something to fetch.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep};
use tokio_util::sync::CancellationToken;

use super::bridge::{self, RunningBridge};
use super::broker::{Appeared, Broker};
use super::progress::Progress;
use super::{DemoError, LATENCY, STALLED, due, percentile};
use crate::config::{ChatApp, Config, Login};
use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{Act, ChatAppSimulator, ChatAppSimulatorConfig, PublicationId};

mod judge;

use judge::{Judge, Sighting, Verdict};

/// The simulator's journal of all events is kept in memory for the judge.
pub(crate) const CHATAPP_EVENTS_MAX: u64 = 100_000;
/// How long the Pusher server is away.
const DOWNTIME: Duration = Duration::from_millis(1_500);
/// Gaps reach back so far, as by default: a busy machine reads late what was sent before the server was killed.
const GAP_OVERLAP: Duration = Duration::from_secs(120);
/// What is lost is told one by one up to here.
const LOST_TOLD_MAX: usize = 10;
/// A little less than the 50 that ChatApp allows.
const REQUESTS_PER_SECOND_MAX: u32 = 45;

/// What the demo shall do.
#[derive(Debug, Clone)]
pub(crate) struct ChatAppDemo {
    /// Events over all channels.
    pub events: u64,
    /// Events a second over all channels; 0: all at once, but for the pause in the middle.
    pub rate: u64,
    /// An existing Kafka, instead of the one in the process.
    pub brokers: Option<String>,
    /// Records shown as a consumer sees them.
    pub samples: usize,
    /// The summary for machines.
    pub json: bool,
}

/// The figures at the end.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    verdict: Verdict,
    seconds: f64,
    events_per_second: f64,
    /// From ChatApp's push to a consumer's hands.
    push_to_consumer_p50_ms: f64,
    push_to_consumer_p99_ms: f64,
    /// Whether the demo came to its end, with all events.
    complete: bool,
}

impl Summary {
    fn held(&self) -> bool {
        self.complete && self.verdict.promise_held()
    }
}

impl ChatAppDemo {
    /// Runs the demo; true if the promise held for every event. `stop` ends it early.
    ///
    /// # Errors
    /// Where it could not be run.
    pub(crate) async fn run(&self, stop: CancellationToken) -> Result<bool, DemoError> {
        let simulated = ChatAppSimulatorConfig { latency: LATENCY, ..ChatAppSimulatorConfig::default() };
        let simulator = ChatAppSimulator::start(simulated.clone()).await?;
        let broker = Broker::start(self.brokers.clone())?;
        let state = StateDir::new();
        let chatapp = Some(chatapp(&simulator, &simulated, &state));
        let bridge = RunningBridge::start(Config { chatapp, ..bridge::config(&broker) }).await?;
        self.say(&format!(
            "ChatApp simulator at {}, its Pusher server at {}, {}, metrics at {}",
            simulator.api_url(),
            simulator.socket_url(),
            broker.description(),
            bridge.metrics_url()
        ))?;
        let outcome = self.watch(&simulator, &simulated, broker.consume().await?, &stop).await;
        bridge.end().await?;
        let (summary, samples) = outcome?;
        self.show(&summary, &samples)?;
        simulator.stop().await;
        Ok(summary.held())
    }

    /// Publishes events at the wanted rate, kills the Pusher server half way, and judges what arrives until all of it is
    /// accounted for.
    async fn watch(
        &self,
        simulator: &ChatAppSimulator,
        simulated: &ChatAppSimulatorConfig,
        mut appeared: mpsc::Receiver<Appeared>,
        stop: &CancellationToken,
    ) -> Result<(Summary, Vec<Appeared>), DemoError> {
        let channels = simulated.generated_channels();
        tokio::select! {
            () = all_subscribed(simulator, &channels) => {}
            () = stop.cancelled() => {}
            () = sleep(STALLED) => return Err(DemoError::NotHeard(STALLED)),
        }
        let mut generator = Generator::new(simulated, 1).with_unique_items();
        let mut judge = Judge::default();
        let mut pushed_at: HashMap<PublicationId, Instant> = HashMap::new();
        let mut latencies_ms: Vec<f64> = Vec::new();
        let mut samples = Samples::new(self.samples);
        let mut progress = Progress::new(self.events, self.json);
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let kill_at = self.events / 2;
        // While the server is away, and at whatever rate: some events nobody hears, and some that are pushed afterwards.
        let unheard_max = (self.events * 3 / 4).max(kill_at + 1);
        let started = Instant::now();
        let mut last_progress = Instant::now();
        let (mut sent, mut is_away, mut complete) = (0, false, false);
        let mut back = Box::pin(all_subscribed(simulator, &channels));

        while !complete && !stop.is_cancelled() && last_progress.elapsed() < STALLED {
            tokio::select! {
                _ = ticks.tick() => {
                    while sent < due(self.rate, started.elapsed()).min(if is_away { unheard_max } else { self.events }) {
                        if sent == kill_at {
                            let downtime_ms = DOWNTIME.as_millis() as u64;
                            simulator.act(&Act::Restart { downtime_ms, killed: true });
                            judge.cut(&channels, Timestamp::now());
                            is_away = true;
                            back.set(all_subscribed(simulator, &channels));
                        }
                        let at = Instant::now();
                        pushed_at.insert(simulator.publish(&generator.event()), at);
                        sent += 1;
                        last_progress = Instant::now();
                    }
                    judge.read(&simulator.journal_after(judge.read_to()));
                    let (published, fetched, gaps) = (judge.published(), judge.fetched(), judge.gaps());
                    progress.show(sent, || {
                        let events = self.events;
                        format!("sent {sent}/{events}  published {published}  gaps told {gaps}  fetched {fetched}")
                    });
                    complete = sent == self.events && !is_away && judge.publications() == sent && judge.is_settled();
                }
                () = &mut back, if is_away => {
                    is_away = false;
                    last_progress = Instant::now();
                }
                Some(record) = appeared.recv() => {
                    last_progress = Instant::now();
                    // What was published is in the journal before it is anywhere else.
                    judge.read(&simulator.journal_after(judge.read_to()));
                    let sighting = judge.appeared(record.key(), record.value());
                    if let Sighting::Pushed(publication) = sighting && let Some(at) = pushed_at.get(&publication) {
                        latencies_ms.push(record.at.duration_since(*at).as_secs_f64() * 1000.0);
                    }
                    samples.offer(record, sighting);
                }
                () = stop.cancelled() => {}
            }
        }
        progress.finish();
        // Waiting for everything does not show a repeat of the very last events; a moment more does.
        while let Ok(Some(record)) = tokio::time::timeout(Duration::from_millis(300), appeared.recv()).await {
            judge.appeared(record.key(), record.value());
        }
        let seconds = last_progress.duration_since(started).as_secs_f64();
        latencies_ms.sort_by(f64::total_cmp);
        let verdict = judge.verdict();
        for lost in judge.lost().into_iter().take(LOST_TOLD_MAX) {
            tracing::warn!("lost: {lost}");
        }
        let summary = Summary {
            seconds,
            events_per_second: verdict.published as f64 / seconds.max(f64::EPSILON),
            push_to_consumer_p50_ms: percentile(&latencies_ms, 0.50),
            push_to_consumer_p99_ms: percentile(&latencies_ms, 0.99),
            complete,
            verdict,
        };
        Ok((summary, samples.taken()))
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
            ("sent", verdict.sent),
            ("published", verdict.published),
            ("fetched", verdict.fetched),
            ("told missing", verdict.told_missing),
            ("gaps told", verdict.gaps),
            ("gaps untold", verdict.untold),
            ("lost", verdict.lost),
            ("repeated", verdict.repeated),
            ("out of order", verdict.out_of_order),
        ] {
            self.say(&format!("{name:<14}{figure:>8}"))?;
        }
        self.say(&format!(
            "\nfrom ChatApp's push to a consumer: p50 {:.1} ms, p99 {:.1} ms; {:.0} events/s over {:.1} s",
            summary.push_to_consumer_p50_ms,
            summary.push_to_consumer_p99_ms,
            summary.events_per_second,
            summary.seconds
        ))?;
        self.say(match summary.held() {
            true => {
                "the Pusher server was killed half way: every message arrived, pushed or fetched, in order per chat as \
                 pushed, and of everything that cannot be fetched a gap event tells"
            }
            false => "NOT everything is accounted for: see the figures above; RUST_LOG=info shows what the bridge met",
        })
    }
}

async fn all_subscribed(simulator: &ChatAppSimulator, channels: &[String]) {
    for channel in channels {
        simulator.subscribed(channel, 1).await;
    }
}

/// Records of each sort, to be shown: the first ones that were pushed, that tell of gaps, that were fetched.
struct Samples {
    wanted: usize,
    taken: [Vec<Appeared>; 3],
}

impl Samples {
    fn new(wanted: usize) -> Self {
        Self { wanted, taken: Default::default() }
    }

    fn offer(&mut self, record: Appeared, sighting: Sighting) {
        let [pushed, gaps, fetched] = &mut self.taken;
        let sort = match sighting {
            Sighting::Pushed(_) => pushed,
            Sighting::Gap => gaps,
            Sighting::Fetched => fetched,
            Sighting::Repeat | Sighting::Unexpected => return,
        };
        if sort.len() < self.wanted.div_ceil(3) {
            sort.push(record);
        }
    }

    fn taken(self) -> Vec<Appeared> {
        self.taken.into_iter().flatten().take(self.wanted).collect()
    }
}

/// Where this bridge keeps its tokens and its spool; gone with this value.
struct StateDir(PathBuf);

impl StateDir {
    fn new() -> Self {
        // The bridge makes it, for nobody else's eyes.
        Self(std::env::temp_dir().join(format!("chatbridge-demo-{}-{:08x}", std::process::id(), fastrand::u32(..))))
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Where there is none, the bridge did not get so far.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn chatapp(simulator: &ChatAppSimulator, simulated: &ChatAppSimulatorConfig, state: &StateDir) -> ChatApp {
    let own = "the simulator knows its own address";
    let secret = |text: &str| SecretString::from(text.to_owned());
    let login = &simulated.login;
    ChatApp {
        api_url: simulator.api_url().parse().expect(own),
        socket_url: simulator.socket_url().parse().expect(own),
        app_key: simulated.app.key.clone(),
        login: Some(Login {
            email: secret(&login.email),
            password: secret(&login.password),
            app_id: login.app_id.clone(),
        }),
        access_token: None,
        refresh_token: None,
        lang: "en".to_owned(),
        channels: Vec::new(),
        state_dir: state.0.clone(),
        seal: None,
        spool_bytes_max: 1024 * 1024 * 1024,
        backfill: true,
        reconcile_interval: None,
        gap_overlap: GAP_OVERLAP,
        requests_per_second_max: REQUESTS_PER_SECOND_MAX,
        request_timeout: Duration::from_secs(10),
        response_bytes_max: 8 * 1024 * 1024,
        callback_secret: None,
    }
}
