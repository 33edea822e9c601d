//! The real bridge in this process, as every demo runs it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DemoError;
use super::broker::Broker;
use crate::app::{self, RunError};
use crate::config::{Admin, Calls, CloudEventsMode, Config, Events, GreenApi, Kafka, Tracing};
use crate::redact::Redactor;

pub(super) struct RunningBridge {
    admin: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl RunningBridge {
    pub(super) async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.admin.listen).await?;
        let admin = listener.local_addr()?;
        let stop = CancellationToken::new();
        let listeners = app::Listeners { admin: listener, webhook: None };
        let task = tokio::spawn(app::run(config, listeners, None, Redactor::default(), stop.clone()));
        Ok(Self { admin, stop, task })
    }

    pub(super) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.admin)
    }

    /// Returns when it has drained.
    pub(super) async fn end(self) -> Result<(), DemoError> {
        self.stop.cancel();
        match self.task.await {
            Ok(ended) => Ok(ended?),
            Err(panic) => Err(io::Error::other(panic).into()),
        }
    }
}

/// A configuration that publishes everything to `broker`. The demo adds the upstream.
pub(super) fn config(broker: &Broker) -> Config {
    Config {
        shutdown_timeout: Duration::from_secs(10),
        config_check: None,
        kafka: Kafka {
            brokers: broker.bootstrap().to_owned(),
            topic: Arc::from(broker.topic()),
            dead_letter_topic: Arc::from(broker.dead_letter_topic()),
            cloudevents_mode: CloudEventsMode::default(),
            create_topics: None,
            properties: Default::default(),
        },
        schema_registry: None,
        admin: Admin::on(([127, 0, 0, 1], 0).into()),
        green_api: GreenApi { watch_interval: None, ..GreenApi::default() },
        instances: Vec::new(),
        webhook: None,
        chatapp: None,
        events: Events { include_raw: true, ..Events::default() },
        calls: Calls::default(),
        tracing: Tracing::default(),
        routing: Default::default(),
    }
}
