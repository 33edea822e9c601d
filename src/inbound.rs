//! Connections from outside: the HTTP server of both listeners, who may call, and the limits for each caller.

pub mod calls;
pub mod descriptors;
pub mod door;
pub(crate) mod envelope;
pub(crate) mod gate;
pub mod listener;
pub(crate) mod room;
pub mod server;
pub(crate) mod tls;
