//! What an operator sees: metrics, the status page, spans, systemd, and the watch over Kafka.
//!
//! It knows the core and the listeners' server. It knows no upstream: the wings tell it what happens.

pub mod admin;
pub mod kafka_watch;
pub mod otlp;
pub mod readiness;
pub mod systemd;
pub mod telemetry;
