//! The running daemon: it waits for Kafka, receives, lives by each new configuration, and drains at the end.

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

/// The part of the grace period that belongs to the flush.
const FLUSH_MIN: Duration = Duration::from_millis(500);
/// What the admin server's clients get at the end for what they are reading.
const LAST_SCRAPE_MAX: Duration = Duration::from_millis(500);

/// Every part, joined.
pub(super) struct Daemon {
    /// As it was at the start.
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

/// What another configuration changes, and where it comes from.
pub(super) struct Live {
    pub(super) reloads: Option<Reloads>,
    pub(super) fleet: Fleet,
    pub(super) shares: Shares,
    pub(super) redactor: Redactor,
    /// As it was at the start, with the instances of now.
    pub(super) config: Config,
    pub(super) shown: Arc<LiveConfig>,
    pub(super) systemd: Arc<Systemd>,
    /// What the process is doing, for systemd.
    pub(super) doing: &'static str,
}

impl Daemon {
    /// Returns with the way to Kafka when Kafka is there, and the schema registry where there is one; `None` when it is
    /// stopped before.
    pub(super) async fn wait_for_kafka(&mut self) -> Option<Arc<Bridge<Arc<KafkaPublisher>>>> {
        let kafka = Arc::clone(&self.kafka);
        let search = keep_running("the search for Kafka", self.stop.clone(), move || Arc::clone(&kafka).found());
        let form = framing::value_form(&self.config, self.registry.as_ref());
        let found = async { tokio::join!(search, form) };
        let ((), form) = self.stop.run_until_cancelled(self.live.until(found)).await?;
        let bridge = Bridge::new(Arc::clone(&self.publisher), records(&self.config, form), policy(&self.config));
        Some(Arc::new(bridge.with_redactor(self.live.redactor.clone())))
    }

    /// Receiving begins.
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

    /// Watches Kafka, and lives by whatever configuration comes, until the stop.
    pub(super) async fn until_stopped(&mut self) {
        let kafka = Arc::clone(&self.kafka);
        let watch = keep_running("the watch over Kafka", self.stop.clone(), move || Arc::clone(&kafka).watch());
        self.stop.run_until_cancelled(self.live.until(watch)).await;
    }

    /// Lets what is in hand come to its end, within the grace period.
    ///
    /// # Errors
    /// Where the stop was not asked for: a part had come to its end.
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
        // Last, so that a final scrape sees the end; but nobody who reads slowly holds the process.
        let broken = self.background.broken();
        if !self.background.end(LAST_SCRAPE_MAX).await {
            info!("a client of the admin server was still reading");
        }
        info!("stopped");
        broken.map_or(Ok(()), |what| Err(RunError::Broken(what)))
    }

    /// Returns when everything that delivers has come to its end.
    async fn ended(&mut self) {
        tokio::join!(self.live.fleet.ended(), async {
            if let Some(chatapp) = &mut self.chatapp {
                chatapp.ended().await;
            }
        });
    }
}

impl Live {
    /// Lives by whatever configuration comes, until `done`.
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
                error!(%refused, "the new configuration is refused as a whole; the one before lives on: mend it, then reload");
                self.shown.refused(&refused);
            }
        }
        self.systemd.ready(self.doing);
    }
}
