//! A simulated ChatApp, the bridge's spool in a temporary folder, and a judge. Half way through, the Pusher server is
//! killed, so that there is a gap to report and something to fetch.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use tokio::time::Instant;

use super::broker::Appeared;
use super::{Judged, LATENCY, Pace, Sight, Trial};
use crate::config::{ChatApp as ChatAppConfig, Config, Login};
use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{Act, ChatAppSimulator, ChatAppSimulatorConfig, PublicationId};

mod judge;

use judge::{Judge, Sighting, Verdict};

/// The simulator's journal of all events is kept in memory for the judge.
pub(crate) const CHATAPP_EVENTS_MAX: u64 = 100_000;
/// How long the Pusher server is away.
const DOWNTIME_MS: u64 = 1_500;
/// Gaps reach back this far, which is the default: a busy machine may read late what was sent before the server was
/// killed.
const GAP_OVERLAP: Duration = Duration::from_secs(120);
/// At most this many lost events are listed.
const LOST_TOLD_MAX: usize = 10;
/// A little less than the 50 that ChatApp allows.
const REQUESTS_PER_SECOND_MAX: u32 = 45;

/// The upstream and the judge.
pub(crate) struct ChatApp {
    simulator: ChatAppSimulator,
    simulated: ChatAppSimulatorConfig,
    channels: Vec<String>,
    state: StateDir,
    generator: Generator,
    events: u64,
    is_away: bool,
    judge: Judge,
    pushed_at: HashMap<PublicationId, Instant>,
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

impl ChatApp {
    /// Starts with this many events over all channels.
    pub(crate) async fn start(events: u64) -> io::Result<Self> {
        let simulated = ChatAppSimulatorConfig { latency: LATENCY, ..ChatAppSimulatorConfig::default() };
        Ok(Self {
            simulator: ChatAppSimulator::start(simulated.clone()).await?,
            channels: simulated.generated_channels(),
            state: StateDir::new(),
            generator: Generator::new(&simulated, 1).with_unique_items(),
            simulated,
            events,
            is_away: false,
            judge: Judge::default(),
            pushed_at: HashMap::new(),
        })
    }

    fn kill_at(&self) -> u64 {
        self.events / 2
    }

    fn read_journal(&mut self) {
        self.judge.read(&self.simulator.journal_after(self.judge.read_to()));
    }
}

impl Trial for ChatApp {
    const FROM: &'static str = "ChatApp's push";
    const KEPT: &'static str = "the Pusher server was killed half way: every message arrived, pushed or fetched, in order per chat \
         as pushed, and of everything that cannot be fetched a gap event tells";
    const BROKEN: &'static str =
        "NOT everything is accounted for: see the figures above; RUST_LOG=info shows what the bridge met";
    /// Pushed, reporting a gap, fetched.
    const SORTS: usize = 3;

    fn description(&self) -> String {
        let (api, socket) = (self.simulator.api_url(), self.simulator.socket_url());
        format!("ChatApp simulator at {api}, its Pusher server at {socket}")
    }

    fn configure(&self, config: Config) -> Config {
        let own = "the simulator knows its own address";
        let secret = |text: &str| SecretString::from(text.to_owned());
        let login = &self.simulated.login;
        let chatapp = ChatAppConfig {
            api_url: self.simulator.api_url().parse().expect(own),
            socket_url: self.simulator.socket_url().parse().expect(own),
            app_key: self.simulated.app.key.clone(),
            login: Some(Login {
                email: secret(&login.email),
                password: secret(&login.password),
                app_id: login.app_id.clone(),
            }),
            access_token: None,
            refresh_token: None,
            lang: "en".to_owned(),
            channels: Vec::new(),
            state_dir: self.state.0.clone(),
            seal: None,
            spool_bytes_max: 1024 * 1024 * 1024,
            backfill: true,
            reconcile_interval: None,
            gap_overlap: GAP_OVERLAP,
            requests_per_second_max: REQUESTS_PER_SECOND_MAX,
            request_timeout: Duration::from_secs(10),
            response_bytes_max: 8 * 1024 * 1024,
            callback_secret: None,
        };
        Config { chatapp: Some(chatapp), ..config }
    }

    async fn heard(&self) {
        for channel in &self.channels {
            self.simulator.subscribed(channel, 1).await;
        }
    }

    fn events_max(&self) -> u64 {
        // While the server is away some events are sent that nobody hears, and some are left that are pushed
        // afterwards.
        if self.is_away { (self.events * 3 / 4).max(self.kill_at() + 1) } else { self.events }
    }

    fn send(&mut self, sent: u64) -> io::Result<()> {
        if sent == self.kill_at() {
            self.simulator.act(&Act::Restart { downtime_ms: DOWNTIME_MS, killed: true });
            self.judge.cut(&self.channels, Timestamp::now());
            self.is_away = true;
        }
        let at = Instant::now();
        self.pushed_at.insert(self.simulator.publish(&self.generator.event()), at);
        Ok(())
    }

    fn look(&mut self, sent: u64) -> Sight {
        self.read_journal();
        let Self { events, judge, .. } = self;
        let (published, fetched, gaps) = (judge.published(), judge.fetched(), judge.gaps());
        Sight {
            done: sent,
            told: format!("sent {sent}/{events}  published {published}  gaps told {gaps}  fetched {fetched}"),
            is_settled: !self.is_away && judge.publications() == sent && judge.is_settled(),
        }
    }

    /// The server is back.
    async fn changed(&mut self) {
        if !self.is_away {
            return std::future::pending().await;
        }
        self.heard().await;
        self.is_away = false;
    }

    fn appeared(&mut self, record: &Appeared) -> super::Sighting {
        // What was published is in the journal before it is anywhere else.
        self.read_journal();
        let (sent_at, sort) = match self.judge.appeared(record.key(), record.value()) {
            Sighting::Pushed(publication) => (self.pushed_at.get(&publication).copied(), Some(0)),
            Sighting::Gap => (None, Some(1)),
            Sighting::Fetched => (None, Some(2)),
            Sighting::Repeat | Sighting::Unexpected => (None, None),
        };
        super::Sighting { sent_at, sort }
    }

    fn published(&self) -> u64 {
        self.judge.published()
    }

    fn judge(&self, pace: Pace) -> Judged {
        for lost in self.judge.lost().into_iter().take(LOST_TOLD_MAX) {
            tracing::warn!("lost: {lost}");
        }
        let verdict = self.judge.verdict();
        let figures = vec![
            ("sent", verdict.sent),
            ("published", verdict.published),
            ("fetched", verdict.fetched),
            ("told missing", verdict.told_missing),
            ("gaps told", verdict.gaps),
            ("gaps untold", verdict.untold),
            ("lost", verdict.lost),
            ("repeated", verdict.repeated),
            ("out of order", verdict.out_of_order),
        ];
        let held = pace.is_complete && verdict.promise_held();
        let summary = Summary {
            verdict,
            seconds: pace.seconds,
            events_per_second: pace.events_per_second,
            push_to_consumer_p50_ms: pace.p50_ms,
            push_to_consumer_p99_ms: pace.p99_ms,
            complete: pace.is_complete,
        };
        Judged { json: serde_json::to_string(&summary), figures, held }
    }

    async fn stop(self) {
        self.simulator.stop().await;
    }
}

/// The directory of this bridge's tokens and spool. It is removed when this value is dropped.
struct StateDir(PathBuf);

impl StateDir {
    fn new() -> Self {
        // The bridge creates it, with access for its own user only.
        Self(std::env::temp_dir().join(format!("chatbridge-demo-{}-{:08x}", std::process::id(), fastrand::u32(..))))
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // If it does not exist, the bridge did not get that far.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
