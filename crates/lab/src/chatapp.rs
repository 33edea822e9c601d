//! A stand-in for ChatApp: its REST API, its authorisation endpoint and its Pusher server, with the faults such
//! services have, on two ports of their own.
//!
//! It is for tests and, by itself, for `chatbridge simulate --chatapp`. It does what docs/upstream/chatapp.md says;
//! where that leaves a question open, the answer is a setting ([`ChatAppSimulatorConfig`]). It knows nothing of Kafka
//! or of the bridge, and shares no code with it. Pusher's own client and SDK talk to it in `tests/it/pusher_sdk.rs`.
//!
//! | module | holds |
//! | --- | --- |
//! | `tokens`, `sign`, `archive` | tokens, signatures, what can be fetched: values without a clock |
//! | `protocol` | the words of the Pusher protocol in four servers' dialects |
//! | `hub`, `socket` | who is subscribed to what; the connections |
//! | `call`, `rest`, `trigger`, `control` | HTTP: ChatApp's, Pusher's, our own |
//! | `world` | what they share; an event is published there |
//! | `fault`, `journal` | what goes wrong; what happened |
//! | [`generator`] | plausible events |
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use chatbridge_lab::chatapp::generator::Generator;
//! use chatbridge_lab::chatapp::{Act, ChatAppSimulator, ChatAppSimulatorConfig, Fate, fates};
//!
//! let config = ChatAppSimulatorConfig::default();
//! let mut generator = Generator::new(&config, 1);
//! let simulator = ChatAppSimulator::start(config).await?;
//! // … let a bridge log in at simulator.api_url() and listen at simulator.socket_url() …
//! simulator.subscribed("private-v1.licenses.1229.messengers.telegram", 1).await;
//! simulator.act(&Act::Restart { downtime_ms: 500, killed: true });
//! simulator.publish(&generator.event());
//! assert_ne!(fates(&simulator.journal())[0].1, Fate::Pushed);
//! # Ok(())
//! # }
//! ```

mod archive;
mod call;
mod channel;
mod config;
mod control;
mod fault;
pub mod generator;
mod hub;
mod journal;
mod protocol;
mod rest;
mod sign;
mod socket;
mod tokens;
mod trigger;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub use config::{ChatAppSimulatorConfig, Dialect, Licence, Login, PusherApp, SocketConfig};
pub use fault::{Act, Fault, FaultKind, Place};
pub use journal::{Fate, ItemIds, JournalEntry, JournalEvent, PublicationId, fates};
pub use world::Event;

pub use crate::kit::faults::FaultRefused;
pub use crate::kit::journal::JournalConfig;

use world::World;

/// HTTP connections; the next one is closed at once.
const CONNECTIONS_MAX: usize = 10_000;

/// A running simulator. Clones are handles to the same one; dropping the last stops it.
#[derive(Clone)]
pub struct ChatAppSimulator {
    handle: Arc<Handle>,
}

struct Handle {
    world: Arc<World>,
    api_url: String,
    socket_url: String,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world.end();
    }
}

impl fmt::Debug for ChatAppSimulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ChatAppSimulator").field("api_url", &self.api_url()).finish_non_exhaustive()
    }
}

impl ChatAppSimulator {
    /// Binds, starts to serve, and returns. Fails when an address is taken or the journal's file cannot be opened.
    pub async fn start(config: ChatAppSimulatorConfig) -> io::Result<Self> {
        let api = TcpListener::bind(config.listen).await?;
        let sockets = TcpListener::bind(config.socket_listen).await?;
        let (api_url, socket_url) =
            (format!("http://{}", api.local_addr()?), format!("ws://{}", sockets.local_addr()?));
        let (restart, restarts) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(config, restart)?);
        let router = Router::new()
            .route("/apps/{id}/events", post(trigger::one))
            .route("/apps/{id}/batch_events", post(trigger::many))
            .nest("/simulator", control::router())
            .fallback(rest::call)
            .with_state(Arc::clone(&world));
        world.kit.serve(api, router, CONNECTIONS_MAX);
        world.kit.spawn(socket::serve(Arc::clone(&world), sockets, restarts));
        let flushed = Arc::clone(&world);
        world.kit.spawn(async move { flushed.kit.flush_journal().await });
        world.kit.tasks.close();
        Ok(Self { handle: Arc::new(Handle { world, api_url, socket_url }) })
    }

    /// `http://127.0.0.1:port`: the base of the REST API and of `/broadcasting/auth`, and where Pusher's SDKs publish.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.handle.api_url
    }

    /// `ws://127.0.0.1:port`: what comes before `/app/{key}`.
    #[must_use]
    pub fn socket_url(&self) -> &str {
        &self.handle.socket_url
    }

    /// Publishes an event; its number in the journal.
    pub fn publish(&self, event: &Event) -> PublicationId {
        self.handle.world.publish(event)
    }

    /// From now on this goes wrong, after the faults that were added before.
    ///
    /// # Errors
    /// Where it cannot happen, or there are too many.
    pub fn add_fault(&self, fault: Fault) -> Result<(), FaultRefused> {
        self.handle.world.kit.faults.add(fault)
    }

    /// Nothing goes wrong any more. What waits in a fault already stays in it.
    pub fn clear_faults(&self) {
        self.handle.world.kit.faults.clear();
    }

    /// Strikes everything that is there now. Who is cut off is no longer subscribed when this returns.
    pub fn act(&self, act: &Act) {
        self.handle.world.strike(act);
    }

    /// Resolves once exactly so many sockets are subscribed to a channel.
    pub async fn subscribed(&self, channel: &str, sockets: usize) {
        self.handle.world.hub.subscribed(channel, sockets).await;
    }

    /// Sockets that were told their `socket_id` and are still there.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.handle.world.hub.sockets()
    }

    /// Everything that happened, in order, as far as it was kept (see [`Self::journal_left_out`]).
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.handle.world.kit.journal.after(0)
    }

    /// What happened after the entry with this sequence number.
    #[must_use]
    pub fn journal_after(&self, sequence: u64) -> Vec<JournalEntry> {
        self.handle.world.kit.journal.after(sequence)
    }

    /// Entries that found no room in the journal. Unless it is 0, the journal proves nothing.
    #[must_use]
    pub fn journal_left_out(&self) -> u64 {
        self.handle.world.kit.journal.left_out()
    }

    /// The first entry the journal has, or will have, that satisfies this. Waits for ever without a journal in memory.
    pub async fn journalled(&self, wanted: impl Fn(&JournalEntry) -> bool) -> JournalEntry {
        self.handle.world.kit.journal.find(|sequence| self.journal_after(sequence), wanted).await
    }

    /// Stops serving: connections close, the journal's file is complete. Other clones can still look at the journal.
    pub async fn stop(self) {
        self.handle.world.end();
        self.handle.world.kit.tasks.wait().await;
        self.handle.world.kit.journal.flush();
    }
}
