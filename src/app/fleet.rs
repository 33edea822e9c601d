//! The running pollers: which instances there are, and how a new set replaces the old one without touching the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::InstanceClients;
use crate::config::{Config, GreenApi, Instance, Receive, Webhook};
use crate::core::bridge::Bridge;
use crate::core::publish::kafka::KafkaPublisher;
use crate::green_api::caller::{CallerCache, CallerLookup};
use crate::green_api::carrier::Carrier;
use crate::green_api::client::InstanceClient;
use crate::green_api::ending::Ending;
use crate::green_api::poll::poller::Poller;
use crate::green_api::poll::weather::Pacing;
use crate::green_api::push::intake::{Intake, Turn};
use crate::green_api::push::intakes;
use crate::http::is_loopback;
use crate::supervisor::{keep_running, supervise};
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::spans::SpanQueue;
use crate::watch::telemetry::status::StatusBoard;
use chatbridge_event::event::InstanceId;

/// What the slow look needs for each instance.
pub(super) type Watched = Vec<(Arc<InstanceClient>, Arc<InstanceTelemetry>)>;

/// At most this many instances of a kind are named in a log line.
const CHANGES_NAMED_MAX: usize = 20;

type CallerNames = Option<CallerLookup<Arc<InstanceClient>>>;
/// The instances that GREEN-API calls us for.
pub(super) type Intakes = intakes::Intakes<Arc<KafkaPublisher>, CallerNames>;

/// All instances, whether receiving has begun or not.
pub(super) struct Fleet {
    green_api: GreenApi,
    webhook: Option<Webhook>,
    intakes: Arc<Intakes>,
    clients: InstanceClients,
    metrics: Arc<Metrics>,
    board: Arc<StatusBoard>,
    callers: Option<CallerCache>,
    spans: Option<SpanQueue>,
    stop: CancellationToken,
    members: BTreeMap<InstanceId, Member>,
    turns: HashMap<InstanceId, Turn>,
    /// Set when receiving may begin.
    bridge: Option<Arc<Bridge<Arc<KafkaPublisher>>>>,
    /// Each returns the instance that it received for.
    tasks: JoinSet<InstanceId>,
    watched: watch::Sender<Watched>,
}

struct Member {
    instance: Instance,
    client: Arc<InstanceClient>,
    telemetry: Arc<InstanceTelemetry>,
    ending: Ending,
}

/// What a new configuration changes, by instance.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) added: Vec<InstanceId>,
    pub(super) removed: Vec<InstanceId>,
    pub(super) changed: Vec<InstanceId>,
    pub(super) untouched: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, ids) in [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)] {
            write!(f, "{} {what}", ids.len())?;
            for (n, id) in ids.iter().take(CHANGES_NAMED_MAX).enumerate() {
                write!(f, "{}{id}", if n == 0 { ": " } else { ", " })?;
            }
            f.write_str(if ids.len() > CHANGES_NAMED_MAX { " and more; " } else { "; " })?;
        }
        write!(f, "{} untouched", self.untouched)
    }
}

impl Fleet {
    /// A fleet without members. It ends with `stop`.
    pub(super) fn new(
        config: &Config,
        clients: InstanceClients,
        metrics: Arc<Metrics>,
        board: Arc<StatusBoard>,
        spans: Option<SpanQueue>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            green_api: config.green_api.clone(),
            webhook: config.webhook.clone(),
            intakes: Arc::default(),
            clients,
            metrics,
            board,
            callers: config.calls.caller_lookup.then(CallerCache::default),
            spans,
            stop,
            members: BTreeMap::new(),
            turns: HashMap::new(),
            bridge: None,
            tasks: JoinSet::new(),
            watched: watch::Sender::default(),
        }
    }

    /// The members, for the slow look at each.
    pub(super) fn watched(&self) -> watch::Receiver<Watched> {
        self.watched.subscribe()
    }

    /// The members that GREEN-API calls us for.
    pub(super) fn intakes(&self) -> Arc<Intakes> {
        Arc::clone(&self.intakes)
    }

    /// Receiving may begin. From now on new members begin at once.
    pub(super) fn begin(&mut self, bridge: Arc<Bridge<Arc<KafkaPublisher>>>) {
        self.bridge = Some(bridge);
        let ids: Vec<InstanceId> = self.members.keys().copied().collect();
        ids.into_iter().for_each(|id| self.start(id));
    }

    /// Makes `instances` the members. Unchanged members are not touched. A member that goes, or is received in another
    /// way from now on, first finishes its poll or the calls in hand.
    pub(super) fn set_instances(&mut self, instances: &[Instance]) -> Changes {
        let mut changes = Changes::default();
        let stay: HashSet<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        let gone: Vec<InstanceId> = self.members.keys().filter(|id| !stay.contains(id)).copied().collect();
        for id in &gone {
            if let Some(member) = self.members.remove(id) {
                member.ending.retire.cancel();
                self.intakes.close(*id);
            }
        }
        // If receiving has not begun, there is no task whose end would trigger this.
        self.forget(gone.iter().filter(|id| !self.turns.contains_key(id)).copied().collect());
        changes.removed = gone;
        for instance in instances {
            match self.members.get(&instance.id) {
                Some(member) if member.instance.is_same(instance) => {
                    changes.untouched += 1;
                    continue;
                }
                Some(member) => {
                    member.ending.retire.cancel();
                    self.intakes.close(instance.id);
                    changes.changed.push(instance.id);
                }
                None => changes.added.push(instance.id),
            }
            if let Receive::Webhook { token } = &instance.receive {
                self.intakes.expect(instance.id, token.clone());
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

    /// Removes what is left of instances that are gone. Never returns while there is nothing to wait for.
    pub(super) async fn tidy(&mut self) {
        let Some(first) = self.tasks.join_next().await else { return std::future::pending().await };
        let mut ended = vec![first];
        ended.extend(std::iter::from_fn(|| self.tasks.try_join_next()));
        let mut gone: HashSet<InstanceId> = ended.into_iter().flatten().collect();
        // A new task may still wait for its turn.
        let is_awaited = |turn: &Turn| Arc::strong_count(turn) > 1;
        gone.retain(|id| !self.members.contains_key(id) && !self.turns.get(id).is_some_and(is_awaited));
        self.turns.retain(|id, _| !gone.contains(id));
        self.forget(gone);
    }

    /// Returns when every poller and every intake has ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Aborts each of them at once.
    pub(super) async fn abort(&mut self) {
        self.tasks.shutdown().await;
    }

    /// How many have not ended.
    pub(super) fn busy(&self) -> usize {
        self.tasks.len()
    }

    fn forget(&self, gone: HashSet<InstanceId>) {
        if !gone.is_empty() {
            gone.iter().for_each(|id| self.board.remove(*id));
            self.metrics.forget(&gone);
        }
    }

    fn member(&self, instance: &Instance) -> Member {
        if instance.api_url.scheme() == "http" && !is_loopback(&instance.api_url) {
            warn!(instance = %instance.id, "api_url is http, so the token travels unencrypted: use https");
        }
        let telemetry = InstanceTelemetry::new(&self.metrics, self.board.add(instance.id));
        Member {
            instance: instance.clone(),
            client: self.clients.of(instance),
            telemetry: Arc::new(telemetry.with_spans(self.spans.clone())),
            ending: Ending::from(self.stop.clone()),
        }
    }

    /// Starts receiving for a member.
    fn start(&mut self, id: InstanceId) {
        let (Some(bridge), Some(member)) = (&self.bridge, self.members.get(&id)) else { return };
        let turn = Arc::clone(self.turns.entry(id).or_default());
        let callers = self.callers.clone();
        let caller_names =
            callers.map(|cache| CallerLookup::new(Arc::clone(&member.client), cache, Arc::clone(&member.telemetry)));
        match (&member.instance.receive, &self.webhook) {
            (Receive::Webhook { .. }, Some(webhook)) => {
                let carrier = Carrier::new(Arc::clone(bridge), Arc::clone(&member.telemetry));
                let (calls_max, patience) = (webhook.requests_per_instance_max, webhook.answer_timeout);
                let intake = Intake::new(carrier.with_caller_names(caller_names), turn, calls_max, patience);
                let (intake, ending) = (Arc::new(intake), member.ending.clone());
                self.intakes.open(id, Arc::clone(&intake));
                let what = "the intake of an instance that GREEN-API calls us for";
                self.tasks.spawn(async move {
                    keep_running(what, ending.stop.clone(), || {
                        let (intake, ending) = (Arc::clone(&intake), ending.clone());
                        async move { intake.run(ending).await }
                    })
                    .await;
                    id
                });
            }
            _ => self.start_poller(id, Arc::clone(bridge), caller_names, turn),
        }
    }

    /// Starts the supervised poller of a member.
    fn start_poller(
        &mut self,
        id: InstanceId,
        bridge: Arc<Bridge<Arc<KafkaPublisher>>>,
        caller_names: CallerNames,
        turn: Turn,
    ) {
        let Some(member) = self.members.get(&id) else { return };
        let pacing = Pacing {
            receive_timeout: member.instance.receive_timeout,
            retry_min: self.green_api.retry_min,
            retry_max: self.green_api.retry_max,
            misconfigured_retry: self.green_api.misconfigured_retry,
            overlap_delete: self.green_api.overlap_delete,
        };
        let poller = Poller::new(Arc::clone(&member.client), bridge, pacing, Arc::clone(&member.telemetry));
        let poller = Arc::new(poller.with_caller_names(caller_names));
        let (telemetry, ending) = (Arc::clone(&member.telemetry), member.ending.clone());
        self.tasks.spawn(async move {
            let panicked = |restart_in: Duration| {
                telemetry.poller_panicked();
                error!(
                    instance = %telemetry.instance(), restart_ms = restart_in.as_millis() as u64,
                    "the instance's poller panicked (the panic is logged above); it is started again, nothing is lost"
                );
            };
            supervise(panicked, ending.stop.clone(), || {
                let (poller, turn, ending) = (Arc::clone(&poller), Arc::clone(&turn), ending.clone());
                async move {
                    tokio::select! {
                        biased;
                        () = ending.asked() => {}
                        mut last = turn.lock_owned() => poller.run(ending.clone(), &mut last).await,
                    }
                }
            })
            .await;
            id
        });
    }
}
