//! Bodies made to cost memory, while the bridge may have as much of it as its pod in Kubernetes.

use super::super::odd::noise;
use super::super::row::{MEMORY, Pace};
use super::super::shapes::{bodies_of_chatapp, bytes};
use super::row::Row;

const GROUP: &str = "ChatApp: bodies made to cost memory";
/// A little less than the largest frame that the bridge takes, which is longer by what is around its body.
const LARGEST_BYTES: usize = 15 * 1024 * 1024;
/// Of one body, each of another chat. Each becomes an event.
const MESSAGES: usize = 5_000;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            GROUP,
            "bodies of many shapes, 256 MiB of memory, Kafka frozen, the bridge killed (kill -9)",
            |stage| {
                stage.broker.pause();
                let mut pushed = 0;
                for (events, body) in bodies(stage.pace) {
                    pushed += body.len() as u64;
                    stage.push(events, &marked(&body));
                }
                stage.wait_for_spool("all of it on disk", |spool| spool["bytes"].as_u64() >= Some(pushed));
                stage.kill_bridge();
                stage.events(20);
                stage.start_bridge();
                stage.wait_until_live();
                stage.events(20);
                stage.broker.resume();
            },
        )
        .under(MEMORY)
        // As in the image.
        .with("MALLOC_MMAP_THRESHOLD_", "131072")
        .cut(),
    ]
}

/// How many events each makes, at the least, and what it is.
fn bodies(pace: Pace) -> Vec<(usize, String)> {
    // What is taken apart into thousands of events of one chat takes as many turns, and shows nothing more.
    let is_slow = |name: &str| name.starts_with("data is few") || name.contains(r#"{"id""#);
    let of_chatapp = bodies_of_chatapp().into_iter().filter(|(name, _)| !is_slow(name)).map(|(_, body)| body);
    let of_bytes = bytes().into_iter().filter_map(|(_, bytes)| String::from_utf8(bytes).ok());
    let every = if pace == Pace::Table { 1 } else { 3 };
    let mut bodies: Vec<(usize, String)> = of_chatapp.step_by(every).chain(of_bytes).map(|body| (1, body)).collect();
    let message = |item: &str| format!(r#"{{"data":[{item}],"meta":{{"type":"message"}}}}"#);
    let of_a_chat = |n| format!(r#"{{"id":{n},"chat":{{"id":"chat-{n}"}}}}"#);
    bodies.push((MESSAGES, message(&(0..MESSAGES).map(of_a_chat).collect::<Vec<_>>().join(","))));
    for long in ["t".repeat(LARGEST_BYTES), noise(LARGEST_BYTES)] {
        bodies.push((1, message(&format!(r#"{{"id":1,"message":{{"text":"{long}"}}}}"#))));
    }
    bodies
}

/// With `MARK` in it, in each part that it is taken apart into. What is JSON stays so.
fn marked(body: &str) -> String {
    let (first, rest) = body.split_at_checked(1).unwrap_or_default();
    match first {
        "{" => format!(r#"{{"mark":"MARK",{rest}"#),
        "[" => format!(r#"["MARK",{rest}"#),
        "\"" => format!(r#""MARK{rest}"#),
        _ => format!("MARK{body}"),
    }
}
