//! The two listeners: how many of this process's file descriptors they may use, and their servers.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use crate::config::{Admin, Config, Webhook};
use crate::inbound::descriptors::budget::{Budget, Share};
use crate::inbound::descriptors::{Descriptors, raise_limit};
use crate::inbound::listener::ListenerTelemetry;
use crate::inbound::server::{Callers, HttpServer, Places, Timeouts};
use crate::watch::telemetry::metrics::Metrics;

/// How many connections the listeners may take. Also reports when there is no room left.
pub(super) struct Shares {
    limit: Option<u64>,
    admin: Arc<Places>,
    /// Present only when the webhook listener is configured.
    webhook: Option<Arc<Places>>,
    pub(super) descriptors: Arc<Descriptors>,
}

impl Shares {
    /// Raises the limit of open files as far as possible and divides it up. Delivery comes first.
    pub(super) fn new(config: &Config, metrics: &Metrics) -> Self {
        let limit = raise_limit();
        let budget = Budget::new(limit, config);
        tell(&budget, limit);
        let places =
            |Share { connections_max, per_address_max }| Arc::new(Places::new(connections_max, per_address_max));
        Self {
            limit,
            admin: places(budget.admin),
            webhook: budget.webhook.map(places),
            descriptors: Arc::new(Descriptors::new(limit, metrics.files_exhausted())),
        }
    }

    /// Divides it up again: with other instances delivery needs more or less.
    pub(super) fn share_out(&self, config: &Config) {
        let budget = Budget::new(self.limit, config);
        tell(&budget, self.limit);
        let resize = |places: &Places, Share { connections_max, per_address_max }| {
            places.resize(connections_max, per_address_max)
        };
        resize(&self.admin, budget.admin);
        if let Some((places, share)) = self.webhook.as_deref().zip(budget.webhook) {
            resize(places, share);
        }
    }

    pub(super) fn admin_server(
        &self,
        listener: TcpListener,
        settings: &Admin,
        telemetry: Arc<ListenerTelemetry>,
    ) -> HttpServer {
        HttpServer {
            listener,
            tls: None,
            callers: Callers::default(),
            places: Arc::clone(&self.admin),
            timeouts: Timeouts { header: settings.header_timeout, write: settings.write_timeout },
            telemetry,
            descriptors: Arc::clone(&self.descriptors),
        }
    }

    /// `None` if the configuration at the start had no such listener.
    pub(super) fn webhook_server(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        settings: &Webhook,
        telemetry: Arc<ListenerTelemetry>,
    ) -> Option<HttpServer> {
        let (allowed, proxies) = (settings.allow_from.clone(), settings.trusted_proxies.clone());
        Some(HttpServer {
            listener,
            tls,
            callers: Callers { allowed, proxies },
            places: Arc::clone(self.webhook.as_ref()?),
            timeouts: Timeouts { header: settings.header_timeout, write: settings.write_timeout },
            telemetry,
            descriptors: Arc::clone(&self.descriptors),
        })
    }
}

fn tell(budget: &Budget, limit: Option<u64>) {
    if budget.is_enough(limit) {
        return;
    }
    warn!(
        limit,
        delivery_needs = budget.delivery,
        admin_connections_max = budget.admin.connections_max,
        webhook_connections_max = budget.webhook.map(|share| share.connections_max),
        "the limit of open files is too low for everything that is configured, so the listeners take fewer connections; \
         raise it to {} or more (LimitNOFILE= of the systemd unit, `ulimit -n` elsewhere), or lower connections_max",
        budget.limit_wanted
    );
}
