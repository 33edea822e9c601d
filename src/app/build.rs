//! Builds the parts of the daemon and connects them.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::background::Background;
use super::chatapp::ChatApp;
use super::clients::InstanceClients;
use super::daemon::{Daemon, Live};
use super::fleet::Fleet;
use super::listeners::Shares;
use super::reload::Reloads;
use super::{Listeners, RunError, WAITING, framing, spans, webhook};
use crate::chatapp::push::Callback;
use crate::config::{Config, GreenApi};
use crate::core::publish::kafka::{KafkaPublisher, librdkafka_features, librdkafka_version};
use crate::core::schema_registry::SchemaRegistry;
use crate::green_api::watch;
use crate::inbound::tls::Certificate;
use crate::redact::Redactor;
use crate::watch::admin::{self, Shown};
use crate::watch::kafka_watch::KafkaWatch;
use crate::watch::readiness::Readiness;
use crate::watch::systemd::Systemd;
use crate::watch::telemetry::chatapp_view::ChatAppShown;
use crate::watch::telemetry::config::LiveConfig;
use crate::watch::telemetry::loss_radar::Thresholds;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;

/// After this many failed requests in a row, a queue's length counts as unknown.
const QUEUE_DEPTH_MISSES_MAX: u32 = 3;

impl Daemon {
    /// Builds everything and starts what does not need Kafka: the listeners, the watches, and receiving from ChatApp.
    pub(super) async fn build(
        config: Config,
        listeners: Listeners,
        reloads: Option<Reloads>,
        redactor: Redactor,
        stop: CancellationToken,
    ) -> Result<Self, RunError> {
        redactor.configured(config.secrets());
        let publisher = Arc::new(KafkaPublisher::new(&config.kafka)?);
        let registry = framing::registry(&config, &redactor).map_err(RunError::Http)?;
        let tls = config.webhook.as_ref().and_then(|webhook| webhook.tls.as_ref());
        let certificate = tls.map(Certificate::load).transpose()?;
        let metrics = Arc::new(Metrics::new());
        // First, before anything is opened that could take file descriptors that delivery needs.
        let shares = Shares::new(&config, &metrics);
        let board = Arc::new(status_board(&config));
        let background = Background::new(stop.clone());
        let (spans, exporting) = spans::export(&config.tracing, &metrics)?.unzip();
        let clients = InstanceClients::new(&config.green_api, &redactor).map_err(RunError::Http)?;
        let mut fleet = Fleet::new(&config, clients, Arc::clone(&metrics), Arc::clone(&board), spans, stop.clone());
        fleet.set_instances(&config.instances);
        let chatapp = hear_chatapp(&config, &redactor, &metrics, &board, &background, &stop).await?;
        let live = Live {
            reloads,
            fleet,
            shares,
            redactor,
            config: config.clone(),
            shown: Arc::new(LiveConfig::new(Arc::clone(&metrics))),
            systemd: Arc::new(Systemd::from_environment()),
            doing: WAITING,
        };
        let kafka = KafkaWatch::new(Arc::clone(&publisher), &config, Arc::clone(&board), Arc::clone(&metrics));
        let readiness = Readiness::default();
        let daemon = Self {
            all_found: Some(readiness.latch()),
            kafka: Arc::new(kafka),
            config,
            publisher,
            registry,
            readiness,
            background,
            exporting,
            chatapp,
            live,
            stop,
        };
        daemon.show(listeners.admin, &metrics, &board);
        daemon.watch(&board);
        daemon.listen_to_calls(listeners.webhook, certificate, &metrics)?;
        metrics.build_info(env!("CARGO_PKG_VERSION"), &librdkafka_version());
        info!(
            version = env!("CARGO_PKG_VERSION"), librdkafka = librdkafka_version(), features = librdkafka_features(),
            instances = daemon.config.instances.len(), topic = %daemon.config.kafka.topic, "started"
        );
        daemon.live.systemd.ready(WAITING);
        Ok(daemon)
    }

    /// Serves the admin listener until the very end.
    fn show(&self, listener: tokio::net::TcpListener, metrics: &Arc<Metrics>, board: &Arc<StatusBoard>) {
        let shown = Shown {
            metrics: Arc::clone(metrics),
            board: Arc::clone(board),
            readiness: self.readiness.clone(),
            kafka: self.publisher.health(),
            chatapp: self.chatapp.as_ref().map(|chatapp| chatapp.overview() as Arc<dyn ChatAppShown>),
            schema_registry: self.registry.as_ref().map(SchemaRegistry::health),
            config: Arc::clone(&self.live.shown),
            redactor: self.live.redactor.clone(),
            descriptors: Arc::clone(&self.live.shares.descriptors),
            silence_max: self.config.silence_max(),
            started: Instant::now(),
        };
        let admin = &self.config.admin;
        let server = self.live.shares.admin_server(listener, admin, Arc::new(metrics.admin_listener()));
        let serving = admin::serve(server, shown, admin.allowed_hosts.clone(), self.background.stop.clone());
        self.background.must_run("the admin server", serving);
    }

    /// Starts the watches that depend on nothing else.
    fn watch(&self, board: &Arc<StatusBoard>) {
        let descriptors = Arc::clone(&self.live.shares.descriptors);
        self.background.keep_running("the watch over file descriptors", &self.background.stop, move |stop| {
            let descriptors = Arc::clone(&descriptors);
            async move { descriptors.watch(stop).await }
        });
        self.background.watch(&self.live.systemd, board, self.config.silence_max(), &self.stop);
        if let Some(interval) = self.config.green_api.watch_interval {
            let watched = self.live.fleet.watched();
            let look = move |stop| watch::watch(watched.clone(), interval, stop);
            self.background.keep_running("the slow look at each instance", &self.stop, look);
        }
    }

    /// Serves the webhook's listener, if there is one.
    fn listen_to_calls(
        &self,
        listener: Option<tokio::net::TcpListener>,
        certificate: Option<Arc<Certificate>>,
        metrics: &Metrics,
    ) -> Result<(), RunError> {
        if let (Some(listener), Some(settings)) = (listener, self.config.webhook.clone()) {
            let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;
            let telemetry = Arc::new(metrics.webhook_calls());
            let secret = self.config.chatapp.as_ref().and_then(|chatapp| chatapp.callback_secret.clone());
            let chatapp = self.chatapp.as_ref().zip(secret);
            let callback = chatapp.map(|(chatapp, secret)| Callback::new(secret, chatapp.intake()));
            let (intakes, stop) = (self.live.fleet.intakes(), self.stop.clone());
            if let Some(server) = self.live.shares.webhook_server(listener, acceptor, &settings, telemetry.listener()) {
                let serving = webhook::serve(server, settings, intakes, callback, telemetry, stop);
                self.background.must_run("the webhook's listener", serving);
            }
        }
        if let Some(certificate) = certificate {
            self.background.keep_running("the watch over the webhook's certificate", &self.stop, move |stop| {
                let certificate = Arc::clone(&certificate);
                async move { certificate.follow(stop).await }
            });
        }
        Ok(())
    }
}

/// Opens ChatApp's state on disk and starts receiving, whether or not Kafka is reachable.
async fn hear_chatapp(
    config: &Config,
    redactor: &Redactor,
    metrics: &Arc<Metrics>,
    board: &StatusBoard,
    background: &Background,
    stop: &CancellationToken,
) -> Result<Option<ChatApp>, RunError> {
    let Some(config) = &config.chatapp else { return Ok(None) };
    let mut chatapp = ChatApp::open(config, redactor, metrics, stop.clone()).await?;
    board.watch_others(chatapp.telemetry());
    // Without the writer nothing can be stored, and only a new process gets a new one.
    background.must_last("the writer of ChatApp's spool", chatapp.spool().closed());
    chatapp.receive();
    Ok(Some(chatapp))
}

fn status_board(config: &Config) -> StatusBoard {
    let GreenApi { loss_warn_after, loss_alarm_after, watch_interval, .. } = config.green_api;
    let thresholds = Thresholds { warn_after: loss_warn_after, alarm_after: loss_alarm_after };
    StatusBoard::new(thresholds, watch_interval.unwrap_or_default() * QUEUE_DEPTH_MISSES_MAX)
}
