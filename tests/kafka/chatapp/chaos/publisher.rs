//! Who publishes, and remembers it: the generator's events, and between them bursts that come and go within a
//! millisecond, and frames that are out of the ordinary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{ChatAppSimulator, ChatAppSimulatorConfig, Event, PublicationId};
use fastrand::Rng;
use serde_json::{Value, json};

/// Chats of bursts; what is in one belongs to one burst.
const BURST: &str = "burst-";
/// What frames out of the ordinary are known by, with a number and a hyphen behind it.
pub(super) const ODD: &str = "odd-frame-";
/// Employees of bursts.
const EMPLOYEES: u64 = 9_000_000;
const BURST_LENGTH_MAX: usize = 6;
/// Of a frame that is large.
const LARGE_BYTES_MAX: usize = 300_000;

/// What a burst is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// Put on and taken off.
    Tag,
    /// Online and offline.
    Employee,
    /// One message, edited to and fro.
    Edit,
    /// One person's reaction, put and taken back within a second.
    Reaction,
}

/// Several events at once that differ in one word, which comes back.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    pub(super) theme: Theme,
    pub(super) channel: String,
    /// What it is known by.
    pub(super) mark: String,
    /// Each with its word.
    pub(super) published: Vec<(PublicationId, String)>,
}

impl Burst {
    /// The word of a record's value, if that belongs here. But for employees, what has the key belongs here.
    pub(super) fn word(&self, value: &Value) -> Option<String> {
        let item = &value["raw"]["data"][0];
        let word = |value: &Value| value.as_str().map(str::to_owned);
        if self.theme == Theme::Employee {
            let id = item["employee"]["id"].as_u64()?.to_string();
            return if id == self.mark { word(&item["type"]) } else { None };
        }
        match self.theme {
            Theme::Tag => word(&item["type"]),
            Theme::Edit => word(&item["message"]["text"]),
            _ => word(&item["action"]),
        }
    }
}

/// A frame out of the ordinary: what it is known by is in its body.
#[derive(Clone, Debug)]
pub(super) struct Odd {
    pub(super) publication: PublicationId,
    pub(super) channel: String,
    pub(super) mark: String,
}

/// Everything that was published beside the generator's events.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    pub(super) events: usize,
    pub(super) bursts: Vec<Burst>,
    pub(super) odd: Vec<Odd>,
}

/// Publishes until it is stopped.
pub(super) struct Publisher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Published>,
}

impl Publisher {
    pub(super) fn start(
        simulator: &ChatAppSimulator,
        config: &ChatAppSimulatorConfig,
        seed: u64,
        events_per_second: u32,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut desk = Desk {
            simulator: simulator.clone(),
            generator: Generator::new(config, seed).with_unique_items(),
            channels: config.generated_channels(),
            dice: Rng::with_seed(seed + 1),
            published: Published::default(),
        };
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let begun = Instant::now();
            while !is_stopped.load(Ordering::Relaxed) {
                desk.publish();
                let due = Duration::from_secs(1) / events_per_second;
                let due = begun + due * u32::try_from(desk.published.events).expect("a small number");
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            desk.published
        });
        Self { stop, thread }
    }

    pub(super) fn stopped(self) -> Published {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the publisher does not panic")
    }
}

struct Desk {
    simulator: ChatAppSimulator,
    generator: Generator,
    /// Two messengers, the company, the user.
    channels: Vec<String>,
    dice: Rng,
    published: Published,
}

impl Desk {
    fn publish(&mut self) {
        match self.dice.u8(..100) {
            0..4 => self.burst(),
            4..6 => self.odd(),
            _ => {
                let event = self.generator.event();
                self.send(&event);
            }
        }
    }

    fn send(&mut self, event: &Event) -> PublicationId {
        self.published.events += 1;
        self.simulator.publish(event)
    }

    fn burst(&mut self) {
        let number = self.published.bursts.len();
        let theme = [Theme::Tag, Theme::Employee, Theme::Edit, Theme::Reaction][self.dice.usize(..4)];
        let channel = match theme {
            Theme::Employee => self.channels[2].clone(),
            _ => self.channels[self.dice.usize(..2)].clone(),
        };
        let mark = match theme {
            Theme::Employee => (EMPLOYEES + number as u64).to_string(),
            _ => format!("{BURST}{number}@c.us"),
        };
        let mut burst = Burst { theme, channel, mark, published: Vec::new() };
        let now = jiff::Timestamp::now().as_second();
        for place in 0..self.dice.usize(2..=BURST_LENGTH_MAX) {
            let (word, event) = burst.event(place, now);
            burst.published.push((self.send(&event), word));
        }
        self.published.bursts.push(burst);
    }

    fn odd(&mut self) {
        let number = self.published.odd.len();
        let mark = format!("{ODD}{number}-");
        let channel = self.channels[self.dice.usize(..self.channels.len())].clone();
        let chat = json!({"id": format!("odd-{number}@c.us")});
        let (name, body) = match self.dice.u8(..6) {
            0 => ("message", format!("{{\"data\":[{{\"text\":\"{mark}")),
            1 => ("chatSomethingNew", json!({"data": [{"chat": chat, "what": mark}], "meta": {}}).to_string()),
            2 => ("chatRead", json!({"data": {"chat": chat, "what": mark}}).to_string()),
            3 => {
                let nested = (0..100).fold(json!(mark), |inner, _| json!([inner]));
                ("chatStatus", json!({"data": [{"type": "open", "chat": chat, "more": nested}]}).to_string())
            }
            4 => {
                let noise: String =
                    (0..self.dice.usize(1..LARGE_BYTES_MAX)).map(|_| self.dice.alphanumeric()).collect();
                ("chatStatus", json!({"data": [{"type": "open", "chat": chat, "more": [mark, noise]}]}).to_string())
            }
            _ => {
                let items: Vec<Value> =
                    (0..200).map(|place| json!({"chat": chat, "place": place, "what": mark})).collect();
                ("chatRead", json!({"data": items, "meta": {}}).to_string())
            }
        };
        let publication = self.send(&Event { channel: channel.clone(), name: name.to_owned(), body });
        self.published.odd.push(Odd { publication, channel, mark });
    }
}

impl Burst {
    /// The event at this place, and its word.
    fn event(&self, place: usize, now: i64) -> (String, Event) {
        let words = match self.theme {
            Theme::Tag => ["add", "destroy"],
            Theme::Employee => ["online", "offline"],
            Theme::Edit => ["this way", "that way"],
            Theme::Reaction => ["react", "unreact"],
        };
        let word = words[place % 2];
        let chat = json!({"id": self.mark});
        let person = json!({"id": "79001234567@c.us", "name": "Somebody"});
        let (name, item) = match self.theme {
            Theme::Tag => ("chatTag", json!({"type": word, "tag": {"id": 29, "name": "VIP"}, "chat": chat})),
            Theme::Employee => {
                let id: u64 = self.mark.parse().expect("a number");
                ("employeeStatus", json!({"type": word, "employee": {"id": id}}))
            }
            Theme::Edit => {
                let message = json!({"text": word, "caption": "", "file": null, "location": null});
                let item = json!({
                    "id": format!("{}-1", self.mark), "fromApi": false, "fromMe": false, "side": "in", "time": now,
                    "type": "text", "subtype": null, "message": message, "quotedMessage": null, "fromUser": person,
                    "chat": {"id": self.mark, "type": "private", "phone": null, "name": "Somebody"},
                });
                ("message", item)
            }
            Theme::Reaction => {
                let item = json!({
                    "id": format!("{}-1", self.mark), "reaction": "👍", "time": now, "chat": chat, "fromUser": person,
                    "action": word,
                });
                ("messageReaction", item)
            }
        };
        let body = json!({"data": [item], "meta": {"type": name}}).to_string();
        (word.to_owned(), Event { channel: self.channel.clone(), name: name.to_owned(), body })
    }
}
