//! The only writer, on its own thread: takes all commands that have come, makes them durable, answers them.
//!
//! Normally appends share their write with everything else. An append that fails or finds no room waits, in order, and
//! the rest is written without it: removing frames makes room.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{Receiver, WeakSender};
use tokio::sync::oneshot::Sender;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::place::{Look, Standing};
use super::room::Room;
use super::store::{Change, PARTS};
use super::{Command, Condition, Sequence, Shared};
use crate::chatapp::keep::forms::Remembered;
use crate::chatapp::keep::reserve::{Disk, is_lack_of_room};

/// At most this many commands share an `fsync`, so that the first does not wait too long.
const GROUP_MAX: usize = 256;
/// The most bytes of appends in one write, unless a single one is larger.
const APPEND_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Histories stored in one write. They are spread over the whole file, and each may need a page: the reserve must be
/// enough.
const REMEMBERED_MAX: usize = 256;
/// How often the disk is checked without a command, and failed writes are tried again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The first wait after a failed append; it doubles, …
const APPEND_RETRY_MIN: Duration = Duration::from_secs(1);
/// … up to this. The file is opened anew each time.
const APPEND_RETRY_MAX: Duration = Duration::from_secs(30);
/// The shortest time between two compactions of an empty spool's file.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(600);
/// However many events were published lately, forms are remembered at least this long.
const REMEMBERED_MIN: SignedDuration = SignedDuration::from_hours(1);

/// Runs until the last handle of this spool is dropped. `given` is the last sequence given.
pub(super) fn start(
    shared: Arc<Shared>,
    given: Sequence,
    mut commands: Receiver<Command>,
    clock: WeakSender<Command>,
) -> io::Result<()> {
    let write = move || {
        let mut writer = Writer::new(shared, given);
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            writer.work();
            if commands.blocking_recv_many(&mut group, GROUP_MAX) == 0 {
                return;
            }
            group.drain(..).for_each(|command| writer.take(command));
        }
    };
    std::thread::Builder::new().name("spool".to_owned()).spawn(write)?;
    let tick = move || {
        while let Some(commands) = clock.upgrade() {
            // A busy writer checks anyway.
            let _ = commands.try_send(Command::Look);
            drop(commands);
            wait_for_the_next_look();
        }
    };
    std::thread::Builder::new().name("spool-clock".to_owned()).spawn(tick).map(drop)
}

struct Writer {
    shared: Arc<Shared>,
    given: Sequence,
    /// Commands that free space, or need almost none.
    due: VecDeque<Due>,
    /// Appends, in sequence order.
    waiting: VecDeque<Waiting>,
    forgetting: Option<Forgetting>,
    /// Present after an append has failed.
    pause: Option<Pause>,
    give_back_at: Option<Instant>,
    /// It was logged that the file is not in its place.
    is_displaced: bool,
    /// It was logged that there is no reserve.
    is_without_reserve: bool,
}

enum Due {
    Remember(Vec<Remembered>, Timestamp),
    Settle(Sequence, Vec<Remembered>, Timestamp, Sender<()>),
    Keep(String, Vec<u8>, Sender<()>),
    Forget(u16, Timestamp),
}

struct Waiting {
    sequence: Sequence,
    bytes: Vec<u8>,
    at: Timestamp,
    answer: Sender<Sequence>,
    /// An earlier try may have written it already.
    is_tried: bool,
}

/// A pass over the remembered forms, part by part.
struct Forgetting {
    now: Timestamp,
    kept: SignedDuration,
    part: u16,
}

struct Pause {
    why: String,
    until: Instant,
    lasts: Duration,
}

impl Writer {
    fn new(shared: Arc<Shared>, given: Sequence) -> Self {
        Self {
            shared,
            given,
            due: VecDeque::new(),
            waiting: VecDeque::new(),
            forgetting: None,
            pause: None,
            give_back_at: None,
            is_displaced: false,
            is_without_reserve: false,
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append(bytes, at, answer) => {
                // Given once, so that a repeated write cannot store the frame twice.
                self.given = Sequence(self.given.0 + 1);
                self.waiting.push_back(Waiting { sequence: self.given, bytes, at, answer, is_tried: false });
            }
            Command::Settle(frame, mut told, at, answer) => {
                // The frame goes last. Until then a crash has it delivered again, except for what is remembered
                // already.
                while told.len() > REMEMBERED_MAX {
                    let rest = told.split_off(REMEMBERED_MAX);
                    self.due.push_back(Due::Remember(std::mem::replace(&mut told, rest), at));
                }
                self.due.push_back(Due::Settle(frame, told, at, answer));
            }
            Command::Keep(channel, bytes, answer) => self.due.push_back(Due::Keep(channel, bytes, answer)),
            Command::Forget(now, kept) => {
                self.forgetting.get_or_insert(Forgetting { now, kept, part: 0 });
            }
            Command::Look => {}
        }
    }

    /// Writes everything that can be written now.
    fn work(&mut self) {
        self.due.extend(self.forgetting.as_ref().map(|forgetting| Due::Forget(forgetting.part, forgetting.before())));
        // A caller that has gone away asks again by itself.
        self.waiting.retain(|waiting| waiting.is_tried || !waiting.answer.is_closed());
        let mut is_tried_again = false;
        let condition = loop {
            let look = self.shared.store.look();
            self.shared.file_bytes.store(look.occupied, Ordering::Relaxed);
            self.keep_reserve(look.disk);
            let (appends, condition) = match self.see_to_the_place(&look.standing) {
                Ok(()) => self.fitting(&look),
                Err(why) => (0, Condition::Failing(why)),
            };
            let due = self.due_together();
            if due == 0 && appends == 0 {
                break condition;
            }
            if let Err(failure) = self.write(due, appends) {
                let room_helps = matches!(&failure, redb::Error::Io(error) if is_lack_of_room(error));
                if appends > 0 {
                    // Pages freed by the last write become usable with the next transaction, or when the file is opened
                    // anew.
                    if !room_helps || std::mem::replace(&mut is_tried_again, true) {
                        self.pause(&failure);
                    }
                } else if !(room_helps && self.shared.store.give_up_reserve()) {
                    break Condition::Failing(failure.to_string());
                }
            }
        };
        self.tell(condition);
        self.give_back();
    }

    /// How many due commands are written at once.
    fn due_together(&self) -> usize {
        let mut ids = 0;
        let fits = |due: &&Due| {
            ids += due.ids();
            ids <= REMEMBERED_MAX
        };
        self.due.iter().take(GROUP_MAX).take_while(fits).count()
    }

    /// How many waiting appends have room, and the condition if none has.
    fn fitting(&mut self, look: &Look) -> (usize, Condition) {
        if let Some(pause) = self.pause.as_ref().filter(|pause| Instant::now() < pause.until) {
            return (0, Condition::Failing(pause.why.clone()));
        }
        let mut room = match self.room(look) {
            Ok(room) => room,
            Err(failure) => return (0, Condition::Failing(failure.to_string())),
        };
        let (mut frames, mut bytes) = (0, 0);
        for waiting in self.waiting.iter().take(GROUP_MAX) {
            let more = waiting.bytes.len() as u64;
            if frames > 0 && bytes + more > APPEND_BYTES_MAX {
                break;
            }
            if let Err(full) = room.add(more) {
                return (frames, Condition::Full(full.to_string()));
            }
            (frames, bytes) = (frames + 1, bytes + more);
        }
        (frames, room.takes(1).map_or_else(|full| Condition::Full(full.to_string()), |()| Condition::Well))
    }

    fn room(&self, look: &Look) -> Result<Room, redb::Error> {
        let remembered = self.shared.store.remembered()?;
        Ok(Room::new(&self.shared.lying(), remembered, look.occupied, look.disk, self.shared.bytes_max))
    }

    /// Writes the first `due` commands and the first `appends`, and answers them.
    fn write(&mut self, due: usize, appends: usize) -> Result<(), redb::Error> {
        let mut changes = Vec::with_capacity(due + appends);
        self.due.iter().take(due).for_each(|due| due.changes(&mut changes));
        for waiting in self.waiting.iter_mut().take(appends) {
            waiting.is_tried = true;
            changes.push(Change::Append(waiting.sequence, &waiting.bytes));
        }
        self.shared.store.write(&changes)?;
        for due in self.due.drain(..due).collect::<Vec<_>>() {
            self.conclude(due);
        }
        // What is written to a deleted file is not durable. It is written again when the file is back.
        if appends > 0 && self.shared.store.look().standing == Standing::InPlace {
            self.pause = None;
            for Waiting { sequence, bytes, at, answer, .. } in self.waiting.drain(..appends) {
                self.shared.lying().add(sequence, bytes.len() as u64, at);
                self.shared.last.send_replace(Some(sequence));
                let _ = answer.send(sequence);
            }
        }
        Ok(())
    }

    /// The caller may be gone; the work is done all the same.
    fn conclude(&mut self, due: Due) {
        match due {
            Due::Settle(frame, _, _, answer) => {
                self.shared.lying().remove(frame);
                let _ = answer.send(());
            }
            Due::Keep(_, _, answer) => drop(answer.send(())),
            Due::Remember(..) => {}
            Due::Forget(part, _) => self.forgot(part),
        }
    }

    fn forgot(&mut self, part: u16) {
        let Some(forgetting) = &mut self.forgetting else { return };
        forgetting.part = part + 1;
        if forgetting.part < PARTS {
            return;
        }
        let shorter = forgetting.kept / 2;
        let look = self.shared.store.look();
        let remembers_too_much = self.room(&look).is_ok_and(|room| room.remembers_too_much());
        self.forgetting = self.forgetting.take().filter(|_| remembers_too_much && shorter >= REMEMBERED_MIN);
        if let Some(forgetting) = &mut self.forgetting {
            (forgetting.kept, forgetting.part) = (shorter, 0);
            warn!(
                hours = shorter.as_hours(),
                "so many events were published lately that they are remembered for less long: what comes once more after \
                 that, by another road, is published again; raise chatapp.spool_bytes_max"
            );
        }
    }

    fn pause(&mut self, failure: &redb::Error) {
        let lasts = self.pause.as_ref().map_or(APPEND_RETRY_MIN, |pause| (pause.lasts * 2).min(APPEND_RETRY_MAX));
        self.pause = Some(Pause { why: failure.to_string(), until: Instant::now() + lasts, lasts });
    }

    /// Deals with a missing or replaced file. An error says why appends have to wait.
    fn see_to_the_place(&mut self, standing: &Standing) -> Result<(), String> {
        match standing {
            Standing::InPlace => {
                self.is_displaced = false;
                return Ok(());
            }
            Standing::Unknown(why) => return Err(format!("the file cannot be looked at: {why}")),
            Standing::Gone | Standing::Replaced => {}
        }
        if !std::mem::replace(&mut self.is_displaced, true) {
            error!(
                is_replaced = *standing == Standing::Replaced,
                "the spool's file was taken away: nothing counts as received until it is back. What was in it is still \
                 here and is delivered: do not stop this process"
            );
        }
        if *standing == Standing::Replaced {
            let why = "another file has taken the place of the spool's; move that one away, and the right one is put back \
                       (or stop this process when chatapp.spool.frames in /status is 0)";
            return Err(why.to_owned());
        }
        let put_back = self.shared.store.put_back();
        put_back.map_err(|failure| format!("the spool's file was deleted and cannot be put back: {failure}"))?;
        self.is_displaced = false;
        warn!("the spool's file is in its place again, with all that was in it");
        Ok(())
    }

    fn keep_reserve(&mut self, disk: Disk) {
        let kept = self.shared.store.keep_reserve(disk);
        let said = std::mem::replace(&mut self.is_without_reserve, kept.is_err());
        if let Err(failure) = kept
            && !said
        {
            warn!(%failure, "no room can be kept in chatapp.state_dir for when its disk is full");
        }
    }

    /// Compacts the file of an empty spool.
    fn give_back(&mut self) {
        let is_due = self.give_back_at.is_none_or(|at| Instant::now() >= at);
        if !is_due || !self.waiting.is_empty() || !self.due.is_empty() || self.shared.lying().bytes > 0 {
            return;
        }
        let look = self.shared.store.look();
        if !self.room(&look).is_ok_and(|room| room.has_surplus()) {
            return;
        }
        self.give_back_at = Some(Instant::now() + GIVE_BACK_INTERVAL);
        match self.shared.store.give_back() {
            Ok(()) => info!(bytes_before = look.occupied, "the empty spool's file was made smaller"),
            Err(failure) => warn!(%failure, "the empty spool's file could not be made smaller"),
        }
    }

    fn tell(&self, now: Condition) {
        let was = self.shared.condition.borrow().clone();
        if std::mem::discriminant(&was) != std::mem::discriminant(&now) {
            match &now {
                Condition::Well => info!("the spool takes frames again"),
                Condition::Full(why) => warn!(
                    why,
                    "the spool is full: nothing more of ChatApp is received until Kafka has taken some of it; mend Kafka, \
                     make room on the disk, or raise chatapp.spool_bytes_max and restart"
                ),
                Condition::Failing(error) => error!(
                    error,
                    "the spool cannot be written: nothing more of ChatApp is received until it can (is the disk full?)"
                ),
            }
        }
        self.shared.condition.send_if_modified(|condition| {
            let changes = *condition != now;
            *condition = now;
            changes
        });
    }
}

impl Due {
    fn ids(&self) -> usize {
        match self {
            Self::Remember(told, _) | Self::Settle(_, told, ..) => told.len(),
            // It rewrites a whole part of the forms.
            Self::Forget(..) => REMEMBERED_MAX,
            Self::Keep(..) => 0,
        }
    }

    fn changes<'a>(&'a self, changes: &mut Vec<Change<'a>>) {
        match self {
            Self::Remember(told, at) => changes.push(Change::Remember(told, *at)),
            Self::Settle(frame, told, at, _) => {
                changes.extend([Change::Remember(told, *at), Change::Remove(*frame)]);
            }
            Self::Keep(channel, bytes, _) => changes.push(Change::Keep(channel, bytes)),
            Self::Forget(part, before) => changes.push(Change::Forget(*part, *before)),
        }
    }
}

impl Forgetting {
    fn before(&self) -> Timestamp {
        self.now - self.kept
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, and no task runs on it")]
fn wait_for_the_next_look() {
    std::thread::sleep(LOOK_INTERVAL);
}
