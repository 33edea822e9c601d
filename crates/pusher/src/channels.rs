//! The channels of one session: authorised for each connection, subscribed one at a time, refused one by one.

use std::time::Duration;

use super::action::Action;
use super::auth::{Auth, AuthFailure};
use super::frame::{ClientFrame, ServerError};
use super::limits::{Limits, Moment};
use super::report::{Refusal, Report};
use chatbridge_base::retry::Backoff;

/// While no channel could be subscribed with a new token, it is not renewed again for this long, whatever is refused …
const RENEWAL_PAUSE: Duration = Duration::from_secs(10 * 60);
/// … and not for this long on behalf of a channel that is refused with a new token.
const RENEWAL_PAUSE_OF_CHANNEL: Duration = Duration::from_secs(60 * 60);
/// The wait after trouble at the endpoint, and after a renewal that made no token.
const TROUBLED_RETRY_MIN: Duration = Duration::from_secs(1);
const TROUBLED_RETRY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
enum State {
    /// To be authorised, but not before this time.
    Idle {
        from: Moment,
    },
    /// Refused; to be authorised once more when the token has been renewed.
    AwaitsToken,
    /// Being authorised with the token of this number.
    Authorising {
        until: Moment,
        tokens: u64,
    },
    /// Waiting for its turn to subscribe.
    Authorised {
        auth: Auth,
    },
    Subscribing {
        until: Moment,
    },
    Live,
}

#[derive(Debug, Clone)]
struct Channel {
    name: String,
    state: State,
    refused: Backoff,
    troubled: Backoff,
    /// When it was refused and the token renewed for it, unless it has been subscribed since.
    renewed_at: Option<Moment>,
}

/// All channels, and the token they share.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    limits: Limits,
    channels: Vec<Channel>,
    auth_from: Moment,
    /// Subscriptions of this connection that were given up but may still be answered.
    given_up: usize,
    /// The deadline of the current renewal.
    renewing_until: Option<Moment>,
    /// After a renewal that made no token: no other before this time.
    renewal_from: Moment,
    renewal_failures: Backoff,
    /// When the token was renewed, unless a channel has been subscribed with it since.
    renewed_at: Option<Moment>,
    /// The number of renewals that made a token.
    tokens: u64,
}

impl Channels {
    pub(super) fn new(names: impl IntoIterator<Item = String>, limits: &Limits) -> Self {
        let mut channels: Vec<Channel> = Vec::new();
        for name in names {
            if channels.iter().all(|channel| channel.name != name) {
                channels.push(Channel {
                    name,
                    state: State::Idle { from: Moment::START },
                    refused: Backoff::new(limits.refused_retry_min, limits.refused_retry_max),
                    troubled: Backoff::new(TROUBLED_RETRY_MIN, TROUBLED_RETRY_MAX),
                    renewed_at: None,
                });
            }
        }
        Self {
            limits: limits.clone(),
            channels,
            auth_from: Moment::START,
            given_up: 0,
            renewing_until: None,
            renewal_from: Moment::START,
            renewal_failures: Backoff::new(TROUBLED_RETRY_MIN, TROUBLED_RETRY_MAX),
            renewed_at: None,
            tokens: 0,
        }
    }

    /// There is a new connection: every channel is tried at once, including refused ones.
    pub(super) fn connected(&mut self, now: Moment) {
        self.given_up = 0;
        for channel in &mut self.channels {
            channel.state = State::Idle { from: now };
        }
    }

    /// The connection is gone; returns the channels that were live.
    pub(super) fn lost(&mut self, now: Moment) -> Vec<String> {
        let live = self.live();
        self.connected(now);
        live
    }

    pub(super) fn live(&self) -> Vec<String> {
        let live = self.channels.iter().filter(|channel| matches!(channel.state, State::Live));
        live.map(|channel| channel.name.clone()).collect()
    }

    /// The channels that are live or being subscribed.
    pub(super) fn subscribed(&self) -> Vec<String> {
        let subscribed =
            self.channels.iter().filter(|channel| matches!(channel.state, State::Live | State::Subscribing { .. }));
        subscribed.map(|channel| channel.name.clone()).collect()
    }

    /// Does everything that is due on the connection `socket_id`.
    pub(super) fn advance(&mut self, socket_id: &str, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        self.give_up_what_takes_too_long(now, chance, actions);
        while self.auth_from <= now
            && self.may_authorise()
            && let Some(next) =
                self.channels.iter().position(|c| matches!(c.state, State::Idle { from } if from <= now))
        {
            self.auth_from = now + self.limits.auth_spacing;
            let channel = &mut self.channels[next];
            channel.state = State::Authorising { until: now + self.limits.auth_timeout, tokens: self.tokens };
            actions.push(Action::Authorise { socket_id: socket_id.to_owned(), channel: channel.name.clone() });
        }
        if self.subscribing().is_none()
            && let Some(next) = self.channels.iter_mut().find(|c| matches!(c.state, State::Authorised { .. }))
        {
            let subscribing = State::Subscribing { until: now + self.limits.subscribe_timeout };
            if let State::Authorised { auth } = std::mem::replace(&mut next.state, subscribing) {
                actions.push(Action::Send(ClientFrame::Subscribe { channel: next.name.clone(), auth }));
            }
        }
    }

    fn give_up_what_takes_too_long(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        if self.renewing_until.is_some_and(|until| until <= now) {
            self.token_renewed(false, now, chance, actions);
        }
        for index in 0..self.channels.len() {
            match self.channels[index].state {
                State::Authorising { until, .. } if until <= now => {
                    self.refuse(index, Refusal::NoAuthInTime, now, chance, actions);
                }
                State::Subscribing { until } if until <= now => {
                    self.given_up += 1;
                    self.refuse(index, Refusal::NoAnswer, now, chance, actions);
                }
                _ => {}
            }
        }
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let may_authorise = self.may_authorise();
        let deadlines = self.channels.iter().filter_map(|channel| match channel.state {
            State::Idle { from } => may_authorise.then(|| from.max(self.auth_from)),
            State::Authorising { until, .. } | State::Subscribing { until } => Some(until),
            State::AwaitsToken | State::Authorised { .. } | State::Live => None,
        });
        deadlines.chain(self.renewing_until).min()
    }

    fn may_authorise(&self) -> bool {
        let asked = self.channels.iter().filter(|channel| matches!(channel.state, State::Authorising { .. })).count();
        self.renewing_until.is_none() && asked < self.limits.auths_at_a_time_max.max(1)
    }

    fn subscribing(&self) -> Option<usize> {
        self.channels.iter().position(|channel| matches!(channel.state, State::Subscribing { .. }))
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|channel| channel.name == name)
    }

    /// The endpoint has answered for this connection.
    pub(super) fn authorised(
        &mut self,
        name: &str,
        answer: Result<Auth, AuthFailure>,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) {
        let Some(index) = self.index_of(name) else { return };
        let State::Authorising { tokens, .. } = self.channels[index].state else { return };
        match answer {
            Ok(auth) => self.channels[index].state = State::Authorised { auth },
            Err(failure @ AuthFailure::Forbidden { .. }) => {
                self.forbidden(index, tokens, failure, now, chance, actions)
            }
            Err(failure) => self.refuse(index, Refusal::NoAuth(failure), now, chance, actions),
        }
    }

    /// Refused with the token of that number. A newer token is tried once. If there is none, one is asked for, once for
    /// all channels that the old one failed.
    fn forbidden(
        &mut self,
        index: usize,
        tokens: u64,
        failure: AuthFailure,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) {
        let lately = |renewed_at: Option<Moment>, pause| renewed_at.is_some_and(|at| now.since(at) < pause);
        let had_its_turn = lately(self.channels[index].renewed_at, RENEWAL_PAUSE_OF_CHANNEL);
        if tokens < self.tokens {
            self.channels[index].renewed_at = Some(now);
            self.channels[index].state = State::Idle { from: now };
        } else if self.renewing_until.is_some() {
            self.channels[index].state = State::AwaitsToken;
        } else if had_its_turn || lately(self.renewed_at, RENEWAL_PAUSE) {
            self.refuse(index, Refusal::NoAuth(failure), now, chance, actions);
        } else if now < self.renewal_from {
            self.refuse(index, Refusal::NoToken, now, chance, actions);
        } else {
            self.channels[index].state = State::AwaitsToken;
            self.renewing_until = Some(now + self.limits.renewal_timeout);
            actions.push(Action::Report(Report::TokenRefused));
            actions.push(Action::RenewToken);
        }
    }

    /// The requested renewal has ended. Only after a successful one there is a long pause. A failed one is due to
    /// trouble at ChatApp or in the network, and when that is over nobody should have to wait.
    pub(super) fn token_renewed(&mut self, worked: bool, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let was_given_up = self.renewing_until.take().is_none();
        if was_given_up && !worked {
            return;
        }
        if worked {
            self.tokens += 1;
            self.renewed_at = Some(now);
            self.renewal_failures.reset();
        } else {
            self.renewal_from = now + self.renewal_failures.next_at_least(TROUBLED_RETRY_MIN, chance);
        }
        for index in 0..self.channels.len() {
            if !matches!(self.channels[index].state, State::AwaitsToken) {
                continue;
            }
            if worked {
                self.channels[index].renewed_at = Some(now);
                self.channels[index].state = State::Idle { from: now };
            } else {
                self.refuse(index, Refusal::NoToken, now, chance, actions);
            }
        }
    }

    /// The server says that the channel is subscribed. An answer to a subscription that was given up counts too, and
    /// ends whatever else was under way for it.
    pub(super) fn subscribed_to(&mut self, name: &str, actions: &mut Vec<Action>) {
        let Some(index) = self.index_of(name) else { return };
        let channel = &mut self.channels[index];
        match channel.state {
            State::Live => return,
            State::Subscribing { .. } => {}
            _ => self.given_up = self.given_up.saturating_sub(1),
        }
        channel.state = State::Live;
        channel.refused.reset();
        channel.troubled.reset();
        channel.renewed_at = None;
        actions.push(Action::Report(Report::Live { channel: channel.name.clone() }));
        self.renewed_at = None;
    }

    /// The server refuses the channel by name, or ends its subscription.
    pub(super) fn refused_by_server(
        &mut self,
        name: &str,
        error: ServerError,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(index) = self.index_of(name) else { return false };
        match self.channels[index].state {
            State::Live => actions.push(Action::Report(Report::Lost { channel: name.to_owned() })),
            State::Subscribing { .. } => {}
            // Too late: the next try is under way or waits for its time.
            _ => {
                self.given_up = self.given_up.saturating_sub(1);
                return true;
            }
        }
        self.refuse(index, Refusal::ByServer(error), now, chance, actions);
        true
    }

    /// The server refuses a subscription without naming the channel. Returns whether it can be one of ours.
    pub(super) fn refused_without_name(
        &mut self,
        error: ServerError,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) -> bool {
        if let Some(index) = self.subscribing() {
            self.refuse(index, Refusal::ByServer(error), now, chance, actions);
            return true;
        }
        let is_late = self.given_up > 0;
        self.given_up = self.given_up.saturating_sub(1);
        is_late
    }

    /// Hosted Pusher's answer to a second subscription. That only happens after one was given up.
    pub(super) fn is_subscribed_already(&mut self, actions: &mut Vec<Action>) {
        if let Some(index) = self.subscribing() {
            let name = self.channels[index].name.clone();
            self.subscribed_to(&name, actions);
        }
    }

    /// Leaves this one channel alone for a while.
    fn refuse(&mut self, index: usize, refusal: Refusal, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let limits = &self.limits;
        let channel = &mut self.channels[index];
        let retry_in = match &refusal {
            Refusal::NoAuth(AuthFailure::Unavailable { retry_after, .. }) => {
                let least = retry_after.unwrap_or_default().clamp(TROUBLED_RETRY_MIN, TROUBLED_RETRY_MAX);
                channel.troubled.next_at_least(least, chance)
            }
            Refusal::NoAuthInTime | Refusal::NoAnswer => channel.troubled.next_at_least(TROUBLED_RETRY_MIN, chance),
            Refusal::NoToken => self.renewal_from.since(now).max(TROUBLED_RETRY_MIN),
            Refusal::NoAuth(AuthFailure::Forbidden { .. }) | Refusal::ByServer(_) => {
                channel.refused.next_at_least(limits.refused_retry_min, chance).min(limits.refused_retry_max)
            }
        };
        channel.state = State::Idle { from: now + retry_in };
        actions.push(Action::Report(Report::Refused { channel: channel.name.clone(), refusal, retry_in }));
    }
}
