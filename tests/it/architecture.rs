//! Who may know whom (the map in `src/lib.rs`): kept by reading the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    // A file of a package is named after the package: `event/record`. Our own are named by their place alone.
    for (folder, package) in [
        ("src", ""),
        ("crates/base/src", "base/"),
        ("crates/event/src", "event/"),
        ("crates/lab/src", "lab/"),
        ("crates/pusher/src", "pusher/"),
    ] {
        let root = root.join(folder);
        let mut found = Vec::new();
        walk(&root, &mut found);
        all.extend(found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).map(
            |path| {
                let name = path.strip_prefix(&root).expect("below it").to_string_lossy();
                (format!("{package}{name}"), code(&fs::read_to_string(&path).expect("readable")))
            },
        ));
    }
    all
}

/// Without comments and without the unit tests at the foot.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Files below one of `places` must not mention any of `words`.
fn absent(places: &[&str], words: &[&str]) {
    let mut looked_at = 0;
    for (name, code) in sources() {
        let inside = places.iter().any(|place| name == format!("{place}.rs") || name.starts_with(&format!("{place}/")));
        if !inside || name.contains("tests") {
            continue;
        }
        looked_at += 1;
        for word in words {
            assert!(!code.contains(word), "src/{name} knows of {word}");
        }
    }
    assert!(looked_at >= places.len(), "{places:?} are there");
}

/// Only files below `places` may mention `word`.
fn only(places: &[&str], word: &str) {
    for (name, code) in sources() {
        let inside = places.iter().any(|place| name == format!("{place}.rs") || name.starts_with(&format!("{place}/")));
        assert!(inside || name.contains("tests") || !code.contains(word), "src/{name} knows of {word}");
    }
}

#[test]
fn pure_logic_has_no_runtime_and_no_wires() {
    let pure = [
        "base/json",
        "base/retry",
        "event",
        "policy",
        "green_api/answer",
        "chatapp/api/answer",
        "chatapp/ahead",
        "chatapp/backfill/walk",
        "chatapp/forms",
        "chatapp/lanes",
        "chatapp/standing",
        "chatapp/unpack",
        "chatapp/tokens/state",
        "schema_registry/answer",
        "schema",
        "lab/oracle",
        "demo/chatapp/judge",
        "doctor/chatapp/verdict",
        "doctor/instance",
        "doctor/push",
        "doctor/topic",
        "pusher/action",
        "pusher/auth",
        "pusher/channels",
        "pusher/code",
        "pusher/frame",
        "pusher/limits",
        "pusher/liveness",
        "pusher/reconnect",
        "pusher/report",
        "pusher/session",
    ];
    absent(&["webhook/gate", "admin/host", "descriptors/budget"], &["tokio", "reqwest", "std::fs", "Timestamp::now"]);
    absent(&pure, &["tokio", "reqwest", "rdkafka", "axum", "std::fs", "std::net", "Timestamp::now"]);
}

#[test]
fn values_know_nothing_of_what_is_done_with_them() {
    absent(&["base"], &["chatbridge"]);
    absent(&["event/event"], &["crate::record", "crate::normalize"]);
}

#[test]
fn a_source_never_knows_kafka_and_the_publisher_never_a_source() {
    absent(&["source", "webhook"], &["rdkafka", "publish::kafka", "reqwest", "crate::green_api"]);
    let chatapp = [
        "chatapp/account",
        "chatapp/api",
        "chatapp/backfill",
        "chatapp/intake",
        "chatapp/keeper",
        "chatapp/ledger",
        "chatapp/tokens",
    ];
    absent(&chatapp, &["rdkafka", "crate::publish", "crate::bridge", "crate::source", "crate::green_api"]);
    absent(&["chatapp"], &["rdkafka", "publish::kafka", "crate::source", "crate::green_api"]);
    absent(&["publish"], &["crate::source", "crate::green_api", "crate::bridge"]);
    absent(&["schema_registry"], &["crate::source", "crate::green_api", "crate::bridge", "crate::publish"]);
    absent(
        &["otlp"],
        &["crate::source", "crate::green_api", "crate::bridge", "crate::publish", "chatbridge_event::record"],
    );
    absent(
        &["consume"],
        &["crate::source", "crate::green_api", "crate::bridge", "crate::publish", "chatbridge_event::record"],
    );
    absent(&["doctor"], &["crate::bridge", "crate::consume", "NotificationQueue", "send_result", "create_topics("]);
    absent(&["pusher"], &["chatbridge_event", "chatbridge_lab"]);
    absent(&["dead_letters"], &["rdkafka", "publish::kafka", "crate::config", "crate::source", "crate::green_api"]);
}

#[test]
fn libraries_stay_at_the_rim() {
    only(&["publish/kafka", "consume", "doctor/kafka", "demo"], "rdkafka::");
    let reqwest =
        ["green_api", "chatapp/api", "schema_registry", "otlp", "app", "lab/green_api/push", "lab/chatapp/callback"];
    only(&[&reqwest[..], &["http_failure"]].concat(), "reqwest::");
    only(&["otlp"], "opentelemetry");
    only(&["admin", "http_server", "lab", "webhook"], "axum::");
    only(&["pusher/link", "lab/chatapp/socket"], "tungstenite::");
    only(&["green_api/pace"], "tower_");
    only(&["cli", "logging"], "clap::");
}

#[test]
fn the_simulator_shares_nothing_with_what_it_tests() {
    absent(&["lab"], &["chatbridge"]);
    absent(&["demo/chatapp/judge"], &["crate::", "chatbridge_base", "chatbridge_event", "chatbridge_pusher"]);
}

#[test]
fn the_server_of_the_listeners_knows_nothing_of_what_is_asked_there() {
    absent(&["http_server"], &["crate::admin", "crate::webhook", "crate::config", "crate::source", "crate::chatapp"]);
    absent(&["descriptors"], &["crate::http_server", "crate::admin", "crate::webhook"]);
}

#[test]
fn nothing_is_global() {
    for (name, code) in sources() {
        for word in ["static mut", "lazy_static", "thread_local!", "LazyLock", "OnceLock"] {
            assert!(name.contains("tests") || !code.contains(word), "src/{name} has a {word}");
        }
    }
}
