//! Whatever happens, in whatever order: what always holds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const CHANNELS: [&str; 3] = ["private-a", "private-b", "private-c"];

/// One thing that happens. Channels and connections are picked, so that answers meet their questions often enough.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Connected,
    Unreachable,
    Established { activity_timeout: u32 },
    Answer { old_connection: bool, channel: usize, kind: u8 },
    Renewed(bool),
    Subscribed(usize),
    NotSubscribed(usize),
    Error { code: Option<u16>, channel: Option<usize> },
    Event(usize),
    Text(String),
    Closed(Option<u16>),
    TooLarge,
    Taken,
    Distrusted,
}

fn code() -> impl Strategy<Value = Option<u16>> {
    let known = [4001_u16, 4009, 4100, 4200, 4301];
    prop::option::of(prop_oneof![prop::sample::select(known.to_vec()), 1000..5000_u16])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop_oneof![0..200_u64, 0..20_000_u64, 0..700_000_u64].prop_map(Step::Pass),
        6 => Just(Step::Connected),
        1 => Just(Step::Unreachable),
        6 => (0..200_u32).prop_map(|activity_timeout| Step::Established { activity_timeout }),
        9 => (prop::bool::weighted(0.2), 0..3_usize, 0..5_u8)
            .prop_map(|(old_connection, channel, kind)| Step::Answer { old_connection, channel, kind }),
        2 => any::<bool>().prop_map(Step::Renewed),
        6 => (0..3_usize).prop_map(Step::Subscribed),
        1 => (0..3_usize).prop_map(Step::NotSubscribed),
        1 => (code(), prop::option::of(0..3_usize)).prop_map(|(code, channel)| Step::Error { code, channel }),
        3 => (0..3_usize).prop_map(Step::Event),
        1 => "\\PC{0,30}".prop_map(Step::Text),
        1 => code().prop_map(Step::Closed),
        1 => Just(Step::TooLarge),
        4 => Just(Step::Taken),
        1 => Just(Step::Distrusted),
    ];
    prop::collection::vec(step, 0..120)
}

/// What an onlooker knows who sees everything that goes over the rim.
#[derive(Default)]
struct Onlooker {
    connections: u32,
    has_socket: bool,
    is_delivering: bool,
    in_flight: Option<String>,
    live: BTreeSet<String>,
    renewal: Option<Renewal>,
}

/// The last one, and since when it is so.
#[derive(Debug)]
enum Renewal {
    Asked(Moment),
    Failed(Moment),
    /// And no channel has been subscribed since.
    Worked(Moment),
}

impl Onlooker {
    fn sees(&mut self, actions: &[Action], now: Moment) {
        for action in actions {
            match action {
                Action::Connect => assert!(!self.has_socket && !self.is_delivering, "a connection nobody can use"),
                Action::Send(frame) => self.sees_frame(frame),
                Action::Authorise { socket_id, .. } => assert_eq!(*socket_id, format!("{}.1", self.connections)),
                Action::RenewToken => {
                    let (since, least) = match self.renewal.replace(Renewal::Asked(now)) {
                        // It was given up after 30 seconds.
                        Some(Renewal::Asked(since)) => (since, 31),
                        Some(Renewal::Failed(since)) => (since, 1),
                        Some(Renewal::Worked(since)) => (since, 600),
                        None => continue,
                    };
                    assert!(now.since(since) >= Duration::from_secs(least), "a token after {:?}", now.since(since));
                }
                Action::Deliver(_) => {
                    assert!(!self.is_delivering, "two deliveries at a time");
                    self.is_delivering = true;
                }
                Action::Disconnect => (self.has_socket, self.in_flight) = (false, None),
                Action::Report(report) => self.sees_report(report),
                Action::Close | Action::Finished => panic!("nobody asked for an end"),
            }
        }
    }

    fn renewed(&mut self, worked: bool, now: Moment) {
        match self.renewal {
            _ if worked => self.renewal = Some(Renewal::Worked(now)),
            Some(Renewal::Asked(at)) if now.since(at) < Duration::from_secs(30) => {
                self.renewal = Some(Renewal::Failed(now));
            }
            _ => {}
        }
    }

    fn sees_frame(&mut self, frame: &ClientFrame) {
        assert!(self.has_socket, "{frame:?} is sent without a socket");
        if let ClientFrame::Subscribe { channel, auth } = frame {
            assert_eq!(self.in_flight, None, "two subscriptions at a time");
            assert!(!self.live.contains(channel), "{channel} is live");
            assert_eq!(auth.expose(), format!("k:{}.1:{channel}", self.connections), "an old signature");
            self.in_flight = Some(channel.clone());
        }
    }

    fn sees_report(&mut self, report: &Report) {
        match report {
            Report::Live { channel } => {
                assert!(self.live.insert(channel.clone()), "{channel} is live twice");
                self.in_flight.take_if(|in_flight| in_flight == channel);
                self.renewal.take_if(|renewal| matches!(renewal, Renewal::Worked(_)));
            }
            Report::Lost { channel } => assert!(self.live.remove(channel), "{channel} was not live"),
            Report::Refused { channel, retry_in, .. } => {
                assert!((Duration::from_secs(1)..=Duration::from_secs(600)).contains(retry_in), "{retry_in:?}");
                assert!(!self.live.contains(channel), "{channel} is refused and live");
                self.in_flight.take_if(|in_flight| in_flight == channel);
            }
            Report::Disconnected { retry_in, .. } => {
                assert!(*retry_in <= Duration::from_secs(600), "{retry_in:?}");
                assert!(self.live.is_empty(), "nobody was told that {:?} are lost", self.live);
            }
            _ => {}
        }
    }
}

/// Lets time pass, and everything happen that is due meanwhile.
fn pass(session: &mut Session, onlooker: &mut Onlooker, now: Moment, duration: Duration, chance: f64) -> Moment {
    let (mut now, end) = (now, now + duration);
    let mut calls_at_one_moment = 0;
    while let Some(deadline) = session.deadline()
        && deadline <= end
    {
        calls_at_one_moment = if deadline > now { 0 } else { calls_at_one_moment + 1 };
        assert!(calls_at_one_moment < 5, "it spins at {now:?}");
        now = now.max(deadline);
        onlooker.sees(&session.handle(Input::Tick, now, chance), now);
    }
    end
}

/// Feeds the steps that a rim could feed.
fn run(steps: Vec<Step>, chance: f64) {
    let mut session = Session::new(CHANNELS.map(str::to_owned), Limits::default());
    let mut onlooker = Onlooker::default();
    let mut now = Moment::START;
    for step in steps {
        if let Step::Pass(milliseconds) = step {
            now = pass(&mut session, &mut onlooker, now, Duration::from_millis(milliseconds), chance);
            assert!(session.deadline().is_some_and(|deadline| deadline > now), "there is always a next time");
            continue;
        }
        let text = text(&step, onlooker.connections);
        let input = match step {
            Step::Connected if matches!(session.phase, Phase::Connecting { .. }) => {
                onlooker.has_socket = true;
                onlooker.connections += 1;
                Input::Connected
            }
            Step::Unreachable => Input::Unreachable { detail: String::new() },
            Step::Answer { old_connection, channel, kind } => {
                let connection = onlooker.connections.saturating_sub(u32::from(old_connection));
                let (socket_id, channel) = (format!("{connection}.1"), CHANNELS[channel].to_owned());
                let answer = match kind {
                    0 => Err(AuthFailure::Forbidden { detail: String::new() }),
                    1 => Err(AuthFailure::Unavailable { detail: String::new(), retry_after: None }),
                    _ => Ok(Auth::new(format!("k:{socket_id}:{channel}"))),
                };
                Input::Authorised { socket_id, channel, answer }
            }
            Step::Renewed(worked) => {
                onlooker.renewed(worked, now);
                Input::TokenRenewed(worked)
            }
            Step::Taken => {
                onlooker.is_delivering = false;
                Input::Taken
            }
            Step::Distrusted => Input::Distrusted,
            // What comes out of a socket comes while there is one and it is read.
            _ if !onlooker.has_socket || onlooker.is_delivering => continue,
            Step::Closed(code) => Input::Closed { code, detail: String::new() },
            Step::TooLarge => Input::TooLarge,
            _ => Input::Frame(&text),
        };
        onlooker.sees(&session.handle(input, now, chance), now);
        assert_eq!(session.channels.live(), onlooker.live.iter().cloned().collect::<Vec<_>>());
        assert!(session.deadline().is_some(), "there is always a next time");
    }
}

/// The frame of a step that is one.
fn text(step: &Step, connection: u32) -> String {
    match step {
        Step::Established { activity_timeout } => format!(
            r#"{{"event":"pusher:connection_established","data":{{"socket_id":"{connection}.1","activity_timeout":{activity_timeout}}}}}"#
        ),
        Step::Subscribed(channel) => {
            format!(r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{}"}}"#, CHANNELS[*channel])
        }
        Step::NotSubscribed(channel) => format!(
            r#"{{"event":"pusher:subscription_error","channel":"{}","data":{{"status":401}}}}"#,
            CHANNELS[*channel]
        ),
        Step::Error { code, channel } => {
            let channel = channel.map(|channel| CHANNELS[channel]);
            let data = serde_json::json!({"code": code, "message": "no"});
            serde_json::json!({"event": "pusher:error", "channel": channel, "data": data}).to_string()
        }
        Step::Event(channel) => format!(r#"{{"event":"message","channel":"{}","data":"{{}}"}}"#, CHANNELS[*channel]),
        Step::Text(text) => text.clone(),
        _ => String::new(),
    }
}

proptest! {
    #[test]
    fn whatever_happens(steps in steps(), chance in 0.0..1.0_f64) {
        run(steps, chance);
    }
}
