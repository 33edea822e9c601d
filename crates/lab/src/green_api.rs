//! A stand-in for GREEN-API: the HTTP queue, the pushing to webhooks and what surrounds them, with every fault the
//! service is known to have, on a port of its own.
//!
//! It is for tests, for `chatbridge demo` and, by itself, for `chatbridge simulate`. Each behaviour cites the
//! section of the GREEN-API reference it stands for; where the reference leaves a question open, the answer
//! is a setting ([`SimulatorConfig`]). It knows nothing of Kafka or of the bridge.
//!
//! | module | holds |
//! | --- | --- |
//! | `queue` | one instance's queue as a value: order, receipts, redelivery, retention |
//! | `account` | state, settings, contacts |
//! | `instance`, `world` | one instance behind its lock; all of them |
//! | `method`, `methods` | which methods there are; what they do |
//! | `push` | the queue's other way out: to a webhook |
//! | `fault`, `fault_plan` | what can go wrong; when it does |
//! | `journal`, `ledger` | what happened; where it is written down |
//! | `routes`, `answers`, `debug_endpoint`, `control` | HTTP |
//! | `server` | connections, and losing them on purpose |
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
pub(crate) mod answers;
mod coding;
mod config;
mod control;
mod debug_endpoint;
mod fault;
mod fault_plan;
pub mod generator;
mod instance;
mod journal;
mod ledger;
mod method;
mod methods;
mod push;
pub mod queue;
mod routes;
pub(crate) mod server;
mod world;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use account::{Contact, InstanceState};
pub use coding::Coding;
pub use config::{
    Authorization, CountKey, EntryId, JournalConfig, PushConfig, Receipts, Redelivery, SimulatedInstance,
    SimulatorConfig, SpentReceipt,
};
pub use control::InstanceChange;
pub use fault::{Effect, Fault, FaultKind, MeaninglessFault};
pub use journal::{JournalBody, JournalEntry, JournalEvent, PushFailure};
pub use method::Method;
pub(crate) use push::client as push_client;
pub use world::AddInstanceError;

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
    stop: CancellationToken,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
        self.world.common.ledger.flush();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Simulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// How often the journal's file is brought up to date.
const JOURNAL_FLUSH_INTERVAL: Duration = Duration::from_millis(100);

impl Simulator {
    /// Binds, starts to serve, and returns. Fails when the address is taken, the journal's file cannot be
    /// opened, or two instances share an id.
    pub async fn start(config: SimulatorConfig) -> io::Result<Self> {
        let stop = CancellationToken::new();
        // Whatever fails below, what was started before ends.
        let unless_started = stop.clone().drop_guard();
        let world = Arc::new(World::new(&config, stop.clone())?);
        let listener = TcpListener::bind(config.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let tasks = world.tasks.clone();
        let router = routes::router(Arc::clone(&world));
        tasks.spawn(server::serve(listener, router, config.connections_max, tasks.clone(), stop.clone()));
        if world.common.ledger.has_file() {
            tasks.spawn(flush_journal(Arc::clone(&world)));
        }
        tasks.close();
        unless_started.disarm();
        Ok(Self { handle: Arc::new(Handle { world, url, stop }) })
    }

    /// `http://127.0.0.1:port`: the `api_url` of every instance (reference §1), and the address of the debug
    /// endpoint (reference §8).
    pub fn url(&self) -> &str {
        &self.handle.url
    }

    /// Queues an event: these bytes, whatever they are (reference §2.3; issue 553 shows bodies that are not JSON).
    pub fn enqueue(&self, instance: u64, body: impl Into<Vec<u8>>) -> Result<EntryId, EnqueueError> {
        let found = self.instance(instance)?;
        found.enqueue(Bytes::from(body.into())).map_err(|_| EnqueueError::QueueFull(instance))
    }

    /// Adds an instance; everything it is asked from now on is answered.
    pub fn add_instance(&self, instance: SimulatedInstance) -> Result<(), AddInstanceError> {
        self.handle.world.add(instance)
    }

    /// Sets what `getStateInstance` says (reference §6). The queue is not touched: see [`InstanceState`].
    pub fn set_state(&self, instance: u64, state: InstanceState) -> Result<(), UnknownInstance> {
        self.change(instance, InstanceChange { state: Some(state), ..InstanceChange::default() })
    }

    /// Sets `webhookUrl`: unless it is empty, events are pushed there (reference §7), and receive and delete answer 400
    /// (reference §2.5). Takes effect at once, where the service takes minutes.
    pub fn set_webhook_url(&self, instance: u64, url: impl Into<String>) -> Result<(), UnknownInstance> {
        self.change(instance, InstanceChange { webhook_url: Some(url.into()), ..InstanceChange::default() })
    }

    /// Pushes to this URL with this `webhookUrlToken` from now on (reference §7).
    pub fn push_to(
        &self,
        instance: u64,
        url: impl Into<String>,
        token: impl Into<String>,
    ) -> Result<(), UnknownInstance> {
        let (webhook_url, webhook_token) = (Some(url.into()), Some(token.into()));
        self.change(instance, InstanceChange { webhook_url, webhook_token, ..InstanceChange::default() })
    }

    /// Sets what `getContactInfo` says of a chat (reference §6).
    pub fn set_contact(&self, instance: u64, chat: &str, contact: Contact) -> Result<(), UnknownInstance> {
        let contacts = [(chat.to_owned(), contact)].into();
        self.change(instance, InstanceChange { contacts, ..InstanceChange::default() })
    }

    /// Switches all notifications off: empty answers then come at once instead of after `receiveTimeout`
    /// (reference §2.5, the hot loop). What is queued stays, and what is enqueued is still handed out.
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
    /// still happen, further ones are ignored with a warning, and so are those that never can ([`MeaninglessFault`]).
    pub fn add_fault(&self, fault: Fault) {
        if let Err(why) = fault.check() {
            tracing::warn!(%why, "a simulated fault is ignored");
            return;
        }
        if !self.handle.world.common.faults.add(fault) {
            tracing::warn!(faults_max = fault_plan::FAULTS_MAX, "too many simulated faults; this one is ignored");
        }
    }

    /// Nothing goes wrong any more. Requests that wait in a fault already stay in it.
    pub fn clear_faults(&self) {
        self.handle.world.common.faults.clear();
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
        self.handle.world.polls_waiting(|waiting| waiting >= polls).await;
    }

    /// Resolves once no long poll waits: every client has its answer or has gone away.
    pub async fn polls_ended(&self) {
        self.handle.world.polls_waiting(|waiting| waiting == 0).await;
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
        self.handle.world.common.ledger.left_out()
    }

    /// The first entry the journal has, or will have, that satisfies this. Waits for ever without a journal
    /// in memory.
    pub async fn journalled(&self, wanted: impl Fn(&JournalEntry) -> bool) -> JournalEntry {
        let mut seen = 0;
        let find = || {
            let fresh = self.journal_after(seen);
            seen = fresh.last().map_or(seen, |last| last.sequence);
            fresh.into_iter().find(&wanted)
        };
        self.handle.world.common.ledger.watch(find).await
    }

    /// Stops serving: long polls end empty, connections close, the journal's file is complete. Other clones
    /// can still look at queues and journal.
    pub async fn stop(self) {
        self.handle.stop.cancel();
        self.handle.world.tasks.wait().await;
        // Looking at the journal lets what is too old expire, so that the file says so too.
        drop(self.journal());
        self.handle.world.common.ledger.flush();
    }

    fn instance(&self, id: u64) -> Result<Arc<Instance>, UnknownInstance> {
        self.handle.world.instance(id).ok_or(UnknownInstance(id))
    }
}

async fn flush_journal(world: Arc<World>) {
    let mut tick = tokio::time::interval(JOURNAL_FLUSH_INTERVAL);
    loop {
        tokio::select! {
            _ = tick.tick() => world.common.ledger.flush(),
            () = world.stop.cancelled() => return,
        }
    }
}
