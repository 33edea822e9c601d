//! The one writer, on a thread of its own: takes whatever has been asked for meanwhile, makes it durable, says so.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{error, info};

use super::store::Done;
use super::{Command, Condition, RETRY, Shared};

/// More than this shares no `fsync`: whoever came first has waited long enough.
const GROUP_MAX: usize = 256;

/// Runs until the last spool of this file is dropped.
pub(super) fn start(shared: Arc<Shared>, mut commands: mpsc::Receiver<Command>) -> io::Result<()> {
    let write = move || {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while commands.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            let done = write_until_durable(&shared, &group);
            for (command, done) in group.drain(..).zip(done) {
                conclude(&shared, command, done);
            }
        }
    };
    std::thread::Builder::new().name("spool".to_owned()).spawn(write).map(drop)
}

/// A disk that takes nothing is tried again: whoever waits holds the only copy there is.
fn write_until_durable(shared: &Shared, group: &[Command]) -> Vec<Done> {
    loop {
        match shared.store.write(group) {
            Ok(done) => {
                if matches!(&*shared.condition.borrow(), Condition::Failing(_)) {
                    info!("the spool takes frames again");
                }
                shared.is(Condition::Well, |was| matches!(was, Condition::Failing(_)));
                return done;
            }
            Err(failure) => {
                let detail = failure.to_string();
                if !matches!(&*shared.condition.borrow(), Condition::Failing(_)) {
                    error!(
                        error = %detail,
                        "the spool cannot be written: nothing more of ChatApp is received until it can (is the disk full?)"
                    );
                }
                shared.is(Condition::Failing(detail), |_| true);
                wait_before_the_next_try();
            }
        }
    }
}

/// Whoever asked may be gone; what was done is done.
fn conclude(shared: &Shared, command: Command, done: Done) {
    match (command, done) {
        (Command::Append(bytes, at, answer), Done::Appended(sequence)) => {
            shared.lying().add(sequence, bytes.len() as u64, at);
            shared.last.send_replace(Some(sequence));
            let _ = answer.send(sequence);
        }
        (Command::Settle(frame, _, _, answer), _) => {
            shared.lying().remove(frame);
            shared.room.notify_waiters();
            let _ = answer.send(());
        }
        (Command::Keep(_, _, answer), _) => {
            let _ = answer.send(());
        }
        (Command::Forget(_) | Command::Append(..), _) => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own, and no task runs on it")]
fn wait_before_the_next_try() {
    std::thread::sleep(RETRY);
}
