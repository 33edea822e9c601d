//! What an operator sees: metrics, the status page, spans, systemd, and the watch over Kafka.
//!
//! It depends on the core and on the listeners' server. It knows no upstream: the upstream modules tell it what
//! happens.

pub mod admin;
pub mod kafka_watch;
pub mod otlp;
pub mod readiness;
pub mod systemd;
pub mod telemetry;
