//! chatbridge: the map of the building.
//!
//! # The promise
//!
//! Every event that GREEN-API queued for an instance is in Kafka before it is deleted from the queue, or before the
//! webhook call that brought it is answered with 200, in the order of the queue, under the key of its chat. A crash at
//! any point may repeat an event; it never loses one, and the repeat carries the same id.
//!
//! ChatApp keeps nothing for anybody, so its promise is another: what was received is on disk before it counts, and leaves
//! it when it is in Kafka; what was missed is fetched, or consumers are told that it is missing.
//!
//! # The invariants it rests on
//!
//! 1. **Proof before forgetting.** [`source::NotificationQueue::delete`] asks for a [`bridge::Settled`]; only
//!    [`bridge::Bridge::deliver`] makes one, out of the [`publish::Delivered`] that only a publisher makes. A webhook's
//!    200 is made of a [`source::intake::Acknowledged`], and that of a `Settled`. Deleting or answering without a proof
//!    does not compile; that it is the proof of *this* notification is the straight line's doing, three statements long.
//!    [`chatapp::spool::Spool::settle`] remembers as published only what a `Settled` proves (`chatapp/forms`).
//! 2. **One in flight per instance.** One [`source::queue::Poller`] per instance, or one [`source::intake::Intake`], one
//!    straight line inside it, so the order in Kafka is the order of the queue. Whoever receives with other settings
//!    (`app/fleet`) has its turn after it, when its last poll has come to its end.
//! 3. **Odd is not lost.** [`normalize`](chatbridge_event::normalize::green_api::normalize) never fails; what is not JSON, and what the broker
//!    refuses, goes to the dead letters, and is deleted on *their* acknowledgement.
//! 4. **One bad instance never slows another.** Each has its own task under [`supervisor::supervise`], its own waits,
//!    its own telemetry. They share a connection pool, the pace of opening connections and a producer, nothing that one
//!    could hold on to.
//! 5. **The clock that matters is shown.** [`telemetry::status`] knows for each instance how close it is to the 24
//!    hours after which GREEN-API forgets; [`kafka_watch`] tells when Kafka takes nothing, whatever the reason.
//!
//! # The life of one notification
//!
//! 1. [`source::queue::Poller::run`] asks its queue; [`green_api::InstanceClient`] makes the request and
//!    `green_api::answer` says what the answer means: nothing, a notification with its receipt, or a failure named
//!    after what to do next.
//! 2. [`bridge::prepare`] understands it: [`normalize`](chatbridge_event::normalize::green_api::normalize) makes the [`Event`](chatbridge_event::event::Event) and its id,
//!    [`policy::Policy`] says publish, drop or dead-letter.
//! 3. Is it the event settled last? Then its deletion had failed: it is not published again, only deleted (6).
//!    Of a call, [`source::caller::CallerLookup`] may know the caller's name by now; where not, it goes without.
//! 4. [`bridge::Bridge::deliver`] has [`RecordFactory`](chatbridge_event::record::RecordFactory) write the record and hands it to the publisher until
//!    the broker has said yes, or never. "Never" leads to the dead letters by way of a record without thumbnails.
//! 5. [`publish::kafka::KafkaPublisher`] sends it with `acks=all` and idempotence, for as long as it takes, through a
//!    new producer where the old one failed for good.
//! 6. The poller deletes the receipt it was handed out with. Where the answer leaves it open whether that worked, it
//!    pauses and receives again: back to 3. With `overlap_delete` the next receive may set out before the delete is
//!    answered (`source/overlap` says when); what it brings waits for that answer, so that one is in hand as ever.
//!
//! An instance that is received by webhook has [`source::intake`] in place of the poller: [`webhook`] says who may call,
//! the intake takes what a call brought from 2 to 4 and acknowledges it. 5 is the same, and 6 is the 200.
//!
//! # The life of one event of ChatApp
//!
//! 1. [`chatbridge_pusher::Client`] reads a frame and hands it to [`chatapp::intake`], which puts it into the
//!    [`chatapp::spool`], on disk. The next one is read meanwhile, but how far we heard moves only when the disk has what came
//!    before (`chatapp/ahead`): what a crash takes away before that lies in a gap. A call of ChatApp's (`webhook/chatapp`), a
//!    message that was fetched and a gap that is told take the same way in.
//! 2. [`chatapp::drain::Drain::run`] reads it back and has `chatapp/unpack` take it apart into events. `chatapp/forms` says
//!    which of them consumers have already, by whichever road: the form of a message that was published last. The others
//!    are handed to [`bridge::Bridge::deliver`]: those of one key one after the other, in the order of the disk
//!    (`chatapp/lanes`).
//! 3. With the proof of its last event the frame leaves the disk.
//!
//! Beside it [`chatapp::ledger::Ledger`] hears the session: what was heard until when (`chatapp/standing` reckons, by the
//! [`chatbridge_base::clock`] that only goes forward). Each channel has a keeper ([`chatapp::keeper`]): it tells each gap, has [`chatapp::backfill`] fetch its messages, looks now and
//! then for what was never pushed, and writes down how far all that has come, never further.
//!
//! # Who may know whom
//!
//! ```text
//! main ─► cli ─► config, app, logging, reload, shutdown; cli::normalize ─► bridge, chatapp; cli::check ─► doctor;
//!                cli::demo, cli::simulate ─► simulator, chatapp_simulator; demo ─► app, consume, oracle, simulator,
//!                chatapp_simulator
//! demo/chatapp/judge ─► chatapp_simulator (its journal)     shares nothing with what it judges
//! cli::dlq ─► dead_letters, consume, publish/kafka; cli::tail ─► consume, json, record (how a value is framed)
//! cli::verify ─► verify ─► consume, oracle, policy, normalize, simulator (its journal's form)
//! oracle ─► event (EventId), json                           the judge: shares nothing else with what it judges
//! app ──► everyone                                          (the composition root, the only one)
//! reload ─► config                                          when to read it again, not what becomes of it
//! source/* ──► bridge, event, publish (the trait), retry, telemetry      never kafka, never reqwest
//! webhook ─► http_server, source/intake, chatapp/intake, event, json, config, telemetry   never a queue, never kafka
//! http_server ─► descriptors, telemetry; descriptors ─► telemetry; descriptors/budget ─► config
//! green_api ─► source (implements its traits), bridge::Settled, config, json
//! chatapp/account ─► chatapp/api, chatapp/tokens, chatapp/backfill (implements its trait)
//! chatapp/intake ─► chatapp/spool, chatapp/forms, chatapp/normalize, chatapp/ledger; implements the traits of chatapp/pusher and
//!                   chatapp/backfill
//! chatapp/drain ─► chatapp/spool, chatapp/forms, chatapp/ledger, bridge, publish (the trait), telemetry      never kafka
//! chatapp/keeper ─► chatapp/ledger, chatapp/spool, chatapp/intake, chatapp/backfill, retry, supervisor
//! chatapp/ledger ─► chatapp/standing, chatapp/pusher (its reports), telemetry
//! chatapp/spool ─► chatapp/forms, chatapp/normalize (a frame's place), chatapp/reserve (room on a full disk)
//! chatapp/forms ─► chatapp/normalize (what is a form of what), bridge::Settled, chatapp/spool (roads and sequences)
//! seal ─► nothing of ours
//! chatapp/api, chatapp/tokens ─► config, json, retry; chatapp/tokens ─► seal, chatapp/reserve
//! chatapp/backfill ─► chatapp/api (its types), json, retry
//! publish/kafka ─► publish, record, config                  never a source
//! chatapp/pusher ─► retry, json                             the session; its client, link alone know tokio and sockets
//! doctor ─► config, green_api (an instance's own words), publish/kafka (its properties), schema, schema_registry;
//!           doctor/chatapp ─► chatapp/account, chatapp/api, chatapp/pusher, chatapp/tokens (borrowed: never renewed)
//! schema_registry ─► record (its ids), config               never a source, never a publisher
//! bridge ─► normalize, policy, record, publish, retry, telemetry
//! kafka_watch ─► config, publish/kafka, telemetry; systemd ─► telemetry
//! admin ─► http_server; kafka_watch, readiness, telemetry, descriptors, chatapp/overview, schema_registry and
//!          publish/kafka: what they say of themselves
//! consume ─► config                                         reads topics back; never writes
//! dead_letters ─► consume (its records), bridge, chatapp/normalize, event, policy, record, publish, retry: a replay;
//!                 never kafka itself
//! otlp ─► telemetry (its spans), trace, config, supervisor  never what is delivered
//! normalize, chatapp/normalize, record ─► event, json, trace; policy ─► event, config
//! trace ─► event (EventId)                                  ids and header, by arithmetic
//! schema ─► event, record, config: their types, nothing they do
//! event, json ─► nothing of ours but each other
//! fit, http_failure, episode ─► nothing of ours; redact ─► fit
//! simulator ─► nothing of ours: what it shares with the client, it would share the mistakes of
//! chatapp_simulator ─► simulator (its listener, its bare answers, its client for pushes), nothing else of ours
//! simulation (tests only) ─► the loop, by way of its two traits; green_api::answer; the simulator's queue and events
//! ```
//!
//! Absent on purpose, and kept absent by `tests/it/architecture.rs`: no tokio in `event`, `json`, `normalize`,
//! `chatapp/normalize`, `chatapp/ahead`, `chatapp/api/answer`, `chatapp/backfill/walk`, `chatapp/forms`, `chatapp/lanes`, `chatapp/standing`,
//! `chatapp/tokens/state`, `chatapp/unpack`, `record`, `policy`,
//! `retry`, `schema`, `trace`, `admin/host`, `descriptors/budget`, `green_api/answer`, `schema_registry/answer`,
//! `doctor/instance`, `doctor/push`, `doctor/topic`, `doctor/chatapp/verdict`, `demo/chatapp/judge`, `chatapp/pusher` but for its `client` and `link`; no
//! rdkafka outside `publish/kafka`, `consume`, `doctor/kafka` and the demo, which starts its brokers; no reqwest
//! outside `green_api`, `chatapp/api`, `schema_registry`, `otlp`, the composition root, `simulator/push` and
//! `chatapp_simulator/callback`, which send to webhooks; no global state.
//!
//! # Why it is so
//!
//! *No acknowledgement functions, no channels.* There is one way in and one way out, so the acknowledgement is the
//! return value of `deliver`. Backpressure is the caller waiting.
//!
//! *`message.timeout.ms=0`.* The queue upstream is the buffer; giving up on a record in hand could only lose it. The
//! price is that a record of a topic that was deleted waits until somebody makes the topic again, loudly.
//!
//! *A refusal is asked for twice.* librdkafka sends several instances' records in one request, and a broker that finds
//! the request too large refuses them all. So a refused record is sent once more, alone; only that verdict counts.
//!
//! *A webhook call that tires leaves its event on the way.* What was taken in hand is delivered by a task of its own;
//! the repeat that follows the 503 has its turn after it and is answered by what it did. Taking it back could only
//! publish it twice.
//!
//! *The listeners get what delivery leaves.* Every connection takes a file descriptor, and whoever reaches a listener
//! can open many and say nothing. So the limit of open files is shared out at the start: delivery first, then a number
//! of connections for each listener ([`descriptors::budget`]), and nothing that waits for a caller waits for ever
//! ([`http_server`]).
//!
//! *A schema registry is waited for like a broker.* Its ids stand in every framed value, so without them nothing is
//! received; a refusal is waited out as well, since it is mended there and not here. Plain values in a topic whose
//! consumers expect frames would be a loss to each of them.
//!
//! *A tolerant JSON reader of our own* ([`chatbridge_base::json`]). `serde_json` checks every body first. It would then refuse what
//! upstream really sends and what must not be refused: half a surrogate pair, numbers of any size, nesting of any
//! depth.
//!
//! *Spans are made of what telemetry is told anyway* (`telemetry/spans`), not by instrumenting the line: with
//! `tracing-opentelemetry` the order of the log's spans would be part of a contract, and the line would have to be read
//! around them.
//!
//! *Frames on disk, not events.* What was received is written as it came, so that a version that understands more can read
//! what lies there, and so that nothing that could fail stands between the socket and the disk.
//!
//! *The id is a hash of the content*, not `idMessage`: statuses and call phases share an `idMessage`, MAX's are unique
//! only within a chat, quota events have none, and receipts may change with each redelivery. ChatApp's messages come in a
//! different dress by each road, so theirs is a hash of what the dresses share, and of the form it replaces where a message
//! says again what it said before ([`chatbridge_event::normalize::chatapp::identity`]).
//!
//! *The Pusher session is a state machine, the delivery loop is not.* A connection with its channels has a dozen things
//! that may happen next, in any order, and each has a deadline; tests can let them happen. Receive, deliver, delete is a
//! line, which a state machine would hide.
//!
//! *A replayed dead letter is marked in its own topic*, behind the letter and under its key. A consumer group's offset
//! would be the usual place, but it knows one end only: replaying a selection would declare everything before it done.

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
pub mod seal;
pub mod shutdown;
#[cfg(test)]
mod simulation;
pub mod supervisor;
pub mod watch;
