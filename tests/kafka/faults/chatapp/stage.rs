//! What a row of ChatApp's part plays on: its own ChatApp, its own topic, its own bridge, and a Kafka that it may harm.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::super::row::Pace;
use super::super::topics::make_topic;
use super::row::Row;
use crate::chatapp::scene::{Load, Scene};
use crate::support::bridge::{BINARY, Bridge};
use crate::support::broker::Broker;
use crate::support::chatapp::Judgement;
use crate::support::needs::or_skip;
use crate::support::small_disk::SmallDisk;

/// Events a second, over all channels. Each holds one item or several.
const EVENTS_PER_SECOND: u32 = 40;
const PARTITIONS: i32 = 6;
const MARK: &str = "pushed-beside-";

/// One row, running.
pub(crate) struct Stage<'a> {
    pub(crate) pace: Pace,
    pub(crate) broker: &'a mut Broker,
    /// The Pusher server, the simulated ChatApp behind it, and the bridge's home.
    pub(crate) scene: Scene,
    pub(crate) bridge: Option<Bridge>,
    load: Option<Load>,
    /// Under the bridge's state.
    disk: Option<SmallDisk>,
    ulimits: &'static [&'static str],
    environment: Vec<(&'static str, String)>,
    /// What marks each body that was pushed beside the load, and how many events it makes, at the least.
    marks: Vec<(String, usize)>,
    /// Everything every bridge of this row logged.
    log: String,
    recovered: Duration,
}

/// What came of a row.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) judgement: Judgement,
    /// From the end of the script until every channel is subscribed, nothing is left to be fetched, and the disk is
    /// empty.
    pub(crate) recovered: Duration,
}

impl<'a> Stage<'a> {
    /// Everything but the bridge. `None` where the machine has not got what it takes.
    pub(super) fn new(row: &Row, pace: Pace, number: usize, broker: &'a mut Broker) -> Option<Self> {
        let topic = format!("chatapp-row-{number}");
        let runtime = Runtime::new().expect("a runtime");
        for name in [topic.clone(), format!("{topic}-dlq")] {
            make_topic(&runtime, &broker.bootstrap(), &name, PARTITIONS, &[]);
        }
        let scene = Scene::new(&broker.bootstrap(), &topic)?;
        let disk = match row.disk_mebibytes {
            Some(mebibytes) => Some(or_skip(SmallDisk::mount(&scene.state(), mebibytes))?),
            None => None,
        };
        let environment = row.environment.clone();
        Some(Self {
            pace,
            broker,
            scene,
            bridge: None,
            load: None,
            disk,
            ulimits: row.ulimits,
            environment,
            marks: Vec::new(),
            log: String::new(),
            recovered: Duration::ZERO,
        })
    }

    /// The whole row, up to a bridge that is well again.
    pub(super) fn play(&mut self, row: &Row) {
        if let Some(before) = &row.before {
            before(self);
        }
        self.start_bridge();
        self.wait_until_live();
        self.load = Some(self.scene.load(11, usize::MAX, EVENTS_PER_SECOND));
        self.events(20);
        (row.script)(self);
        let ended = Instant::now();
        self.events(20);
        self.load.take().expect("it flows").stopped();
        self.scene.wait_until_settled(self.bridge.as_ref());
        self.recovered = ended.elapsed();
    }

    /// Returns when so many more events were published.
    pub(crate) fn events(&mut self, events: usize) {
        self.load.as_mut().expect("it flows").wait_for_further(events);
    }

    /// A body beside the load, which nobody can fetch, and which makes so many events at the least. Instead of `MARK`
    /// it has one that no other has.
    pub(crate) fn push(&mut self, events: usize, body: &str) {
        let mark = format!("{MARK}{}-", self.marks.len());
        self.scene.push(&body.replace("MARK", &mark));
        self.marks.push((mark, events));
    }

    /// The Pusher server is killed and comes back after so many events, which nobody hears; every channel is subscribed
    /// again. For the table it takes longer.
    pub(crate) fn cut(&mut self, events: usize) {
        let events = if self.pace == Pace::Table { 5 * events } else { events };
        self.scene.soketi.kill();
        self.events(events);
        self.scene.soketi.restart(json!({}));
        self.wait_until_live();
    }

    pub(crate) fn start_bridge(&mut self) {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let home = &self.scene.home;
        self.bridge = Some(match (&self.disk, self.ulimits) {
            (Some(disk), _) => Bridge::start_by(disk.command(BINARY), home, &environment),
            (None, []) => Bridge::start(home, &environment),
            (None, ulimits) => Bridge::start_under(home, ulimits, &environment),
        });
    }

    /// SIGTERM; it has to end well.
    pub(crate) fn stop_bridge(&mut self) {
        let ended = self.bridge.take().expect("a bridge runs").terminate();
        self.log.push_str(&self.scene.home.log_text());
        assert!(ended.success(), "{ended}; log:\n{}", self.log);
    }

    /// SIGKILL.
    pub(crate) fn kill_bridge(&mut self) {
        self.bridge.take().expect("a bridge runs").kill();
        self.log.push_str(&self.scene.home.log_text());
    }

    /// Returns when these words are in the bridge's log.
    pub(crate) fn wait_until_said(&mut self, words: &'static str) {
        let bridge = self.bridge.as_mut().expect("a bridge runs");
        bridge.wait(words, |bridge| bridge.log().contains(words).then_some(()));
    }

    /// The one that the row asked for.
    pub(crate) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("this row has a disk of its own")
    }

    /// Returns when `/status` shows of what lies on disk what is waited for.
    pub(crate) fn wait_for_spool(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        self.scene.wait(self.bridge.as_ref(), what, |status| is_so(&status["spool"]));
    }

    /// Returns when every channel is subscribed.
    pub(crate) fn wait_until_live(&self) {
        self.scene.wait_until_live(self.bridge.as_ref());
    }

    /// `None` where there is nothing to read the topic with.
    pub(super) fn judge(&mut self, row: &Row) -> Option<Outcome> {
        let judgement = self.scene.judged(self.bridge.as_ref())?;
        let found = self.scene.words(MARK)?;
        let is_missing = |(mark, events): &&(String, usize)| found.get(mark).copied().unwrap_or_default() < *events;
        let missing: Vec<_> = self.marks.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{} of {} are in no topic: {missing:?}", missing.len(), self.marks.len());
        self.stop_bridge();
        if let Some(after) = &row.after {
            after(self);
        }
        let at = || format!("{}: {judgement:?}; log:\n{}", row.full_name(), self.log);
        let Judgement { out_of_order, wrong_key, repeated_under_another_id, .. } = judgement;
        assert!(judgement.lost.is_empty(), "{}", at());
        assert_eq!((out_of_order, wrong_key, repeated_under_another_id), (0, 0, 0), "{}", at());
        assert!(!row.is_cut || judgement.in_gaps > 0 && judgement.fetched > 0, "it has shown nothing: {}", at());
        let in_time = row.recovers_within.is_none_or(|at_most| self.recovered <= at_most);
        assert!(in_time, "after {:?}: {}", self.recovered, at());
        assert!(!self.log.contains("panicked"), "{}", at());
        Some(Outcome { judgement, recovered: self.recovered })
    }
}
