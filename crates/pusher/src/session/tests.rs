//! The session against scripted peers, on a clock the tests hold.

use super::super::auth::{Auth, AuthFailure};
use super::*;

mod any_order;
mod dialects;
mod refusals;
mod weather;

const A: &str = "private-a";
const B: &str = "private-b";

/// A session, its clock, and what it did, told in short words.
struct Stage {
    session: Session,
    now: Moment,
    chance: f64,
    connections: u32,
}

impl Stage {
    fn new(channels: &[&str]) -> Self {
        Self::with(channels, Limits::default())
    }

    fn with(channels: &[&str], limits: Limits) -> Self {
        let session = Session::new(channels.iter().map(|&channel| channel.to_owned()), limits);
        Self { session, now: Moment::START, chance: 0.0, connections: 0 }
    }

    /// Connected, named `1.1`, each channel live.
    fn live(channels: &[&str]) -> Self {
        let mut stage = Self::new(channels);
        stage.go_live(channels);
        stage
    }

    /// From a session that has just been told to connect.
    fn go_live(&mut self, channels: &[&str]) {
        self.establish(30);
        for channel in channels {
            self.pass(100);
            self.authorised(channel);
            self.says(&format!(r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}"}}"#));
        }
        assert_eq!(self.session.channels.live(), channels);
    }

    fn take(&mut self, input: Input<'_>) -> Vec<String> {
        self.session.handle(input, self.now, self.chance).iter().map(told).collect()
    }

    fn says(&mut self, frame: &str) -> Vec<String> {
        self.take(Input::Frame(frame))
    }

    fn closed(&mut self, code: impl Into<Option<u16>>) -> Vec<String> {
        self.take(Input::Closed { code: code.into(), detail: "bye".to_owned() })
    }

    /// The socket id of this connection.
    fn id(&self) -> String {
        format!("{}.1", self.connections)
    }

    /// A new connection and its name.
    fn establish(&mut self, activity_timeout: u32) -> Vec<String> {
        self.take(Input::Tick);
        self.connections += 1;
        assert_eq!(self.take(Input::Connected), Vec::<String>::new());
        let data = format!(r#"{{\"socket_id\":\"{}\",\"activity_timeout\":{activity_timeout}}}"#, self.id());
        self.says(&format!(r#"{{"event":"pusher:connection_established","data":"{data}"}}"#))
    }

    fn answered(&mut self, channel: &str, answer: Result<Auth, AuthFailure>) -> Vec<String> {
        let socket_id = self.id();
        self.take(Input::Authorised { socket_id, channel: channel.to_owned(), answer })
    }

    fn authorised(&mut self, channel: &str) -> Vec<String> {
        let auth = Auth::new(format!("k:{}:{channel}", self.id()));
        self.answered(channel, Ok(auth))
    }

    fn forbidden(&mut self, channel: &str) -> Vec<String> {
        self.answered(channel, Err(AuthFailure::Forbidden { detail: "403".to_owned() }))
    }

    /// Lets so many milliseconds pass, and everything happen that is due meanwhile: each with its second.
    fn pass(&mut self, milliseconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(milliseconds);
        let mut told = Vec::new();
        let mut calls = 0;
        while let Some(deadline) = self.session.deadline()
            && deadline <= end
        {
            calls += 1;
            assert!(calls < 1000, "it spins at {:?}: {told:?}", self.now);
            self.now = deadline.max(self.now);
            let at = self.now.since_start().as_secs_f64();
            told.extend(self.take(Input::Tick).into_iter().map(|action| format!("{at:.1} {action}")));
        }
        self.now = end;
        told
    }
}

fn told(action: &Action) -> String {
    match action {
        Action::Connect => "connect".to_owned(),
        Action::Send(ClientFrame::Ping) => "ping".to_owned(),
        Action::Send(ClientFrame::Pong) => "pong".to_owned(),
        Action::Send(ClientFrame::Subscribe { channel, auth }) => format!("subscribe {channel} by {}", auth.expose()),
        Action::Send(ClientFrame::Unsubscribe { channel }) => format!("unsubscribe {channel}"),
        Action::Authorise { socket_id, channel } => format!("authorise {channel} on {socket_id}"),
        Action::RenewToken => "renew".to_owned(),
        Action::Deliver(Received::Event { channel, event, data }) => {
            format!("deliver {} {event} {data}", channel.as_deref().unwrap_or("-"))
        }
        Action::Deliver(Received::Unreadable { bytes }) => format!("deliver {} unreadable bytes", bytes.len()),
        Action::Close => "close".to_owned(),
        Action::Disconnect => "disconnect".to_owned(),
        Action::Finished => "finished".to_owned(),
        Action::Report(report) => match report {
            Report::Connecting => "is connecting".to_owned(),
            Report::Established { socket_id } => format!("is {socket_id}"),
            Report::Live { channel } => format!("live {channel}"),
            Report::Lost { channel } => format!("lost {channel}"),
            Report::Refused { channel, refusal, retry_in } => {
                format!("refused {channel} for {}s: {refusal}", retry_in.as_secs_f64())
            }
            Report::Disconnected { cause, rule, retry_in } => {
                let class = cause.class();
                let code = cause.code().map(|code| format!(" {code}")).unwrap_or_default();
                format!("{class}{code}, {rule:?} in {}s", retry_in.as_secs_f64())
            }
            Report::TokenRefused => "token refused".to_owned(),
            Report::ServerError(error) => format!("told {:?} {}", error.code, error.message),
            Report::UnknownFrame { event } => format!("told {event}"),
            Report::Stalled { lasting } => format!("stalled for {}s", lasting.as_secs()),
            Report::Stopped => "stopped".to_owned(),
        },
    }
}
