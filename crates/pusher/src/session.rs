//! The session: takes inputs, returns actions.

use std::time::Duration;

use super::action::{Action, Input};
use super::channels::Channels;
use super::code;
use super::frame::{ClientFrame, Received, ServerError, ServerFrame, decode};
use super::limits::{Limits, Moment};
use super::liveness::{Liveness, Pulse};
use super::reconnect::Reconnects;
use super::report::{Cause, Report};

/// How often a stalled sink is reported again.
const STALL_REMINDER: Duration = Duration::from_secs(60);
/// Hosted Pusher's message when a channel is subscribed twice; it has no code for that.
const SUBSCRIBED_ALREADY: &str = "Existing subscription";

#[derive(Debug, Clone)]
enum Phase {
    /// `held`: the sink has not taken the last delivery yet, and there is no connecting until it does.
    Waiting {
        until: Moment,
        held: bool,
    },
    Connecting {
        until: Moment,
    },
    Handshaking {
        until: Moment,
    },
    Established {
        socket_id: String,
        since: Moment,
        liveness: Liveness,
    },
    Closing {
        until: Moment,
    },
    Finished,
}

/// One session of the protocol, over any number of connections.
#[derive(Debug, Clone)]
pub struct Session {
    limits: Limits,
    phase: Phase,
    channels: Channels,
    reconnects: Reconnects,
    /// Since when the sink has had a delivery that it has not taken yet.
    delivering_since: Option<Moment>,
    now: Moment,
}

impl Session {
    /// A session for these channels, without duplicates. It connects at the first [`Input::Tick`].
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = String>, limits: Limits) -> Self {
        Self {
            phase: Phase::Waiting { until: Moment::START, held: false },
            channels: Channels::new(channels, &limits),
            reconnects: Reconnects::new(&limits),
            limits,
            delivering_since: None,
            now: Moment::START,
        }
    }

    /// Handles what happened at `now`, and returns what to do, in order. `chance` lies in 0..1 and is new for each
    /// call.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_>, now: Moment, chance: f64) -> Vec<Action> {
        // If the clock goes backwards, stay at the latest time.
        self.now = self.now.max(now);
        let mut turn = Turn { now: self.now, chance, actions: Vec::new() };
        match input {
            Input::Tick => {}
            Input::Connected => self.connected(&mut turn),
            Input::Unreachable { detail } => {
                if matches!(self.phase, Phase::Connecting { .. }) {
                    self.lose(Cause::Unreachable { detail }, &mut turn);
                }
            }
            Input::Frame(text) if text.len() > self.limits.frame_bytes_max => self.lose(Cause::TooLarge, &mut turn),
            Input::Frame(text) => self.frame(decode(text), &mut turn),
            Input::Binary(bytes) => {
                self.frame(ServerFrame::Application(Received::Unreadable { bytes: bytes.to_vec() }), &mut turn);
            }
            Input::Closed { code, detail } => self.lose(Cause::Closed { code, detail }, &mut turn),
            Input::TooLarge => self.lose(Cause::TooLarge, &mut turn),
            Input::Authorised { socket_id, channel, answer } => {
                if let Phase::Established { socket_id: current, .. } = &self.phase
                    && *current == socket_id
                {
                    self.channels.authorised(&channel, answer, turn.now, turn.chance, &mut turn.actions);
                }
            }
            Input::TokenRenewed(worked) => {
                self.channels.token_renewed(worked, turn.now, turn.chance, &mut turn.actions);
            }
            Input::Taken => self.taken(&turn),
            Input::Distrusted => {
                if matches!(self.phase, Phase::Established { .. }) {
                    self.lose(Cause::Distrusted, &mut turn);
                }
            }
            Input::Stop => self.stop(&mut turn),
        }
        self.advance(&mut turn);
        turn.actions
    }

    /// When [`Input::Tick`] is due if nothing happens before. `None` once the session has ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Waiting { until, .. }
            | Phase::Connecting { until }
            | Phase::Handshaking { until }
            | Phase::Closing { until } => Some(*until),
            Phase::Established { liveness, .. } => {
                let pulse = liveness.deadline(self.delivering_since.is_none());
                let stalled = self.delivering_since.map(|since| since + self.limits.stall_max);
                Some([stalled, self.channels.deadline()].into_iter().flatten().fold(pulse, Moment::min))
            }
            Phase::Finished => None,
        }
    }

    fn connected(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.phase = Phase::Handshaking { until: turn.now + self.limits.handshake_timeout };
        }
    }

    fn frame(&mut self, frame: ServerFrame, turn: &mut Turn) {
        match &mut self.phase {
            Phase::Established { liveness, .. } => liveness.heard(turn.now),
            Phase::Handshaking { .. } | Phase::Closing { .. } => {}
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Finished => return,
        }
        let is_established = matches!(self.phase, Phase::Established { .. });
        match frame {
            ServerFrame::Application(received) => {
                self.delivering_since = Some(turn.now);
                turn.actions.push(Action::Deliver(received));
            }
            ServerFrame::Ping => turn.actions.push(Action::Send(ClientFrame::Pong)),
            ServerFrame::Pong => {}
            ServerFrame::Error(error) => self.server_error(error, turn),
            ServerFrame::Established { socket_id, activity_timeout } => {
                self.established(socket_id, activity_timeout, turn);
            }
            ServerFrame::Subscribed { channel } if is_established => {
                self.channels.subscribed_to(&channel, &mut turn.actions);
            }
            ServerFrame::NotSubscribed { channel, error } if is_established => {
                if !self.channels.refused_by_server(&channel, error.clone(), turn.now, turn.chance, &mut turn.actions) {
                    turn.report(Report::ServerError(error));
                }
            }
            ServerFrame::Subscribed { .. } | ServerFrame::NotSubscribed { .. } => {}
            ServerFrame::Unknown { event } => turn.report(Report::UnknownFrame { event }),
        }
    }

    fn established(&mut self, socket_id: String, activity_timeout: Option<Duration>, turn: &mut Turn) {
        if matches!(self.phase, Phase::Handshaking { .. }) {
            self.channels.connected(turn.now);
            turn.report(Report::Established { socket_id: socket_id.clone() });
            let liveness = Liveness::new(activity_timeout, &self.limits, turn.now);
            self.phase = Phase::Established { socket_id, since: turn.now, liveness };
        }
    }

    /// An error about a channel affects only that channel. An error with a code that ends connections ends this one,
    /// whether or not a close follows. Any other error is only reported.
    fn server_error(&mut self, error: ServerError, turn: &mut Turn) {
        if matches!(self.phase, Phase::Established { .. }) {
            let (now, chance, actions) = (turn.now, turn.chance, &mut turn.actions);
            let is_settled = match (&error.channel, error.code) {
                (Some(channel), code) if code == Some(4009) || code::after_error(code).is_none() => {
                    self.channels.refused_by_server(channel, error.clone(), now, chance, actions)
                }
                (None, Some(4009)) => self.channels.refused_without_name(error.clone(), now, chance, actions),
                (None, None) if error.message.starts_with(SUBSCRIBED_ALREADY) => {
                    self.channels.is_subscribed_already(actions);
                    false
                }
                _ => false,
            };
            if is_settled {
                return;
            }
        }
        match code::after_error(error.code) {
            Some(_) => self.lose(Cause::Error(error), turn),
            None => turn.report(Report::ServerError(error)),
        }
    }

    /// The connection can no longer be used.
    fn lose(&mut self, cause: Cause, turn: &mut Turn) {
        match &self.phase {
            Phase::Connecting { .. } | Phase::Handshaking { .. } => {}
            Phase::Established { since, .. } => {
                if turn.now.since(*since) >= self.limits.healthy_after {
                    self.reconnects.was_healthy();
                }
            }
            Phase::Closing { .. } => return self.finish(turn),
            Phase::Waiting { .. } | Phase::Finished => return,
        }
        turn.actions.push(Action::Disconnect);
        for channel in self.channels.lost(turn.now) {
            turn.report(Report::Lost { channel });
        }
        let rule = cause.rule();
        let retry_in = self.reconnects.wait(rule, turn.chance);
        turn.report(Report::Disconnected { cause, rule, retry_in });
        self.phase = Phase::Waiting { until: turn.now + retry_in, held: false };
    }

    fn taken(&mut self, turn: &Turn) {
        let Some(since) = self.delivering_since.take() else { return };
        match &mut self.phase {
            Phase::Established { liveness, .. } => liveness.was_not_listening(turn.now.since(since)),
            Phase::Waiting { until, held: true } => *until = turn.now,
            _ => {}
        }
    }

    fn stop(&mut self, turn: &mut Turn) {
        match &self.phase {
            Phase::Established { .. } => {
                for channel in self.channels.subscribed() {
                    turn.actions.push(Action::Send(ClientFrame::Unsubscribe { channel }));
                }
                for channel in self.channels.lost(turn.now) {
                    turn.report(Report::Lost { channel });
                }
                turn.actions.push(Action::Close);
                self.phase = Phase::Closing { until: turn.now + self.limits.close_timeout };
            }
            Phase::Handshaking { .. } => {
                turn.actions.push(Action::Close);
                self.phase = Phase::Closing { until: turn.now + self.limits.close_timeout };
            }
            Phase::Waiting { .. } | Phase::Connecting { .. } => self.finish(turn),
            Phase::Closing { .. } | Phase::Finished => {}
        }
    }

    fn finish(&mut self, turn: &mut Turn) {
        turn.actions.push(Action::Disconnect);
        turn.report(Report::Stopped);
        turn.actions.push(Action::Finished);
        self.phase = Phase::Finished;
    }

    /// Does what is due.
    fn advance(&mut self, turn: &mut Turn) {
        let now = turn.now;
        match &mut self.phase {
            Phase::Waiting { until, held } if *until <= now => match self.delivering_since {
                Some(since) => {
                    (*until, *held) = (now + STALL_REMINDER, true);
                    turn.report(Report::Stalled { lasting: now.since(since) });
                }
                None => {
                    self.phase = Phase::Connecting { until: now + self.limits.connect_timeout };
                    turn.report(Report::Connecting);
                    turn.actions.push(Action::Connect);
                }
            },
            Phase::Connecting { until } if *until <= now => self.lose(Cause::ConnectTimeout, turn),
            Phase::Handshaking { until } if *until <= now => self.lose(Cause::HandshakeTimeout, turn),
            Phase::Closing { until } if *until <= now => self.finish(turn),
            Phase::Established { socket_id, liveness, .. } => {
                if self.delivering_since.is_some_and(|since| now.since(since) >= self.limits.stall_max) {
                    return self.lose(Cause::Stalled, turn);
                }
                match liveness.pulse(self.delivering_since.is_none(), now) {
                    Pulse::Fine => {}
                    Pulse::Ping => turn.actions.push(Action::Send(ClientFrame::Ping)),
                    Pulse::Dead => return self.lose(Cause::Silent, turn),
                }
                self.channels.advance(socket_id, now, turn.chance, &mut turn.actions);
            }
            _ => {}
        }
    }
}

/// One call of [`Session::handle`].
struct Turn {
    now: Moment,
    chance: f64,
    actions: Vec<Action>,
}

impl Turn {
    fn report(&mut self, report: Report) {
        self.actions.push(Action::Report(report));
    }
}

#[cfg(test)]
mod tests;
