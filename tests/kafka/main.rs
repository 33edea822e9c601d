//! The promise, by the real binary against a real Kafka. Slow and in need of Java and Maven, hence ignored by a plain
//! `cargo test`; `make test` runs them.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests wait for other processes, which no held clock can hurry"
)]

#[path = "../support"]
mod support {
    pub(crate) mod bridge;
    pub(crate) mod broker;
    pub(crate) mod judge;
    pub(crate) mod needs;
    pub(crate) mod node;
    pub(crate) mod python;
    pub(crate) mod registry;
}

mod cloudevents;
mod consumers;
mod dead_letters;
mod harness;
mod isolation;
mod promise;
mod scene;
mod schema_registry;
mod tail;
mod topics;
