//! One binary for everything that needs no broker of its own: records, wires, the command line, the architecture.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests wait for other processes, which no held clock can hurry"
)]

#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "tests/kafka does more to it")]
    pub(crate) mod bridge;
    pub(crate) mod chatapp;
    pub(crate) mod http;
    pub(crate) mod needs;
    pub(crate) mod node;
    pub(crate) mod process;
    pub(crate) mod python;
    pub(crate) mod siege;
    pub(crate) mod small_disk;
    pub(crate) mod soketi;
    pub(crate) mod trial;
}

mod architecture;
mod chatapp;
mod chatapp_bridge;
mod closing;
mod commands;
mod doctor;
mod doctor_chatapp;
mod envelopes;
mod full_disk;
mod listeners;
mod loss;
mod managed_kafka;
mod normalize;
mod pace;
mod page;
mod policies;
mod properties;
mod push;
mod pusher;
mod pusher_sdk;
mod reload;
mod rival;
mod schemas;
mod sdk;
mod secrets;
mod shells;
mod switching;
mod systemd;
mod tail;
mod tracing;
mod verify;
mod webhook;
mod wire;
