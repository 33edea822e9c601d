//! The pollers at work: which instances there are, and how one set of them becomes another without touching the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::InstanceClients;
use crate::bridge::{Bridge, Settled};
use crate::config::{Config, GreenApi, Instance};
use crate::event::InstanceId;
use crate::green_api::InstanceClient;
use crate::publish::kafka::KafkaPublisher;
use crate::source::caller::{CallerCache, CallerLookup};
use crate::source::queue::{Pacing, Poller};
use crate::supervisor::supervise;
use crate::telemetry::InstanceTelemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::StatusBoard;

/// What each instance's slow look needs.
pub(super) type Watched = Vec<(Arc<InstanceClient>, Arc<InstanceTelemetry>)>;

/// What was settled last for an instance, and the right to poll it: whoever holds the lock is its one poller. A poller
/// with a new token waits here until the old one has let go, and knows then what that one settled.
type Turn = Arc<Mutex<Option<Settled>>>;

/// Every instance, polled or about to be.
pub(super) struct Fleet {
    green_api: GreenApi,
    clients: InstanceClients,
    metrics: Arc<Metrics>,
    board: Arc<StatusBoard>,
    callers: Option<CallerCache>,
    stop: CancellationToken,
    members: BTreeMap<InstanceId, Member>,
    turns: HashMap<InstanceId, Turn>,
    /// Set when polling may begin.
    bridge: Option<Arc<Bridge<Arc<KafkaPublisher>>>>,
    /// Each gives the instance it polled.
    tasks: JoinSet<InstanceId>,
    watched: watch::Sender<Watched>,
}

struct Member {
    instance: Instance,
    client: Arc<InstanceClient>,
    telemetry: Arc<InstanceTelemetry>,
    stop: CancellationToken,
}

/// How many instances another configuration meant something to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
    pub(super) untouched: usize,
}

impl Fleet {
    /// A fleet without members. All of it ends with `stop`.
    pub(super) fn new(
        config: &Config,
        metrics: Arc<Metrics>,
        board: Arc<StatusBoard>,
        stop: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            green_api: config.green_api.clone(),
            clients: InstanceClients::new(&config.green_api)?,
            metrics,
            board,
            callers: config.calls.caller_lookup.then(CallerCache::default),
            stop,
            members: BTreeMap::new(),
            turns: HashMap::new(),
            bridge: None,
            tasks: JoinSet::new(),
            watched: watch::Sender::default(),
        })
    }

    /// The members, for the slow look at each.
    pub(super) fn watched(&self) -> watch::Receiver<Watched> {
        self.watched.subscribe()
    }

    /// Polling may begin; from now on new members begin at once.
    pub(super) fn begin(&mut self, bridge: Arc<Bridge<Arc<KafkaPublisher>>>) {
        self.bridge = Some(bridge);
        let ids: Vec<InstanceId> = self.members.keys().copied().collect();
        ids.into_iter().for_each(|id| self.start(id));
    }

    /// Makes `instances` the members. Who stays the same is not touched; who goes, or polls with other settings from
    /// now on, first delivers and deletes what it has in hand.
    pub(super) fn set_instances(&mut self, instances: &[Instance]) -> Changes {
        let mut changes = Changes::default();
        let stay: HashSet<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        let gone: Vec<InstanceId> = self.members.keys().filter(|id| !stay.contains(id)).copied().collect();
        for id in gone {
            let Some(member) = self.members.remove(&id) else { continue };
            info!(instance = %id, "no longer in the configuration: its polling ends");
            member.stop.cancel();
            changes.removed += 1;
            // Where polling has not begun, no task's end will say so.
            if !self.turns.contains_key(&id) {
                self.forget(id);
            }
        }
        for instance in instances {
            match self.members.get(&instance.id) {
                Some(member) if member.instance.is_same(instance) => {
                    changes.untouched += 1;
                    continue;
                }
                Some(member) => {
                    member.stop.cancel();
                    changes.changed += 1;
                }
                None => changes.added += 1,
            }
            self.members.insert(instance.id, self.member(instance));
            if self.bridge.is_some() {
                self.start(instance.id);
            }
        }
        let members = self.members.values();
        self.watched.send_replace(members.map(|m| (Arc::clone(&m.client), Arc::clone(&m.telemetry))).collect());
        changes
    }

    /// Clears away what is left of instances that are gone. Pends for ever while there is nothing to wait for.
    pub(super) async fn tidy(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(id)) if !self.members.contains_key(&id) => {
                // Another one may still wait for its turn.
                if self.turns.get(&id).is_none_or(|turn| Arc::strong_count(turn) == 1) {
                    self.turns.remove(&id);
                    self.forget(id);
                }
            }
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// Returns when every poller has come to its end.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends every poller where it stands.
    pub(super) async fn abort(&mut self) {
        self.tasks.shutdown().await;
    }

    /// How many pollers have not come to their end.
    pub(super) fn busy(&self) -> usize {
        self.tasks.len()
    }

    fn forget(&self, id: InstanceId) {
        self.board.remove(id);
        self.metrics.forget(id);
    }

    fn member(&self, instance: &Instance) -> Member {
        Member {
            instance: instance.clone(),
            client: self.clients.of(instance),
            telemetry: Arc::new(InstanceTelemetry::new(&self.metrics, self.board.add(instance.id))),
            stop: self.stop.child_token(),
        }
    }

    /// Starts the supervised poller of a member.
    fn start(&mut self, id: InstanceId) {
        let (Some(bridge), Some(member)) = (&self.bridge, self.members.get(&id)) else { return };
        let pacing = Pacing {
            receive_timeout: member.instance.receive_timeout,
            retry_min: self.green_api.retry_min,
            retry_max: self.green_api.retry_max,
            misconfigured_retry: self.green_api.misconfigured_retry,
        };
        let (client, telemetry) = (&member.client, &member.telemetry);
        let caller_names =
            self.callers.clone().map(|callers| CallerLookup::new(Arc::clone(client), callers, Arc::clone(telemetry)));
        let poller = Poller::new(Arc::clone(client), Arc::clone(bridge), pacing, Arc::clone(telemetry));
        let poller = Arc::new(poller.with_caller_names(caller_names));
        let turn = Arc::clone(self.turns.entry(id).or_default());
        let (telemetry, stop) = (Arc::clone(telemetry), member.stop.clone());
        self.tasks.spawn(async move {
            supervise(telemetry, stop.clone(), || {
                let (poller, turn, stop) = (Arc::clone(&poller), Arc::clone(&turn), stop.clone());
                async move {
                    if let Some(mut last) = stop.run_until_cancelled(turn.lock_owned()).await {
                        poller.run(stop, &mut last).await;
                    }
                }
            })
            .await;
            id
        });
    }
}
