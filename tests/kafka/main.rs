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
    #[expect(dead_code, reason = "tests/it asks for more")]
    pub(crate) mod chatapp;
    pub(crate) mod cluster;
    pub(crate) mod guard;
    pub(crate) mod http;
    pub(crate) mod java;
    pub(crate) mod judge;
    pub(crate) mod needs;
    pub(crate) mod node;
    pub(crate) mod process;
    pub(crate) mod producer;
    pub(crate) mod python;
    pub(crate) mod record;
    pub(crate) mod registry;
    pub(crate) mod secured;
    pub(crate) mod siege;
    pub(crate) mod small_disk;
    #[expect(dead_code, reason = "tests/it does more to it")]
    pub(crate) mod soketi;
    pub(crate) mod toxiproxy;
    pub(crate) mod trial;
    pub(crate) mod way;
}

mod chatapp;
mod cloudevents;
mod cluster;
mod consumers;
mod dead_letters;
mod doctor;
mod faults;
mod harness;
mod isolation;
mod network;
mod outage;
mod promise;
mod rights;
mod scene;
mod schema_registry;
mod security;
mod sender;
mod switching;
mod tail;
mod topics;
mod verify;
mod webhook_load;
