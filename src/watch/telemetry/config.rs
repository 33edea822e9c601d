//! Which configuration is live, and what became of the one read last.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::metrics::Metrics;
use crate::config::ConfigError;

/// What `/status` shows of the configuration.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct ConfigView {
    /// 1 for the configuration of the start, one more for each that replaced it.
    pub generation: u64,
    /// When it was read.
    pub read_at: Timestamp,
    /// Parts that were changed since and wait for a restart.
    pub needs_restart_for: Vec<&'static str>,
    /// Why the configuration read last is not live.
    pub refused: Option<String>,
}

/// The configuration that is live, for operators.
pub struct LiveConfig {
    metrics: Arc<Metrics>,
    view: Mutex<ConfigView>,
}

impl LiveConfig {
    /// The configuration at the start.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let read_at = Timestamp::now();
        metrics.config_live(1, read_at, false);
        let view = ConfigView { generation: 1, read_at, needs_restart_for: Vec::new(), refused: None };
        Self { metrics, view: Mutex::new(view) }
    }

    /// Another configuration is live now, except for parts that need a restart.
    pub fn replaced(&self, needs_restart_for: Vec<&'static str>) {
        let mut view = self.view.lock();
        *view =
            ConfigView { generation: view.generation + 1, read_at: Timestamp::now(), needs_restart_for, refused: None };
        self.metrics.config_live(view.generation, view.read_at, !view.needs_restart_for.is_empty());
    }

    /// Another configuration was read and refused.
    pub fn refused(&self, refused: &ConfigError) {
        self.view.lock().refused = Some(refused.to_string());
        self.metrics.config_refused();
    }

    /// The current state.
    #[must_use]
    pub fn view(&self) -> ConfigView {
        self.view.lock().clone()
    }
}
