//! Who is connected, who is subscribed to what, and the way to them. Whatever happens here happens at once for all:
//! when a call returns, nobody is subscribed who should not be.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, mpsc, oneshot};

use super::journal::PublicationId;
use super::protocol::Goodbye;
use crate::kit::until::until;

/// What a connection's task is to do, in order.
#[derive(Debug)]
pub(super) enum Outgoing {
    Frame { text: String, publication: Option<PublicationId> },
    Silence(Duration),
}

pub(super) struct Hub {
    connections_max: usize,
    frames_waiting_max: usize,
    inner: Mutex<Inner>,
    changed: Notify,
}

struct Inner {
    open: bool,
    dice: Rng,
    peers: HashMap<String, Peer>,
}

struct Peer {
    outgoing: mpsc::Sender<Outgoing>,
    goodbye: oneshot::Sender<Goodbye>,
    channels: HashSet<String>,
}

/// A connection's end of it.
pub(super) struct Joined {
    pub(super) socket_id: String,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) goodbye: oneshot::Receiver<Goodbye>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotJoined {
    Full,
    /// The server is down.
    Closed,
}

impl Hub {
    pub(super) fn new(connections_max: usize, frames_waiting_max: usize, seed: u64) -> Self {
        let dice = Rng::with_seed(seed ^ 0x736f_636b_6574);
        Self {
            connections_max,
            frames_waiting_max,
            inner: Mutex::new(Inner { open: true, dice, peers: HashMap::new() }),
            changed: Notify::new(),
        }
    }

    pub(super) fn join(&self) -> Result<Joined, NotJoined> {
        let mut inner = self.lock();
        if !inner.open {
            return Err(NotJoined::Closed);
        }
        if inner.peers.len() >= self.connections_max {
            return Err(NotJoined::Full);
        }
        let socket_id = loop {
            let id = format!("{}.{}", inner.dice.u32(1..), inner.dice.u32(1..));
            if !inner.peers.contains_key(&id) {
                break id;
            }
        };
        let (outgoing, frames) = mpsc::channel(self.frames_waiting_max);
        let (goodbye, told) = oneshot::channel();
        inner.peers.insert(socket_id.clone(), Peer { outgoing, goodbye, channels: HashSet::new() });
        drop(inner);
        self.changed.notify_waiters();
        Ok(Joined { socket_id, outgoing: frames, goodbye: told })
    }

    pub(super) fn leave(&self, socket_id: &str) {
        self.change(|peers| drop(peers.remove(socket_id)));
    }

    /// False for a socket that is not here any more.
    pub(super) fn subscribe(&self, socket_id: &str, channel: &str) -> bool {
        self.change(|peers| peers.get_mut(socket_id).map(|peer| peer.channels.insert(channel.to_owned()))).is_some()
    }

    pub(super) fn unsubscribe(&self, socket_id: &str, channel: &str) -> bool {
        self.change(|peers| peers.get_mut(socket_id).is_some_and(|peer| peer.channels.remove(channel)))
    }

    /// Whether it was subscribed to anything.
    pub(super) fn unsubscribe_from_all(&self, socket_id: &str) -> bool {
        self.change(|peers| peers.get_mut(socket_id).is_some_and(Peer::forget_channels))
    }

    /// Everybody; the sockets that were subscribed to anything.
    pub(super) fn unsubscribe_all(&self) -> Vec<String> {
        self.change(|peers| {
            let had = peers.iter_mut().filter_map(|(id, peer)| peer.forget_channels().then(|| id.clone()));
            had.collect()
        })
    }

    /// Sends `text` so many times to each subscriber. `before` learns how many there are before any of them does.
    pub(super) fn publish(
        &self,
        channel: &str,
        text: &str,
        publication: PublicationId,
        copies: usize,
        before: impl FnOnce(usize),
    ) {
        self.change(|peers| {
            let subscribed = |peer: &Peer| peer.channels.contains(channel);
            before(peers.values().filter(|peer| subscribed(peer)).count());
            for _ in 0..copies {
                Self::send(peers, subscribed, || Outgoing::Frame {
                    text: text.to_owned(),
                    publication: Some(publication),
                });
            }
        });
    }

    pub(super) fn tell_all(&self, text: &str) {
        let frame = || Outgoing::Frame { text: text.to_owned(), publication: None };
        self.change(|peers| Self::send(peers, |_| true, frame));
    }

    pub(super) fn silence_all(&self, duration: Duration) {
        self.change(|peers| Self::send(peers, |_| true, || Outgoing::Silence(duration)));
    }

    /// Ends every connection there is.
    pub(super) fn dismiss_all(&self, how: Goodbye) {
        self.change(|peers| dismiss(peers, how));
    }

    /// Ends every connection and lets nobody in.
    pub(super) fn close(&self, how: Goodbye) {
        let mut inner = self.lock();
        inner.open = false;
        dismiss(&mut inner.peers, how);
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(super) fn open(&self) {
        self.lock().open = true;
    }

    pub(super) fn sockets(&self) -> usize {
        self.lock().peers.len()
    }

    /// Sockets subscribed to a channel.
    pub(super) fn subscribers(&self, channel: &str) -> usize {
        self.lock().peers.values().filter(|peer| peer.channels.contains(channel)).count()
    }

    /// Resolves once so many sockets are subscribed to a channel.
    pub(super) async fn subscribed(&self, channel: &str, sockets: usize) {
        until(&self.changed, || (self.subscribers(channel) == sockets).then_some(())).await;
    }

    /// Who reads so slowly that nothing more fits is reset, as servers do.
    fn send(peers: &mut HashMap<String, Peer>, to: impl Fn(&Peer) -> bool, made: impl Fn() -> Outgoing) {
        let full = |_: &String, peer: &mut Peer| to(peer) && peer.outgoing.try_send(made()).is_err();
        for (_, peer) in peers.extract_if(full) {
            let _ = peer.goodbye.send(Goodbye::Reset);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, Peer>) -> T) -> T {
        let result = change(&mut self.lock().peers);
        self.changed.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn forget_channels(&mut self) -> bool {
        !std::mem::take(&mut self.channels).is_empty()
    }
}

fn dismiss(peers: &mut HashMap<String, Peer>, how: Goodbye) {
    for peer in std::mem::take(peers).into_values() {
        // A task that is gone needs no goodbye.
        let _ = peer.goodbye.send(how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(hub: &Hub) -> usize {
        let mut subscribers = 0;
        hub.publish("c", "{}", 1, 1, |count| subscribers = count);
        subscribers
    }

    #[test]
    fn only_who_is_subscribed_gets_it() {
        let hub = Hub::new(2, 10, 1);
        let (mut one, mut other) = (hub.join().expect("room"), hub.join().expect("room"));
        assert_eq!(hub.join().err(), Some(NotJoined::Full));
        assert!(hub.subscribe(&one.socket_id, "c"));
        assert_eq!(publish(&hub), 1);
        assert!(one.outgoing.try_recv().is_ok());
        assert!(other.outgoing.try_recv().is_err());
        assert_eq!(hub.unsubscribe_all(), [one.socket_id.clone()]);
        assert_eq!(publish(&hub), 0);
        hub.leave(&other.socket_id);
        assert!(!hub.subscribe(&other.socket_id, "c"));
    }

    #[test]
    fn nobody_is_there_once_all_are_dismissed_nor_comes_before_it_is_open() {
        let hub = Hub::new(2, 10, 1);
        let mut joined = hub.join().expect("room");
        hub.subscribe(&joined.socket_id, "c");
        hub.close(Goodbye::Close(4200));
        assert_eq!((publish(&hub), hub.sockets()), (0, 0));
        assert_eq!(joined.goodbye.try_recv(), Ok(Goodbye::Close(4200)));
        assert_eq!(hub.join().err(), Some(NotJoined::Closed));
        hub.open();
        assert!(hub.join().is_ok());
    }

    #[test]
    fn a_client_that_reads_nothing_is_reset() {
        let hub = Hub::new(2, 1, 1);
        let mut joined = hub.join().expect("room");
        hub.subscribe(&joined.socket_id, "c");
        assert_eq!((publish(&hub), publish(&hub), publish(&hub)), (1, 1, 0));
        assert_eq!(joined.goodbye.try_recv(), Ok(Goodbye::Reset));
    }
}
