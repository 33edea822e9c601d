//! What a downstream team writes: the same few lines in Python, Java and Node, with the clients they would take.

use std::process::{Command, Stdio};

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::broker::available;
use crate::support::needs::{or_skip, tests_path};
use crate::support::{node, python};

const TOPIC: &str = "chat-events";
const EVENTS: usize = 400;

/// What the program prints, in an order that does not depend on that of the partitions.
fn lines(mut program: Command, scene: &Scene) -> Vec<String> {
    let out = program.args([&scene.broker.bootstrap(), TOPIC, &EVENTS.to_string()]).output().expect("it starts");
    let said = String::from_utf8(out.stdout).expect("UTF-8");
    assert!(out.status.success(), "{program:?}: {said}{}", String::from_utf8_lossy(&out.stderr));
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn java_consumer() -> Command {
    let mut command = available().expect("the broker runs on it").java();
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg(tests_path("consumers/java/PrintChats.java"))
        .stdin(Stdio::null());
    command
}

#[test]
#[ignore = "starts a real Kafka"]
fn ten_lines_in_each_language_read_the_same() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    scene.queue(EVENTS);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());

    let java = lines(java_consumer(), &scene);
    for word in [" text: ", " image: http", " message SIM-", ": delivered", ": read", " call: "] {
        assert!(java.iter().any(|line| line.contains(word)), "no line with {word:?}: {java:#?}");
    }
    let others =
        [("Python", python::consumer("print_chats.py")), ("Node", node::program("consumers/node", "print_chats.js"))];
    for (language, program) in others {
        let Some(program) = or_skip(program) else { continue };
        let lines = lines(program, &scene);
        let differing: Vec<_> = lines.iter().zip(&java).filter(|(one, other)| one != other).take(3).collect();
        assert!(lines == java, "{} lines from {language}, {} from Java: {differing:?}", lines.len(), java.len());
        eprintln!("consumers: {language} and Java print the same {} lines of {EVENTS} records", java.len());
    }
}
