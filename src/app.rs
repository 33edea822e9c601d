//! The composition root: builds the parts, joins them, and lets them end in the right order. It alone knows everybody.

pub mod reload;
pub mod webhook;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::reload::Reloads;
use crate::chatapp::push::Callback;
use crate::config::{Config, ConfigError, GreenApi};
use crate::core::bridge::Bridge;
use crate::core::policy::Policy;
use crate::core::publish::kafka::{KafkaPublisher, ProducerError, librdkafka_features, librdkafka_version};
use crate::core::schema_registry::SchemaRegistry;
use crate::green_api::watch;
use crate::inbound::tls::{Certificate, TlsError};
use crate::redact::Redactor;
use crate::supervisor::keep_running;
use crate::watch::admin::{self, Shown};
use crate::watch::kafka_watch::KafkaWatch;
use crate::watch::otlp::{Exporting, OtlpError};
use crate::watch::readiness::Readiness;
use crate::watch::systemd::Systemd;
use crate::watch::telemetry::chatapp_view::ChatAppShown;
use crate::watch::telemetry::config::LiveConfig;
use crate::watch::telemetry::loss_radar::Thresholds;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;
use chatbridge_event::record::{RecordFactory, ValueForm};

mod background;
mod chatapp;
mod clients;
mod fleet;
mod framing;
mod listeners;
mod spans;

use background::Background;
use chatapp::ChatApp;
use fleet::Fleet;
use listeners::Shares;

pub use chatapp::ChatAppError;
pub use clients::{InstanceClients, chatapp_api};
pub use framing::registry;

/// How often an operator is reminded of a schema registry that stays away.
const REMINDER: Duration = Duration::from_secs(60);
/// What `systemctl status` shows.
const WAITING: &str = "waiting for Kafka, and the schema registry where there is one";
const DELIVERING: &str = "delivering";
/// A queue's length that could not be asked so many times in a row is no longer known.
const QUEUE_DEPTH_MISSES_MAX: u32 = 3;
/// The part of the grace period that belongs to the flush.
const FLUSH_MIN: Duration = Duration::from_millis(500);
/// What the admin server's clients get at the end for what they are reading.
const LAST_SCRAPE_MAX: Duration = Duration::from_millis(500);

/// Why the daemon did not start (exit code 1: try again).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refused the configuration.
    #[error(transparent)]
    Kafka(#[from] ProducerError),
    /// The webhook's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS towards GREEN-API or a schema registry cannot be set up.
    #[error("failed to make the HTTP client (are the system's root certificates installed?): {0}")]
    Http(#[source] reqwest::Error),
    /// ChatApp cannot be received.
    #[error(transparent)]
    ChatApp(#[from] ChatAppError),
    /// Spans cannot be exported.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// Where the daemon is called.
pub struct Listeners {
    /// By who watches it.
    pub admin: TcpListener,
    /// By GREEN-API and ChatApp: there where [`Config::webhook`] is.
    pub webhook: Option<TcpListener>,
}

/// Runs the bridge until `stop`, then drains it. The admin server answers throughout. Configurations that `reloads` gives replace the one before, as far as they can without a restart.
///
/// # Errors
/// Where a part cannot be built. Once running nothing ends it but `stop`: a broker or an instance that is away is
/// waited for.
pub async fn run(
    config: Config,
    listeners: Listeners,
    reloads: Option<Reloads>,
    redactor: Redactor,
    stop: CancellationToken,
) -> Result<(), StartError> {
    redactor.configured(config.secrets());
    let publisher = Arc::new(KafkaPublisher::new(&config.kafka)?);
    let registry = framing::registry(&config, &redactor).map_err(StartError::Http)?;
    let tls = config.webhook.as_ref().and_then(|webhook| webhook.tls.as_ref());
    let certificate = tls.map(Certificate::load).transpose()?;
    let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;

    let metrics = Arc::new(Metrics::new());
    // Before anything is opened that could take what delivery needs.
    let shares = Shares::new(&config, &metrics);
    let board = Arc::new(status_board(&config));
    let readiness = Readiness::default();
    let health = publisher.health();
    let all_found = readiness.latch();
    let background = Background::default();
    let systemd = Arc::new(Systemd::from_environment());
    let kafka = Arc::new(KafkaWatch::new(Arc::clone(&publisher), &config, Arc::clone(&board), Arc::clone(&metrics)));
    let (spans, exporting) = spans::export(&config.tracing, &metrics)?.unzip();
    let clients = InstanceClients::new(&config.green_api, &redactor).map_err(StartError::Http)?;
    let mut fleet = Fleet::new(&config, clients, Arc::clone(&metrics), Arc::clone(&board), spans, stop.clone());
    fleet.set_instances(&config.instances);
    let mut chatapp = match &config.chatapp {
        Some(chatapp) => Some(ChatApp::open(chatapp, &redactor, &metrics, stop.clone()).await?),
        None => None,
    };
    if let Some(chatapp) = &mut chatapp {
        board.watch_others(chatapp.telemetry());
        chatapp.receive();
    }
    let live = Arc::new(LiveConfig::new(Arc::clone(&metrics)));
    let shown = Shown {
        metrics: Arc::clone(&metrics),
        board: Arc::clone(&board),
        readiness: readiness.clone(),
        kafka: health,
        chatapp: chatapp.as_ref().map(|chatapp| chatapp.overview() as Arc<dyn ChatAppShown>),
        schema_registry: registry.as_ref().map(SchemaRegistry::health),
        config: Arc::clone(&live),
        redactor: redactor.clone(),
        descriptors: Arc::clone(&shares.descriptors),
        silence_max: config.silence_max(),
        started: Instant::now(),
    };
    let server = shares.admin_server(listeners.admin, &config.admin, Arc::new(metrics.admin_listener()));
    let allowed_hosts = config.admin.allowed_hosts.clone();
    background.run("the admin server", admin::serve(server, shown, allowed_hosts, background.stop.clone()));
    background.keep_running("the watch over file descriptors", &background.stop, {
        let descriptors = Arc::clone(&shares.descriptors);
        move |stop| {
            let descriptors = Arc::clone(&descriptors);
            async move { descriptors.watch(stop).await }
        }
    });
    background.watch(&systemd, &board, config.silence_max(), &stop);

    if let (Some(listener), Some(settings)) = (listeners.webhook, config.webhook.clone()) {
        let telemetry = Arc::new(metrics.webhook_calls());
        let secret = config.chatapp.as_ref().and_then(|chatapp| chatapp.callback_secret.clone());
        let callback = chatapp.as_ref().zip(secret).map(|(chatapp, secret)| Callback::new(secret, chatapp.intake()));
        let (intakes, stop) = (fleet.intakes(), stop.clone());
        if let Some(server) = shares.webhook_server(listener, acceptor, &settings, telemetry.listener()) {
            let serving = webhook::serve(server, settings, intakes, callback, telemetry, stop);
            background.run("the webhook's listener", serving);
        }
    }
    if let Some(certificate) = certificate {
        background.keep_running("the watch over the webhook's certificate", &stop, move |stop| {
            let certificate = Arc::clone(&certificate);
            async move { certificate.follow(stop).await }
        });
    }

    metrics.build_info(env!("CARGO_PKG_VERSION"), &librdkafka_version());
    info!(
        version = env!("CARGO_PKG_VERSION"), librdkafka = librdkafka_version(), features = librdkafka_features(),
        instances = config.instances.len(), topic = %config.kafka.topic, "started"
    );
    systemd.ready(WAITING);

    let (reloaded, running) = (Arc::clone(&systemd), config.clone());
    let mut reloading = Reloading {
        reloads,
        fleet,
        live,
        shares,
        redactor: redactor.clone(),
        running,
        systemd: reloaded,
        waiting_for: WAITING,
    };
    if let Some(interval) = config.green_api.watch_interval {
        let watched = reloading.fleet.watched();
        let look = move |stop| watch::watch(watched.clone(), interval, stop);
        background.keep_running("the slow look at each instance", &stop, look);
    }
    let form = framing::value_form(&config, registry.as_ref());
    let searching = Arc::clone(&kafka);
    let search = keep_running("the search for Kafka", stop.clone(), move || Arc::clone(&searching).found());
    let found = async { tokio::join!(search, form) };
    if let Some(((), form)) = stop.run_until_cancelled(reloading.until(found)).await {
        drop(all_found);
        reloading.waiting_for = DELIVERING;
        systemd.status(DELIVERING);
        info!("Kafka is there; receiving begins");
        let bridge = Bridge::new(Arc::clone(&publisher), records(&config, form), policy(&config));
        let bridge = Arc::new(bridge.with_redactor(redactor));
        if let Some(chatapp) = &mut chatapp {
            chatapp.deliver(Arc::clone(&bridge));
        }
        reloading.fleet.begin(bridge);
        let watch = keep_running("the watch over Kafka", stop.clone(), move || Arc::clone(&kafka).watch());
        stop.run_until_cancelled(reloading.until(watch)).await;
    }
    readiness.stopping();
    systemd.stopping();
    drain(&mut reloading.fleet, chatapp.as_mut(), &config, &publisher, exporting).await;
    // Last, so that a final scrape sees the end; but nobody who reads slowly holds the process.
    if !background.end(LAST_SCRAPE_MAX).await {
        info!("a client of the admin server was still reading");
    }
    info!("stopped");
    Ok(())
}

/// The fleet, and the configurations that change it.
struct Reloading {
    reloads: Option<Reloads>,
    fleet: Fleet,
    live: Arc<LiveConfig>,
    redactor: Redactor,
    shares: Shares,
    /// What runs, the instances as they are now.
    running: Config,
    systemd: Arc<Systemd>,
    /// What the process is doing, for systemd.
    waiting_for: &'static str,
}

impl Reloading {
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
                let waiting_for_restart = self.running.needs_restart_for(&new);
                let changes = self.fleet.set_instances(&new.instances);
                self.running.instances = new.instances;
                self.shares.share_out(&self.running);
                info!(%changes, "the configuration was read again, and its instances are live");
                if !waiting_for_restart.is_empty() {
                    warn!(
                        changed = waiting_for_restart.join(", "),
                        "changes outside of the instances take effect at the next restart"
                    );
                }
                self.live.replaced(waiting_for_restart);
            }
            Err(refused) => {
                error!(%refused, "the new configuration is refused as a whole; the one before lives on: mend it, then reload");
                self.live.refused(&refused);
            }
        }
        self.systemd.ready(self.waiting_for);
    }
}

fn status_board(config: &Config) -> StatusBoard {
    let GreenApi { loss_warn_after, loss_alarm_after, watch_interval, .. } = config.green_api;
    let thresholds = Thresholds { warn_after: loss_warn_after, alarm_after: loss_alarm_after };
    StatusBoard::new(thresholds, watch_interval.unwrap_or_default() * QUEUE_DEPTH_MISSES_MAX)
}

/// The form of values this configuration wants; with a schema registry, once that has given its ids.
///
/// # Errors
/// Where TLS towards the registry cannot be set up.
pub async fn value_form(config: &Config, redactor: &Redactor) -> Result<ValueForm, reqwest::Error> {
    let registry = framing::registry(config, redactor)?;
    Ok(framing::value_form(config, registry.as_ref()).await)
}

/// What makes the records this configuration wants, their values in `form`.
#[must_use]
pub fn records(config: &Config, form: ValueForm) -> RecordFactory {
    RecordFactory {
        topic: Arc::clone(&config.kafka.topic),
        routing: config.routing.clone(),
        dead_letter_topic: Arc::clone(&config.kafka.dead_letter_topic),
        include_raw: config.events.include_raw,
        form,
        traceparent: config.tracing.traceparent.then_some(config.tracing.sampling),
    }
}

/// What decides as this configuration wants.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    Policy::new(config.events.clone(), config.calls.clone())
}

/// Lets what is in hand come to its end, within the grace period.
async fn drain(
    fleet: &mut Fleet,
    mut chatapp: Option<&mut ChatApp>,
    config: &Config,
    publisher: &Arc<KafkaPublisher>,
    exporting: Option<Exporting>,
) {
    let deadline = Instant::now() + config.shutdown_timeout.saturating_sub(FLUSH_MIN + LAST_SCRAPE_MAX);
    let all_ended = async {
        tokio::join!(fleet.ended(), async {
            if let Some(chatapp) = &mut chatapp {
                chatapp.ended().await;
            }
        })
    };
    if tokio::time::timeout_at(deadline, all_ended).await.is_err() {
        warn!(
            still_busy = fleet.busy() + chatapp.as_ref().map_or(0, |chatapp| chatapp.busy()),
            timeout_seconds = config.shutdown_timeout.as_secs(),
            "the grace period is over; what is in hand was not deleted and comes again after the next start"
        );
        fleet.abort().await;
        if let Some(chatapp) = chatapp {
            chatapp.abort().await;
        }
    }
    let left = deadline.saturating_duration_since(Instant::now()).max(FLUSH_MIN);
    tokio::join!(Arc::clone(publisher).flush(left), async {
        if let Some(exporting) = exporting {
            exporting.flush(left).await;
        }
    });
}
