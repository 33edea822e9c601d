//! One binary for everything that needs no broker of its own: records, wires, the command line, the architecture.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests wait for other processes, which no held clock can hurry"
)]

#[path = "../support"]
mod support {
    pub(crate) mod bridge;
    pub(crate) mod chatapp;
    pub(crate) mod http;
    pub(crate) mod needs;
    pub(crate) mod node;
    pub(crate) mod process;
    pub(crate) mod python;
    pub(crate) mod soketi;
    pub(crate) mod trial;
}

mod architecture;
mod chatapp;
mod chatapp_bridge;
mod commands;
mod doctor;
mod doctor_chatapp;
mod envelopes;
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
mod tail;
mod tracing;
mod verify;
mod webhook;
mod wire;
