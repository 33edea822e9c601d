//! The running daemon: waits for Kafka, receives, applies each new configuration, and drains at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::background::Background;
use super::chatapp::ChatApp;
use super::fleet::Fleet;
use super::listeners::Shares;
use super::reload::Reloads;
use super::{DELIVERING, RunError, framing, policy, records};
use crate::config::{Config, ConfigError};
use crate::core::bridge::Bridge;
use crate::core::publish::kafka::KafkaPublisher;
use crate::core::schema_registry::SchemaRegistry;
use crate::redact::Redactor;
use crate::supervisor::keep_running;
use crate::watch::kafka_watch::KafkaWatch;
use crate::watch::otlp::Exporting;
use crate::watch::readiness::{Latch, Readiness};
use crate::watch::systemd::Systemd;
use crate::watch::telemetry::config::LiveConfig;

/// The part of the grace period that is reserved for the flush.
const FLUSH_MIN: Duration = Duration::from_millis(500);
/// How long the admin server's clients have at the end to finish reading.
const LAST_SCRAPE_MAX: Duration = Duration::from_millis(500);

/// All parts of the daemon.
pub(super) struct Daemon {
    /// The configuration at the start.
    pub(super) config: Config,
    pub(super) publisher: Arc<KafkaPublisher>,
    pub(super) registry: Option<SchemaRegistry>,
    pub(super) kafka: Arc<KafkaWatch>,
    pub(super) readiness: Readiness,
    /// Keeps the process from being ready until Kafka was found.
    pub(super) all_found: Option<Latch>,
    pub(super) background: Background,
    pub(super) exporting: Option<Exporting>,
    pub(super) chatapp: Option<ChatApp>,
    pub(super) live: Live,
    pub(super) stop: CancellationToken,
}

/// What a new configuration changes, and where new configurations come from.
pub(super) struct Live {
    pub(super) reloads: Option<Reloads>,
    pub(super) fleet: Fleet,
    pub(super) shares: Shares,
    pub(super) redactor: Redactor,
    /// The configuration at the start, but with the current instances.
    pub(super) config: Config,
    pub(super) shown: Arc<LiveConfig>,
    pub(super) systemd: Arc<Systemd>,
    /// What the process is doing, for systemd.
    pub(super) doing: &'static str,
}

impl Daemon {
    /// Returns the bridge once Kafka has answered, and the schema registry if there is one. `None` if it is stopped
    /// before.
    pub(super) async fn wait_for_kafka(&mut self) -> Option<Arc<Bridge<Arc<KafkaPublisher>>>> {
        let kafka = Arc::clone(&self.kafka);
        let search = keep_running("the search for Kafka", self.stop.clone(), move || Arc::clone(&kafka).found());
        let form = framing::value_form(&self.config, self.registry.as_ref());
        let found = async { tokio::join!(search, form) };
        let ((), form) = self.stop.run_until_cancelled(self.live.until(found)).await?;
        let bridge = Bridge::new(Arc::clone(&self.publisher), records(&self.config, form), policy(&self.config));
        Some(Arc::new(bridge.with_redactor(self.live.redactor.clone())))
    }

    /// Starts receiving.
    pub(super) fn receive(&mut self, bridge: Arc<Bridge<Arc<KafkaPublisher>>>) {
        drop(self.all_found.take());
        self.live.doing = DELIVERING;
        self.live.systemd.status(DELIVERING);
        info!("Kafka is there; receiving begins");
        if let Some(chatapp) = &mut self.chatapp {
            chatapp.deliver(Arc::clone(&bridge));
        }
        self.live.fleet.begin(bridge);
    }

    /// Watches Kafka and applies new configurations, until the stop.
    pub(super) async fn until_stopped(&mut self) {
        let kafka = Arc::clone(&self.kafka);
        let watch = keep_running("the watch over Kafka", self.stop.clone(), move || Arc::clone(&kafka).watch());
        self.stop.run_until_cancelled(self.live.until(watch)).await;
    }

    /// Lets everything in hand finish, within the grace period.
    ///
    /// # Errors
    /// If the stop was not asked for: a part ended by itself.
    pub(super) async fn drain(mut self) -> Result<(), RunError> {
        self.readiness.stopping();
        self.live.systemd.stopping();
        let deadline = Instant::now() + self.config.shutdown_timeout.saturating_sub(FLUSH_MIN + LAST_SCRAPE_MAX);
        if tokio::time::timeout_at(deadline, self.ended()).await.is_err() {
            warn!(
                still_busy = self.live.fleet.busy() + self.chatapp.as_ref().map_or(0, ChatApp::busy),
                timeout_seconds = self.config.shutdown_timeout.as_secs(),
                "the grace period is over; what is in hand was not deleted and comes again after the next start"
            );
            self.live.fleet.abort().await;
            if let Some(chatapp) = &mut self.chatapp {
                chatapp.abort().await;
            }
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(FLUSH_MIN);
        let exporting = self.exporting.take();
        tokio::join!(Arc::clone(&self.publisher).flush(left), async {
            if let Some(exporting) = exporting {
                exporting.flush(left).await;
            }
        });
        // Last, so that a final scrape sees the end. But a slow reader does not keep the process alive.
        let broken = self.background.broken();
        if !self.background.end(LAST_SCRAPE_MAX).await {
            info!("a client of the admin server was still reading");
        }
        info!("stopped");
        broken.map_or(Ok(()), |what| Err(RunError::Broken(what)))
    }

    /// Returns when everything that delivers has ended.
    async fn ended(&mut self) {
        tokio::join!(self.live.fleet.ended(), async {
            if let Some(chatapp) = &mut self.chatapp {
                chatapp.ended().await;
            }
        });
    }
}

impl Live {
    /// Applies new configurations until `done`.
    async fn until<T>(&mut self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            let next = async {
                match &mut self.reloads {
                    Some(reloads) => reloads.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = &mut done => return done,
                () = self.fleet.tidy() => {}
                read = next => self.reload(read),
            }
        }
    }

    fn reload(&mut self, read: Result<Config, ConfigError>) {
        self.systemd.reloading();
        match read {
            Ok(new) => {
                self.redactor.configured(new.secrets());
                let waiting_for_restart = self.config.needs_restart_for(&new);
                let changes = self.fleet.set_instances(&new.instances);
                self.config.instances = new.instances;
                self.shares.share_out(&self.config);
                info!(%changes, "the configuration was read again, and its instances are live");
                if !waiting_for_restart.is_empty() {
                    warn!(
                        changed = waiting_for_restart.join(", "),
                        "changes outside of the instances take effect at the next restart"
                    );
                }
                self.shown.replaced(waiting_for_restart);
            }
            Err(refused) => {
                error!(
                    %refused,
                    "the new configuration is refused as a whole; the one before lives on: mend it, then reload"
                );
                self.shown.refused(&refused);
            }
        }
        self.systemd.ready(self.doing);
    }
}
