//! A stand-in for GREEN-API: the HTTP queue, the pushing to webhooks and what surrounds them, with every fault the
//! service is known to have, on a port of its own.
//!
//! It is for tests, for `chatbridge demo` and, by itself, for `chatbridge simulate`. It does what
//! docs/upstream/green-api.md says; where that leaves a question open, the answer is a setting ([`SimulatorConfig`]).
//! It knows nothing of Kafka or of the bridge.
//!
//! | module | holds |
//! | --- | --- |
//! | `queue` | one instance's queue as a value: order, receipts, redelivery, retention |
//! | `account` | state, settings, contacts |
//! | `instance`, `world`, `common` | one instance behind its lock; all of them; what each needs of the whole |
//! | `method`, `methods` | which methods there are; what they do |
//! | `push` | the queue's other way out: to a webhook |
//! | `fault`, `journal` | what can go wrong; what happened |
//! | `routes`, `answers`, `debug_endpoint`, `control` | HTTP |
//! | [`generator`] | plausible events |
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use chatbridge_lab::green_api::{Fault, Method, SimulatedInstance, Simulator, SimulatorConfig};
//!
//! let instances = vec![SimulatedInstance::new(1101000001, "token")];
//! let simulator = Simulator::start(SimulatorConfig { instances, ..SimulatorConfig::default() }).await?;
//! simulator.add_fault(Fault::reset_after(Method::Delete).times(1));
//! simulator.enqueue(1101000001, r#"{"typeWebhook":"stateInstanceChanged"}"#).expect("a known instance");
//! // … let a bridge read from simulator.url() …
//! simulator.emptied().await;
//! # Ok(())
//! # }
//! ```

mod account;
mod answers;
mod coding;
mod common;
mod config;
mod control;
mod debug_endpoint;
mod fault;
pub mod generator;
mod instance;
mod journal;
mod method;
mod methods;
mod push;
pub mod queue;
mod routes;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::net::TcpListener;

pub use account::{Contact, InstanceState};
pub use coding::Coding;
pub use config::{EntryId, PushConfig, Receipts, Redelivery, SimulatedInstance, SimulatorConfig, SpentReceipt};
pub use control::InstanceChange;
pub use fault::{Effect, Fault, FaultKind};
pub use journal::{JournalBody, JournalEntry, JournalEvent, PushFailure};
pub use method::Method;
pub use world::AddInstanceError;

pub use crate::kit::journal::JournalConfig;

use crate::kit::control::Controlled as _;
use instance::Instance;
use world::World;

/// There is no instance with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no simulated instance {0}")]
pub struct UnknownInstance(pub u64);

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnqueueError {
    /// There is no such instance.
    #[error(transparent)]
    UnknownInstance(#[from] UnknownInstance),
    /// Its queue holds [`SimulatorConfig::queue_events_max`] events.
    #[error("the queue of simulated instance {0} is full")]
    QueueFull(u64),
}

/// A running simulator. Clones are handles to the same one; dropping the last stops it.
#[derive(Clone)]
pub struct Simulator {
    handle: Arc<Handle>,
}

struct Handle {
    world: Arc<World>,
    url: String,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world.kit().stop.cancel();
        self.world.kit().journal.flush();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Simulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Binds, starts to serve, and returns. Fails when the address is taken, the journal's file cannot be
    /// opened, or two instances share an id.
    pub async fn start(config: SimulatorConfig) -> io::Result<Self> {
        let world = Arc::new(World::new(&config)?);
        // Whatever fails below, what was started before ends.
        let unless_started = world.kit().stop.clone().drop_guard();
        let listener = TcpListener::bind(config.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        world.kit().serve(listener, routes::router(Arc::clone(&world)), config.connections_max);
        let flushed = Arc::clone(&world);
        world.kit().spawn(async move { flushed.kit().flush_journal().await });
        world.kit().tasks.close();
        unless_started.disarm();
        Ok(Self { handle: Arc::new(Handle { world, url }) })
    }

    /// `http://127.0.0.1:port`: the `api_url` of every instance, and the address of the debug
    /// endpoint.
    pub fn url(&self) -> &str {
        &self.handle.url
    }

    /// Queues an event: these bytes, whatever they are (issue 553 shows bodies that are not JSON).
    pub fn enqueue(&self, instance: u64, body: impl Into<Vec<u8>>) -> Result<EntryId, EnqueueError> {
        let found = self.instance(instance)?;
        found.enqueue(Bytes::from(body.into())).map_err(|_| EnqueueError::QueueFull(instance))
    }

    /// Adds an instance; everything it is asked from now on is answered.
    pub fn add_instance(&self, instance: SimulatedInstance) -> Result<(), AddInstanceError> {
        self.handle.world.add(instance)
    }

    /// Sets what `getStateInstance` says. The queue is not touched: see [`InstanceState`].
    pub fn set_state(&self, instance: u64, state: InstanceState) -> Result<(), UnknownInstance> {
        self.change(instance, InstanceChange { state: Some(state), ..InstanceChange::default() })
    }

    /// Sets `webhookUrl`: unless it is empty, events are pushed there, and receive and delete answer 400.
    /// Takes effect at once, where the service takes minutes.
    pub fn set_webhook_url(&self, instance: u64, url: impl Into<String>) -> Result<(), UnknownInstance> {
        self.change(instance, InstanceChange { webhook_url: Some(url.into()), ..InstanceChange::default() })
    }

    /// Pushes to this URL with this `webhookUrlToken` from now on.
    pub fn push_to(
        &self,
        instance: u64,
        url: impl Into<String>,
        token: impl Into<String>,
    ) -> Result<(), UnknownInstance> {
        let (webhook_url, webhook_token) = (Some(url.into()), Some(token.into()));
        self.change(instance, InstanceChange { webhook_url, webhook_token, ..InstanceChange::default() })
    }

    /// Sets what `getContactInfo` says of a chat.
    pub fn set_contact(&self, instance: u64, chat: &str, contact: Contact) -> Result<(), UnknownInstance> {
        let contacts = [(chat.to_owned(), contact)].into();
        self.change(instance, InstanceChange { contacts, ..InstanceChange::default() })
    }

    /// Switches all notifications off: empty answers then come at once instead of after `receiveTimeout`
    /// (the hot loop). What is queued stays, and what is enqueued is still handed out.
    pub fn silence(&self, instance: u64) -> Result<(), UnknownInstance> {
        self.instance(instance)?.change_account(account::Account::silence);
        Ok(())
    }

    /// Changes any of an instance's state, settings and contacts.
    pub fn change(&self, instance: u64, change: InstanceChange) -> Result<(), UnknownInstance> {
        change.apply(&*self.instance(instance)?);
        Ok(())
    }

    /// From now on this goes wrong, after the faults that were added before. Beyond 10,000 faults that can
    /// still happen, further ones are ignored with a warning, and so are those that never can.
    pub fn add_fault(&self, fault: Fault) {
        if let Err(why) = self.handle.world.kit().faults.add(fault) {
            tracing::warn!(%why, "a simulated fault is ignored");
        }
    }

    /// Nothing goes wrong any more. Requests that wait in a fault already stay in it.
    pub fn clear_faults(&self) {
        self.handle.world.kit().faults.clear();
    }

    /// Events in an instance's queue.
    pub fn depth(&self, instance: u64) -> Result<usize, UnknownInstance> {
        Ok(self.instance(instance)?.depth())
    }

    /// Events in all queues.
    pub fn total_depth(&self) -> usize {
        self.handle.world.instances().iter().map(|instance| instance.depth()).sum()
    }

    /// Resolves once every queue is empty; at once when they are.
    pub async fn emptied(&self) {
        self.handle.world.emptied().await;
    }

    /// Resolves once at least so many long polls wait at the same time.
    pub async fn polls_waiting(&self, polls: usize) {
        self.handle.world.polls_waiting(polls).await;
    }

    /// Everything that happened, in order, as far as it was kept (see [`Simulator::journal_left_out`]).
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.journal_after(0)
    }

    /// What happened after the entry with this sequence number.
    pub fn journal_after(&self, sequence: u64) -> Vec<JournalEntry> {
        self.handle.world.journal_after(sequence)
    }

    /// Entries that found no room in the journal. Unless it is 0, the journal proves nothing.
    pub fn journal_left_out(&self) -> u64 {
        self.handle.world.kit().journal.left_out()
    }

    /// The first entry the journal has, or will have, that satisfies this. Waits for ever without a journal
    /// in memory.
    pub async fn journalled(&self, wanted: impl Fn(&JournalEntry) -> bool) -> JournalEntry {
        self.handle.world.kit().journal.find(|sequence| self.journal_after(sequence), wanted).await
    }

    /// Stops serving: long polls end empty, connections close, the journal's file is complete. Other clones
    /// can still look at queues and journal.
    pub async fn stop(self) {
        self.handle.world.kit().stop.cancel();
        self.handle.world.kit().tasks.wait().await;
        // Looking at the journal lets what is too old expire, so that the file says so too.
        drop(self.journal());
        self.handle.world.kit().journal.flush();
    }

    fn instance(&self, id: u64) -> Result<Arc<Instance>, UnknownInstance> {
        self.handle.world.instance(id).ok_or(UnknownInstance(id))
    }
}
