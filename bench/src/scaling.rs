//! How cost grows: with events a second, with instances, with the size of a body.

use serde::Serialize;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::contender::Contender;
use crate::fleet::{Fleet, Run, steady};
use crate::http::Http;
use crate::progress::say;
use crate::stats::drain_rate;
use crate::upstream::Upstream;

/// Each of these rates for so many seconds, over so many instances.
const RATES: [u64; 4] = [100, 300, 1000, 2000];
const RATES_INSTANCES: u64 = 200;
const RATES_ROUND_TRIP_MS: u64 = 20;
const SECONDS: u64 = 4;
/// The same events a second over so many instances.
const INSTANCES: [u64; 4] = [1, 10, 100, 1000];
const INSTANCES_PER_SECOND: u64 = 300;
/// KiB of a body, and how many make a backlog that takes long enough to be measured.
const BODIES: [(u64, u64); 5] = [(1, 1000), (4, 1000), (16, 600), (64, 300), (256, 150)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Growth {
    /// By events a second.
    Rate,
    /// By number of instances.
    Instances,
    /// By KiB of a body.
    Body,
}

impl Growth {
    pub(crate) const ALL: [Self; 3] = [Self::Rate, Self::Instances, Self::Body];

    pub(crate) fn title(self) -> String {
        match self {
            Self::Rate => {
                format!(
                    "Growing rate: {RATES_INSTANCES} instances, {SECONDS} s each, round trip {RATES_ROUND_TRIP_MS} ms"
                )
            }
            Self::Instances => {
                format!(
                    "Growing number of instances: {INSTANCES_PER_SECOND} events/s over all for {SECONDS} s, round trip 0"
                )
            }
            Self::Body => "Growing bodies: one instance's backlog of text messages, round trip 0".to_owned(),
        }
    }

    /// What grows, with its unit.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Rate => "events/s",
            Self::Instances => "instances",
            Self::Body => "KiB a body",
        }
    }
}

/// One contender at one size.
#[derive(Serialize)]
pub(crate) struct Point {
    pub(crate) growth: Growth,
    pub(crate) contender: &'static str,
    /// In the unit of what grows.
    pub(crate) size: u64,
    /// Of a growing body, events a second are those of the drain once all is queued.
    #[serde(flatten)]
    pub(crate) run: Run,
}

pub(crate) fn run(bench: &mut Bench) -> Vec<Point> {
    let mut points = Vec::new();
    for contender in Contender::RUST {
        let mut add = |growth, size, run| points.push(Point { growth, contender: contender.slug(), size, run });
        say(&format!("growing rate: {}", contender.name()));
        rates(bench, contender, |size, run| add(Growth::Rate, size, run));
        for instances in INSTANCES {
            say(&format!("growing number of instances, {instances}: {}", contender.name()));
            add(Growth::Instances, instances, of_instances(bench, contender, instances));
        }
        say(&format!("growing bodies: {}", contender.name()));
        bodies(bench, contender, |size, run| add(Growth::Body, size, run));
    }
    points
}

fn rates(bench: &mut Bench, contender: Contender, mut add: impl FnMut(u64, Run)) {
    let fleet = Fleet::start(bench, contender, RATES_INSTANCES, RATES_ROUND_TRIP_MS);
    // No two stretches queue the same: a body tells where an event is.
    let mut bodies = bench.bodies(&fleet.upstream, RATES.iter().sum::<u64>() * SECONDS).into_iter();
    for per_second in RATES {
        let bodies: Vec<String> = bodies.by_ref().take((per_second * SECONDS) as usize).collect();
        add(per_second, fleet.stretch(bench, |_| steady(&fleet.upstream, &bodies, per_second)).run());
    }
}

fn of_instances(bench: &mut Bench, contender: Contender, instances: u64) -> Run {
    let fleet = Fleet::start(bench, contender, instances, 0);
    let bodies = bench.bodies(&fleet.upstream, INSTANCES_PER_SECOND * SECONDS);
    fleet.stretch(bench, |_| steady(&fleet.upstream, &bodies, INSTANCES_PER_SECOND)).run()
}

fn bodies(bench: &mut Bench, contender: Contender, mut add: impl FnMut(u64, Run)) {
    let fleet = Fleet::start(bench, contender, 1, 0);
    for (kib, events) in BODIES {
        let stretch = fleet.stretch(bench, |_| backlog(&fleet.upstream, kib, events));
        add(kib, Run { events_per_second: drain_rate(&stretch.ways), ..stretch.run() });
    }
}

fn backlog(upstream: &Upstream, kib: u64, events: u64) {
    let instance = upstream.instances[0];
    let bodies: Vec<String> = (0..events).map(|number| text_message(instance, kib, number)).collect();
    let mut http = Http::connect(upstream.port).expect("the simulator is there");
    for body in &bodies {
        upstream.enqueue(&mut http, instance, body);
    }
}

/// A text message whose body is so long.
fn text_message(instance: u64, kib: u64, number: u64) -> String {
    let body = |text: &str| -> Value {
        json!({
            "typeWebhook": "incomingMessageReceived",
            "instanceData": {"idInstance": instance, "wid": "79001234567@c.us", "typeInstance": "whatsapp"},
            "timestamp": 1_760_000_000 + number,
            "idMessage": format!("{kib:08X}{number:012X}"),
            "senderData": {
                "chatId": "79001234568@c.us",
                "sender": "79001234568@c.us",
                "chatName": "Ivan",
                "senderName": "Ivan",
            },
            "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": text}},
        })
    };
    let room = (kib * 1024) as usize - body("").to_string().len();
    body(&words(kib << 32 | number, room)).to_string()
}

/// Words without sense, which compress no better than those that have some.
fn words(seed: u64, length: usize) -> String {
    // SplitMix64.
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    const LETTERS: &[u8; 32] = b"eeeettaaooiinnsshrrdlucmfwygpb  ";
    (0..length).map(|_| char::from(LETTERS[(random() % 32) as usize])).collect()
}
