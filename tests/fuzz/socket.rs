//! What stands around a session of the Pusher protocol: a socket that always opens, a sink that takes at once, and a
//! clock that goes on between two frames.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use chatbridge_pusher::{Action, Auth, ClientFrame, Input, Limits, Moment, Received, Report, Session};
use serde_json::json;

use crate::shared::is_json;

/// What is kept subscribed.
pub(crate) const CHANNELS: [&str; 2] = ["private-v1.licenses.1.messengers.a", "private-v1.companies.2"];
/// Long enough for every deadline of a connection to be met within a few frames.
const BETWEEN_FRAMES: Duration = Duration::from_secs(9);
/// A lost connection is back by then.
const RECONNECTED: Duration = Duration::from_secs(700);
const CHANCE: f64 = 0.5;

/// What happens next.
enum Next {
    Connected,
    Frame(String),
    Authorised { socket_id: String, channel: String },
    TokenRenewed,
    Closed,
    Taken,
}

pub(crate) struct Rim {
    session: Session,
    now: Moment,
    /// Whether the server names the connection and subscribes what it is asked for.
    server_helps: bool,
    connections: u32,
    has_socket: bool,
    is_delivering: bool,
    is_finished: bool,
    live: BTreeSet<String>,
    next: VecDeque<Next>,
    received: Option<Received>,
}

impl Rim {
    pub(crate) fn new(server_helps: bool) -> Self {
        let mut rim = Self {
            session: Session::new(CHANNELS.map(str::to_owned), Limits::default()),
            now: Moment::START,
            server_helps,
            connections: 0,
            has_socket: false,
            is_delivering: false,
            is_finished: false,
            live: BTreeSet::new(),
            next: VecDeque::new(),
            received: None,
        };
        rim.handle(Input::Tick);
        rim.pass(BETWEEN_FRAMES);
        assert!(rim.live.len() == if server_helps { CHANNELS.len() } else { 0 });
        rim
    }

    /// Has the session read a frame, and says what of it is for the application.
    pub(crate) fn hears(&mut self, frame: &[u8]) -> Option<Received> {
        self.pass(BETWEEN_FRAMES);
        self.tick_until(self.now + RECONNECTED, |rim| rim.has_socket);
        assert!(self.has_socket, "it never gives up");
        match std::str::from_utf8(frame) {
            Ok(text) => self.handle(Input::Frame(text)),
            Err(_) => self.handle(Input::Binary(frame)),
        }
        self.received.take()
    }

    /// Whatever was heard, it comes to an end when it is asked to.
    pub(crate) fn stops(mut self) {
        self.handle(Input::Stop);
        assert!(self.is_finished && self.session.deadline().is_none());
    }

    /// Lets time pass, and everything happen that is due meanwhile.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.tick_until(end, |_| false);
        self.now = end;
    }

    fn tick_until(&mut self, end: Moment, is_enough: impl Fn(&Self) -> bool) {
        let mut calls_at_one_moment = 0;
        while !is_enough(self)
            && let Some(deadline) = self.session.deadline()
            && deadline <= end
        {
            calls_at_one_moment = if deadline > self.now { 0 } else { calls_at_one_moment + 1 };
            assert!(calls_at_one_moment < 5, "it spins at {:?}", self.now);
            self.now = self.now.max(deadline);
            self.handle(Input::Tick);
        }
    }

    /// Hands the session what happened, then what follows from what it wants done.
    fn handle(&mut self, input: Input<'_>) {
        let actions = self.session.handle(input, self.now, CHANCE);
        actions.into_iter().for_each(|action| self.act(action));
        while let Some(next) = self.next.pop_front() {
            let input = self.input(&next);
            let actions = self.session.handle(input, self.now, CHANCE);
            actions.into_iter().for_each(|action| self.act(action));
        }
        assert!(self.is_finished || self.session.deadline().is_some(), "there is always a next time");
    }

    fn input<'n>(&mut self, next: &'n Next) -> Input<'n> {
        match next {
            Next::Connected => {
                self.has_socket = true;
                Input::Connected
            }
            Next::Frame(text) => Input::Frame(text),
            Next::Authorised { socket_id, channel } => Input::Authorised {
                socket_id: socket_id.clone(),
                channel: channel.clone(),
                answer: Ok(Auth::new("key:0a".to_owned())),
            },
            Next::TokenRenewed => Input::TokenRenewed(true),
            Next::Closed => Input::Closed { code: Some(1000), detail: String::new() },
            Next::Taken => {
                self.is_delivering = false;
                Input::Taken
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect => {
                assert!(!self.has_socket && !self.is_delivering, "a connection nobody can use");
                self.connections += 1;
                self.next.push_back(Next::Connected);
                let data = json!({"socket_id": format!("{}.1", self.connections), "activity_timeout": 30});
                self.server_says(json!({"event": "pusher:connection_established", "data": data.to_string()}));
            }
            Action::Send(frame) => {
                assert!(self.has_socket, "{frame:?} is sent without a socket");
                assert!(is_json(frame.encode().as_bytes()));
                if let ClientFrame::Subscribe { channel, .. } = frame {
                    assert!(!self.live.contains(&channel), "{channel} is live");
                    let succeeded = "pusher_internal:subscription_succeeded";
                    self.server_says(json!({"event": succeeded, "channel": channel, "data": "{}"}));
                }
            }
            Action::Authorise { socket_id, channel } => self.next.push_back(Next::Authorised { socket_id, channel }),
            Action::RenewToken => self.next.push_back(Next::TokenRenewed),
            Action::Deliver(received) => {
                assert!(!self.is_delivering, "two deliveries at a time");
                self.is_delivering = true;
                self.received = Some(received);
                self.next.push_back(Next::Taken);
            }
            Action::Close => self.next.push_back(Next::Closed),
            Action::Disconnect => {
                self.has_socket = false;
                // Nothing of it comes in any more.
                self.next.retain(|next| matches!(next, Next::TokenRenewed | Next::Taken));
            }
            Action::Report(report) => self.told(&report),
            Action::Finished => self.is_finished = true,
        }
    }

    fn server_says(&mut self, frame: serde_json::Value) {
        if self.server_helps {
            self.next.push_back(Next::Frame(frame.to_string()));
        }
    }

    fn told(&mut self, report: &Report) {
        match report {
            Report::Live { channel } => assert!(self.live.insert(channel.clone()), "{channel} is live twice"),
            Report::Lost { channel } => assert!(self.live.remove(channel), "{channel} was not live"),
            Report::Disconnected { retry_in, .. } => {
                assert!(*retry_in <= Duration::from_secs(600), "{retry_in:?}");
                assert!(self.live.is_empty(), "nobody was told that {:?} are lost", self.live);
            }
            _ => {}
        }
    }
}
