//! The faulty Kafka. A sent record may be appended whether or not its process lives to hear of it, and later than
//! records that were sent after it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::conditions::up_to;
use super::judge::Sent;
use super::story::Happening;
use super::world::{Shared, World};
use crate::core::publish::{Delivered, PublishError, Publisher, memory};
use chatbridge_event::record::Record;

/// The longest time that a broker holds a record back.
const SLOW_MAX: Duration = Duration::from_secs(60);

/// How often a record that waits for the broker checks whether it is back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The broker and its one producer.
pub(super) struct Broker {
    shared: Shared,
    /// Planted bug: reports "delivered" as soon as the record has left.
    hasty: bool,
}

impl Broker {
    pub(super) fn new(shared: Shared, hasty: bool) -> Self {
        Self { shared, hasty }
    }
}

enum Reply {
    Appended,
    /// It was appended, or will be, but the producer never hears of it.
    AppendedUnheard,
    Failed(PublishError),
}

impl Publisher for Broker {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        let sent = {
            let mut world = self.shared.lock();
            let Some(sent) = world.judge.publish(record) else {
                return Err(PublishError::Refused("nobody queued it".to_owned()));
            };
            let (entry, topic, bytes) = (sent.entry, record.topic.to_string(), record.value.len());
            world.tell(sent.instance, Happening::Publish { entry, topic, bytes });
            sent
        };
        let (reply, answered) = oneshot::channel();
        tokio::spawn(serve(self.shared.clone(), sent.clone(), record.clone(), reply));
        if self.hasty {
            tokio::task::yield_now().await;
            return Ok(memory::acknowledgement());
        }
        let answer = answered.await.unwrap_or(Reply::Failed(unavailable()));
        let mut world = self.shared.lock();
        match answer {
            Reply::Appended => {
                world.judge.acknowledged(&sent);
                world.tell(sent.instance, Happening::Acknowledged { entry: sent.entry });
                Ok(memory::acknowledgement())
            }
            Reply::AppendedUnheard => {
                world.judge.acknowledgement_lost(&sent);
                Err(unavailable())
            }
            Reply::Failed(failure) => {
                if !matches!(failure, PublishError::Unavailable(_)) {
                    world.judge.refused(&sent);
                }
                Err(failure)
            }
        }
    }
}

fn unavailable() -> PublishError {
    PublishError::Unavailable("simulated".to_owned())
}

async fn serve(shared: Shared, sent: Sent, record: Record, reply: oneshot::Sender<Reply>) {
    loop {
        let back_at = {
            let world = shared.lock();
            world.kafka_back_at().map(|back_at| back_at.saturating_sub(world.now()))
        };
        match back_at {
            // What a dead process had not sent is lost with it.
            _ if reply.is_closed() => return,
            Some(wait) => tokio::time::sleep(wait.min(LOOK_AGAIN)).await,
            None => break,
        }
    }
    shared.travel().await;
    let Some(fault) = shared.lock().publish_fault(&record, reply.is_closed()) else { return };
    let (name, answer, wait_before, wait_after) = match fault {
        Fault::None => ("", Reply::Appended, Duration::ZERO, Duration::ZERO),
        Fault::Slow(before, after) => ("slow", Reply::Appended, before, after),
        Fault::Unheard => ("appended, and unavailable", Reply::AppendedUnheard, Duration::ZERO, Duration::ZERO),
        Fault::Late(later) => {
            shared.lock().tell(sent.instance, Happening::PublishFault("unavailable, and appended later"));
            let _ = reply.send(Reply::AppendedUnheard);
            tokio::time::sleep(later).await;
            return shared.lock().append(&sent, &record, true);
        }
        Fault::Failed(name, failure) => {
            shared.lock().tell(sent.instance, Happening::PublishFault(name));
            shared.travel().await;
            let _ = reply.send(Reply::Failed(failure));
            return;
        }
    };
    if !name.is_empty() {
        shared.lock().tell(sent.instance, Happening::PublishFault(name));
    }
    tokio::time::sleep(wait_before).await;
    shared.lock().append(&sent, &record, reply.is_closed());
    tokio::time::sleep(wait_after).await;
    shared.travel().await;
    let _ = reply.send(answer);
}

enum Fault {
    None,
    Slow(Duration, Duration),
    Unheard,
    Late(Duration),
    Failed(&'static str, PublishError),
}

impl World {
    /// `None`: the record never left the process, which is gone.
    fn publish_fault(&mut self, record: &Record, process_is_gone: bool) -> Option<Fault> {
        if process_is_gone && self.dice.bool() {
            return None;
        }
        if record.value.len() > self.conditions.value_bytes_max {
            return Some(Fault::Failed("too large", PublishError::TooLarge("simulated".to_owned())));
        }
        if !self.fault(self.conditions.publish_faults) {
            return Some(Fault::None);
        }
        Some(match self.dice.u8(..6) {
            0 | 1 => Fault::Failed("unavailable", unavailable()),
            2 => Fault::Slow(up_to(&mut self.dice, SLOW_MAX), up_to(&mut self.dice, SLOW_MAX)),
            3 => Fault::Unheard,
            4 => Fault::Late(up_to(&mut self.dice, SLOW_MAX)),
            _ => Fault::Failed("refused", PublishError::Refused("simulated".to_owned())),
        })
    }

    fn append(&mut self, sent: &Sent, record: &Record, orphan: bool) {
        let (entry, topic) = (sent.entry, record.topic.to_string());
        self.tell(sent.instance, Happening::Appended { entry, topic, orphan });
        self.judge.appended(sent, record, orphan);
    }
}
