//! Everything the parts of the simulator share, and what they do together: publish an event, strike.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::archive::{Archive, text};
use super::channel::Line;
use super::config::ChatAppSimulatorConfig;
use super::fault::{Act, Fault, FaultKind, Place};
use super::hub::Hub;
use super::journal::{ItemIds, JournalEntry, JournalEvent, PublicationId};
use super::protocol::{self, Goodbye};
use super::tokens::Tokens;
use crate::kit::Kit;
use crate::kit::control::Controlled;
use crate::kit::rate::Rate;

/// Messages one chat remembers; beyond it the oldest go.
const MESSAGES_PER_CHAT_MAX: usize = 100_000;
/// Chats one channel remembers; messages of further ones are pushed and cannot be fetched.
const CHATS_PER_CHANNEL_MAX: usize = 10_000;
/// Frames that may wait for a slow client before its connection is reset.
const FRAMES_WAITING_MAX: usize = 100_000;

/// An event as the application publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where.
    pub channel: String,
    /// Its name.
    pub name: String,
    /// Its body, whatever it is; `{"data":[…],"meta":{…}}`, or that inside `payload`, where it is ChatApp's.
    pub body: String,
}

pub(super) struct World {
    pub(super) config: ChatAppSimulatorConfig,
    pub(super) kit: Kit<JournalEntry, Fault>,
    pub(super) hub: Hub,
    /// Thrown for faults.
    dice: Mutex<Rng>,
    /// How long the socket server shall be away.
    restarts: mpsc::UnboundedSender<Duration>,
    tokens: Mutex<Tokens>,
    rate: Mutex<Rate>,
    shared: Mutex<Shared>,
}

/// What a publication changes; the order of the publications is the order of its lock.
pub(super) struct Shared {
    pub(super) archive: Archive,
    publications: PublicationId,
}

impl World {
    pub(super) fn new(config: ChatAppSimulatorConfig, restarts: mpsc::UnboundedSender<Duration>) -> io::Result<Self> {
        Ok(Self {
            kit: Kit::new(&config.journal, config.body_bytes_max)?,
            hub: Hub::new(config.socket.connections_max, FRAMES_WAITING_MAX, config.seed),
            dice: Mutex::new(Rng::with_seed(config.seed)),
            restarts,
            tokens: Mutex::new(Tokens::new(config.logins_per_day_max, config.login.clone(), config.seed)),
            rate: Mutex::default(),
            shared: Mutex::new(Shared {
                archive: Archive::new(CHATS_PER_CHANNEL_MAX, MESSAGES_PER_CHAT_MAX),
                publications: 0,
            }),
            config,
        })
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request; false when it is one too many.
    pub(super) fn admits_request(&self) -> bool {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.admits(self.config.requests_per_second_max, Instant::now())
    }

    /// What goes wrong here and now; the journal knows.
    pub(super) fn fault(&self, place: Place) -> Option<FaultKind> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = self.kit.faults.draw(place, &mut dice)?.kind.clone();
        let fault = serde_json::to_string(&kind).unwrap_or_default();
        self.record(JournalEvent::Faulted { place, fault });
        Some(kind)
    }

    pub(super) fn record(&self, what: JournalEvent) {
        self.kit.journal.record(|stamp| JournalEntry::new(stamp, what));
    }

    /// Publishes: remembers what REST gives back, and sends it to who is subscribed.
    pub(super) fn publish(&self, event: &Event) -> PublicationId {
        let mut shared = self.shared();
        let fault = self.fault(Place::Publication);
        if let Some(FaultKind::Strike { act }) = &fault {
            self.strike(act);
        }
        let copies = match fault {
            Some(FaultKind::Drop) => 0,
            Some(FaultKind::Duplicate) => 2,
            _ => 1,
        };
        shared.publications += 1;
        let publication = shared.publications;
        let items = items(&event.body);
        let line = Line::of_channel(&event.channel);
        let fetchable = line.is_some_and(|line| shared.archive.take(&line, &event.name, &items));
        let frame = protocol::event(&event.channel, &event.name, &event.body, fault == Some(FaultKind::ObjectData));
        self.hub.publish(&event.channel, &frame, publication, copies, |subscribers| {
            self.record(JournalEvent::Published {
                publication,
                channel: event.channel.clone(),
                name: event.name.clone(),
                body: event.body.clone(),
                items: items.iter().map(ids).collect(),
                fetchable,
                subscribers,
            });
        });
        publication
    }

    /// Does it to everything that is there now; who is cut off is subscribed no more when this returns.
    pub(super) fn strike(&self, act: &Act) {
        let dialect = self.config.socket.dialect;
        match *act {
            Act::Disconnect { code } => self.hub.dismiss_all(Goodbye::Close(code)),
            Act::Reset => self.hub.dismiss_all(Goodbye::Reset),
            Act::Silence { duration_ms } => self.hub.silence_all(Duration::from_millis(duration_ms)),
            Act::UnsubscribeSilently => {
                for socket in self.hub.unsubscribe_all() {
                    self.record(JournalEvent::Unsubscribed { socket, channel: None, silently: true });
                }
            }
            Act::ErrorFrame { code } => self.hub.tell_all(&dialect.error(code, "simulated")),
            Act::ExpireTokens => self.tokens().expire_access(),
            Act::ExpireRefreshTokens => self.tokens().expire_refresh(),
            Act::Restart { downtime_ms, killed } => {
                self.hub.close(if killed { Goodbye::Eof } else { dialect.at_shutdown() });
                // Fails at the end of the simulator, when nothing is to come back.
                let _ = self.restarts.send(Duration::from_millis(downtime_ms));
            }
        }
    }

    /// Ends everything: open sockets hear the dialect's goodbye.
    pub(super) fn end(&self) {
        self.kit.stop.cancel();
        self.hub.close(self.config.socket.dialect.at_shutdown());
        self.kit.journal.flush();
    }
}

impl Controlled for World {
    type Entry = JournalEntry;
    type Fault = Fault;

    fn kit(&self) -> &Kit<JournalEntry, Fault> {
        &self.kit
    }
}

pub(super) fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// `data[]`, also inside `payload`.
fn items(body: &str) -> Vec<Value> {
    let Ok(mut body) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    if body.get("data").is_none() {
        body = body["payload"].take();
    }
    match body["data"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn ids(item: &Value) -> ItemIds {
    ItemIds { chat: text(&item["chat"]["id"]), id: text(&item["id"]) }
}
