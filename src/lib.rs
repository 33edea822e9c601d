//! chatbridge: the map of the building.
//!
//! # The promise
//!
//! Every event that GREEN-API queued for an instance is in Kafka before it is deleted from the queue, or before the
//! webhook call that brought it is answered with 200. Events keep the order of the queue and carry the key of their
//! chat. A crash at any point may repeat an event with the same id. It never loses one.
//!
//! ChatApp keeps nothing for its clients. So a received event is stored on disk before it counts as received, and
//! leaves the disk when it is in Kafka. What was missed is fetched, or consumers are told that it is missing.
//!
//! # Where is the guarantee?
//!
//! In [`Poller::run`](green_api::poll::poller::Poller::run), fourteen lines: receive, deliver, delete. For webhook
//! calls it is [`Intake::take`](green_api::push::intake::Intake::take), for ChatApp
//! [`Drain::run`](chatapp::keep::drain::Drain::run).
//!
//! # What may forget a notification?
//!
//! Only a proof, and the compiler keeps that:
//!
//! | proof | made only by | asked for by |
//! | --- | --- | --- |
//! | [`Delivered`](core::publish::Delivered) | a publisher, from the broker's acknowledgement | [`Settled`](core::settled::Settled) |
//! | [`Settled`](core::settled::Settled) | [`Bridge::deliver`](core::bridge::Bridge::deliver) | [`NotificationQueue::delete`](green_api::queue::NotificationQueue::delete), [`Spool::settle`](chatapp::keep::spool::Spool::settle) by way of `chatapp/keep/forms` |
//! | [`Acknowledged`](green_api::push::intake::Acknowledged) | a `Settled` | the 200 of a GREEN-API call ([`Door::ok`](inbound::door::Door::ok)) |
//! | [`Stored`](chatapp::keep::spool::Stored) | [`Spool::append`](chatapp::keep::spool::Spool::append), from the disk | the 200 of a ChatApp call |
//!
//! # The other invariants
//!
//! 1. **One in flight per instance.** Each instance has one poller or one intake, with one straight line inside. The
//!    next one for the same instance (`app/fleet`) waits until the one before has ended.
//! 2. **Odd is not lost.** [`normalize`](chatbridge_event::normalize::green_api::normalize) never fails. What is not
//!    JSON, and what the broker refuses, goes to the dead letters and is deleted on *their* acknowledgement.
//! 3. **One bad instance never slows another.** Each has its own supervised task, waits and telemetry. They share a
//!    connection pool, the pace of new connections and a producer: nothing that one of them can hold on to.
//! 4. **The clock that matters is shown.** [`watch::telemetry::status`] knows how close each instance is to the 24
//!    hours after which GREEN-API forgets. [`watch::kafka_watch`] says when Kafka takes nothing.
//! 5. **Every long-lived task is supervised.** After a panic it is started again ([`supervisor`]), or the process ends
//!    with 1 where only a new process helps (`app/background`).
//! 6. **Order by sequence, measure by monotonic time.** A time of day is shown and told, never compared to decide
//!    ([`chatbridge_base::clock`]).
//!
//! # The rooms
//!
//! A room may know only the rooms named in its line, and the packages. `tests/it/architecture.rs` keeps that list, and
//! that no imports go in a circle.
//!
//! | room | holds | knows |
//! | --- | --- | --- |
//! | `crates/base`, `crates/event` | JSON, retry, clock; events, records, normalising: pure | nothing; base |
//! | `crates/pusher` | the Pusher session and its client, usable by itself | base |
//! | `crates/lab` | simulators and the judge of deliveries | nothing of ours |
//! | [`config`] | one file for each section: type, text, defaults, checks | |
//! | [`core`] | prepare, deliver, publish, schema registry, reading topics back | config |
//! | [`inbound`] | the HTTP server of both listeners, who may call, TLS, file descriptors | config |
//! | [`watch`] | metrics, status page, spans, systemd, the watch over Kafka | core, inbound, config |
//! | [`green_api`] | client; `poll/`: the straight line; `push/`: the webhook | core, watch, inbound, config |
//! | [`chatapp`] | API and tokens; `hear/`: the socket; `keep/`: the disk and the way to Kafka; `mend/`: gaps | core, watch, inbound, config |
//! | [`app`] | builds, joins, reloads, drains | everyone but cli |
//! | [`cli`] | the commands; `demo`, `simulate`, `inject` and `verify` with the feature `lab` | everyone |
//!
//! The two wings, [`green_api`] and [`chatapp`], never know each other. **A third upstream** would be a third wing
//! beside them: it receives, makes an [`Event`](chatbridge_event::event::Event), calls
//! [`Bridge::deliver`](core::bridge::Bridge::deliver), and forgets upstream what the returned proof covers. `app`
//! starts it.
//!
//! Small leaves that many use: [`fit`], [`http`], [`logging`], [`redact`], [`reminder`], [`seal`], [`shutdown`], [`supervisor`].
//!
//! # The life of one notification
//!
//! 1. The poller asks its queue. [`InstanceClient`](green_api::client::InstanceClient) makes the request;
//!    `green_api/answer` says what the answer means: nothing, a notification with its receipt, or a failure named after
//!    what to do next.
//! 2. [`prepare`](core::prepared::prepare) makes the event and its id, and [`Policy`](core::policy::Policy) says
//!    publish, drop or dead letter.
//! 3. Is it the event settled last? Then its deletion had failed. It is not published again, only deleted (step 6).
//! 4. [`Bridge::deliver`](core::bridge::Bridge::deliver) makes the record and publishes it until the broker says yes,
//!    or never. "Never" leads to a record without thumbnails, then to the dead letters.
//! 5. [`KafkaPublisher`](core::publish::kafka::KafkaPublisher) sends with `acks=all` and idempotence, for as long as it
//!    takes, through a new producer where the old one failed for good.
//! 6. The poller deletes the receipt. Where the answer leaves open whether that worked, it pauses and goes back to 1.
//!
//! By webhook the intake takes the poller's place: steps 2 to 5 are the same, and 6 is the 200.
//!
//! # The life of one event of ChatApp
//!
//! 1. [`chatbridge_pusher::Client`] reads a frame. [`chatapp::hear::intake`] puts it into the spool on disk. How far we
//!    heard moves only when the disk has what came before (`hear/ahead`). Calls, fetched messages and gaps go the same
//!    way.
//! 2. [`Drain::run`](chatapp::keep::drain::Drain::run) reads it back, has it taken apart (`keep/unpack`), leaves out
//!    what consumers have already (`keep/forms`), and delivers the events of one key one after the other
//!    (`keep/lanes`).
//! 3. With the proof of its last event the frame leaves the disk.
//!
//! Beside it the [`ledger`](chatapp::hear::ledger) notes what was heard until when, and each channel's
//! [`keeper`](chatapp::mend::keeper) fetches what was missed and tells the rest as gaps.
//!
//! # Why it is so
//!
//! * *No acknowledgement functions, no channels.* The acknowledgement is the return value of `deliver`; backpressure is
//!   the caller waiting.
//! * *`message.timeout.ms=0`.* The queue upstream is the buffer. Giving up on a record in hand could only lose it.
//! * *A refusal is asked for twice.* A broker that finds one request of several records too large refuses all of them.
//!   So a refused record is sent once more, alone, and only that answer counts.
//! * *A webhook call that is given up leaves its event on the way.* Its delivery goes on in a task of its own. The
//!   repeat that follows the 503 waits its turn and is answered by what that task did.
//! * *The listeners get the file descriptors that delivery leaves* ([`inbound::descriptors`]), because anybody can open
//!   connections and say nothing.
//! * *A schema registry is waited for like a broker.* Plain values where consumers expect framed ones would be lost on
//!   them.
//! * *A tolerant JSON reader of our own* ([`chatbridge_base::json`]): `serde_json` refuses half a surrogate pair and
//!   deep nesting, which upstream really sends.
//! * *Frames on disk, not events*, so that a newer version can read more out of them.
//! * *The id is a hash of the content*, not `idMessage`: statuses and call phases share an `idMessage`, and MAX's are
//!   unique only within a chat. ChatApp's id is a hash of what all roads of a message share
//!   ([`identity`](chatbridge_event::normalize::chatapp::identity)).
//! * *The Pusher session is a state machine, the delivery loop is not.* In a session a dozen things may happen next;
//!   receive, deliver, delete is a line.

pub mod app;
pub mod chatapp;
pub mod cli;
pub mod config;
pub mod core;
pub mod fit;
pub mod green_api;
pub mod http;
pub mod inbound;
pub mod logging;
pub mod redact;
pub mod reminder;
pub mod seal;
pub mod shutdown;
#[cfg(test)]
mod simulation;
pub mod supervisor;
pub mod watch;
