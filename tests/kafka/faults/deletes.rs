//! Deletes that fail, or seem to; events that come again; somebody else at the queue.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::{Fault, FaultKind, JournalEvent, Method};

use super::odd::{Lands, Odd};
use super::row::Row;
use super::stage::{PATIENCE, Stage};
use crate::support::way::Way;

const GROUP: &str = "Deletes that fail, events that come again";
const FOR_EVER_MS: u64 = 600_000;

fn delete(kind: FaultKind) -> Fault {
    Fault::new(Method::Delete, kind)
}

pub(crate) fn rows() -> Vec<Row> {
    use FaultKind::*;
    // Not done: the head comes again, and is recognised.
    let undone = |name, fault| Row::upstream(GROUP, name, fault).counts("chatbridge_repeats_suppressed_total");
    // Done, and only the answer lost: the queue goes on.
    let done = |name, fault| Row::upstream(GROUP, name, fault);
    vec![
        undone("delete: reset before anything is done", || vec![delete(Reset)]).class("connection"),
        done("delete: reset after it was done", || vec![delete(Reset).after_effect()]).class("connection"),
        undone("delete: 500", || vec![Fault::status(Method::Delete, 500, "no")]).class("server_error"),
        done("delete: 500 although it was done", || vec![Fault::status(Method::Delete, 500, "no").after_effect()])
            .class("server_error"),
        undone("delete: `result:false`", || vec![Fault::result_false()]).class("delete_unclear"),
        done("delete: `result:false` although it was done", || vec![Fault::result_false().after_effect()])
            .class("delete_unclear"),
        done("delete: 500 `findUnAckedMessage`, it is gone", || vec![Fault::already_gone().after_effect()])
            .class("already_gone"),
        undone("delete: 500 `findUnAckedMessage`, it is not gone", || vec![Fault::already_gone()])
            .class("already_gone"),
        undone("delete: no answer at all", || vec![delete(Hang { duration_ms: FOR_EVER_MS })])
            .lasts(4, 45)
            .hurried("CHATBRIDGE__GREEN_API__DELETE_TIMEOUT_SECONDS", "1")
            .class("timeout"),
        done("delete: no answer although it was done", || {
            vec![delete(Hang { duration_ms: FOR_EVER_MS }).after_effect()]
        })
        .lasts(4, 45)
        .hurried("CHATBRIDGE__GREEN_API__DELETE_TIMEOUT_SECONDS", "1")
        .class("timeout"),
        Row::new(GROUP, "GREEN-API queues one event three times in a row", |stage| {
            let same = Odd::text(Lands::Whole, "once");
            for _ in 0..3 {
                stage.simulator.enqueue(stage.ids[0], same.body.clone()).expect("room");
            }
            stage.odd.push(same);
        })
        .and(|stage| {
            // With luck the load comes between two of them; then the second is published as well.
            assert!(stage.metric("chatbridge_repeats_suppressed_total", "") <= 2.0);
        }),
        Row::new(GROUP, "GREEN-API queues one event again, later", |stage| {
            let same = Odd::text(Lands::Whole, "again");
            stage.queue(same.clone());
            stage.queue(Odd::text(Lands::Whole, "between"));
            stage.simulator.enqueue(stage.ids[0], same.body).expect("room");
        }),
        Row::new(GROUP, "somebody else reads the instance too", rival)
            .only(&[Way::Poll])
            .says("someone else is reading this instance")
            .counts("chatbridge_rival_suspected_total")
            .stolen(),
    ]
}

/// A second consumer, as an SDK's loop would be: receives, works a moment, deletes.
fn rival(stage: &mut Stage<'_>) {
    let (id, token) = (stage.ids[0], stage.tokens[0].clone());
    let address = stage.simulator.url().trim_start_matches("http://").to_owned();
    let ask = |verb: &str, path: &str| -> String {
        let mut stream = TcpStream::connect(&address).expect("the simulator listens");
        write!(stream, "{verb} /waInstance{id}/{path} HTTP/1.0\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    };
    let begun = Instant::now();
    // Until it was noticed: on a busy machine that may take longer.
    let is_noticed = |stage: &mut Stage<'_>| stage.bridge().log().contains("someone else is reading this instance");
    while begun.elapsed() < Duration::from_secs(6) || (begun.elapsed() < PATIENCE && !is_noticed(stage)) {
        let received: serde_json::Value =
            serde_json::from_str(&ask("GET", &format!("receiveNotification/{token}?receiveTimeout=5"))).expect("JSON");
        let Some(receipt) = received["receiptId"].as_u64() else { continue };
        thread::sleep(Duration::from_millis(fastrand::u64(0..20)));
        if ask("DELETE", &format!("deleteNotification/{token}/{receipt}")).contains("true") {
            stage.taken.insert((id, receipt));
        }
    }
    let ours = |what: &JournalEvent| matches!(what, JournalEvent::Deleted { receipt, .. } if stage.taken.contains(&(id, *receipt)));
    assert!(stage.simulator.journal().iter().any(|entry| ours(&entry.what)), "it did take some");
}
