//! One message for each cause, whatever else seems to be missing because of it.

use super::*;
use crate::core::schema::{self, ConfigKey};

/// Every section, each with what it needs.
const WHOLE: &str = r#"
[kafka]
brokers = "localhost:9092"
[kafka.create_topics]
replication_factor = 3
[kafka.create_topics.properties]
"min.insync.replicas" = "2"
[schema_registry]
url = "http://localhost:8081"
username = "me"
password = "abc"
[green_api]
[[green_api.instances]]
id = 7
token = "abc"
[[green_api.instances]]
id = 8
token = "abc"
receive = "webhook"
[webhook]
token = "abc"
tls_cert_file = "/etc/chatbridge/cert.pem"
tls_key_file = "/etc/chatbridge/key.pem"
[chatapp]
email = "me@example.com"
password = "abc"
app_id = "app_1"
refresh_token = "abc"
callback_secret = "abcdefghijklmnop"
[tracing]
otlp_endpoint = "http://localhost:4318"
[tracing.otlp_headers]
authorization = "abc"
[routing]
call = "chat-calls"
"#;

/// The whole configuration with `key` set to `value`, as TOML.
fn with(key: &ConfigKey, value: &str) -> String {
    let path = key.path.replace("[]", "");
    let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
    let header = if key.path.contains("[]") { format!("[[{section}]]") } else { format!("[{section}]") };
    let mut lines: Vec<String> = vec![String::new()];
    let (mut at_section, mut is_set) = (section.is_empty(), false);
    // A table that is replaced by something else goes with all its lines.
    let own_header = format!("[{path}]");
    let mut is_replaced = false;
    for line in WHOLE.lines() {
        if at_section && !is_set {
            lines.push(format!("{name} = {value}"));
            is_set = true;
        }
        if line.starts_with('[') {
            // Of several instances only the first is meant.
            at_section = line == header && !is_set;
            is_replaced = line == own_header;
        }
        let is_set_anew = at_section && line.starts_with(&format!("{name} ="));
        if !is_replaced && !is_set_anew {
            lines.push(line.to_owned());
        }
    }
    if !is_set {
        lines.push(format!("{header}\n{name} = {value}"));
    }
    lines.join("\n")
}

pub(super) fn keys() -> Vec<ConfigKey> {
    let keys = schema::config_keys(&schema::config());
    assert!(keys.len() > 80, "{} keys", keys.len());
    keys
}

/// Exactly one problem, with this key.
fn assert_told_once(key: &ConfigKey, value: &str, expected: &str) {
    let text = with(key, value);
    let problems = match load(&text, &[]) {
        Ok(_) => panic!("{} = {value} is taken:\n{text}", key.path),
        Err(error) => error.problems,
    };
    let path = key.path.replace("[]", "[0]");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.len() == 1 && problems[0].key.starts_with(&path), "{} = {value}: {told:#?}", key.path);
    assert!(told[0].contains(expected), "{told:?}");
}

#[test]
fn the_whole_is_valid() {
    load(WHOLE, &[]).expect("valid");
}

#[test]
fn what_cannot_be_read_is_told_once() {
    for key in keys() {
        assert_told_once(&key, if key.takes.contains("table") { "5" } else { "{ a = { b = 1 } }" }, "");
    }
}

#[test]
fn a_number_out_of_its_range_is_told_once() {
    for key in keys() {
        let Some((min, max)) = key.range else { continue };
        if let Some(below) = min.checked_sub(1) {
            // To some, 0 is "never", and then the range begins with it.
            assert_told_once(&key, &below.to_string(), "is not between");
        }
        assert_told_once(&key, &max.saturating_add(1).to_string(), "");
    }
}

#[test]
fn a_range_that_another_key_sets_is_no_problem_where_that_key_is_wrong() {
    for (lines, expected) in [
        (
            "[green_api]\nloss_warn_after_seconds = 0\nloss_alarm_after_seconds = 5",
            "green_api.loss_warn_after_seconds: 0",
        ),
        ("[green_api]\nretry_min_ms = 0\nretry_max_ms = 5", "green_api.retry_min_ms: 0"),
        ("[webhook]\nbody_bytes_max = 1\nbuffered_bytes_max = 70000", "webhook.body_bytes_max: 1"),
        (
            "[kafka.create_topics]\nreplication_factor = 0\nproperties.min.insync.replicas = '5'",
            "kafka.create_topics.replication_factor: 0",
        ),
    ] {
        let told = problem(&format!("{lines}\n{SMALLEST}"));
        assert!(told.starts_with(expected), "{told}");
    }
}

/// A configuration that is looked at again and again is told of when it changes, and not each time.
#[test]
fn the_same_problems_are_told_in_the_same_order() {
    let text = format!("a = 1\nb = 2\nc = 3\n[kafka]\ntopic = []\nbrokers = []\n[admin]\nlisten = []\n{SMALLEST}");
    let first = problems(&text);
    assert_eq!(first.len(), 6, "{first:?}");
    for _ in 0..20 {
        assert_eq!(problems(&text), first);
    }
}

#[test]
fn a_placeholder_is_told_once_wherever_it_stands() {
    for key in keys().into_iter().filter(|key| key.takes == "A text") {
        assert_told_once(&key, "\"PASTE-this-HERE\"", "the sample's placeholder");
    }
    let sample = include_str!("../../../config.toml");
    let told = problems(sample);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("green_api.instances[0].token: is still the sample's placeholder"), "{told:?}");
    // Those that are commented out look alike.
    let marked: Vec<&str> = sample.split('"').filter(|text| text.contains("PASTE")).collect();
    assert!(marked.len() >= 10 && marked.iter().all(|text| crate::config::secrets::is_placeholder(text)), "{marked:?}");
}

#[test]
fn a_section_that_cannot_be_read_is_the_cause_of_what_needs_it() {
    for section in ["webhook", "chatapp", "green_api", "kafka", "tracing", "schema_registry", "green_api.instances"] {
        let (mut text, mut is_left_out) = (String::new(), false);
        for line in WHOLE.lines() {
            if line.starts_with('[') {
                let name = line.trim_matches(['[', ']']);
                is_left_out = name == section || name.starts_with(&format!("{section}."));
            }
            if !is_left_out {
                text.push_str(&format!("{line}\n"));
            }
        }
        let told = match section.rsplit_once('.') {
            None => problems(&format!("{section} = 5\n{text}")),
            Some((parent, name)) => {
                problems(&text.replace(&format!("[{parent}]\n"), &format!("[{parent}]\n{name} = 5\n")))
            }
        };
        assert!(told.len() == 1 && told[0].starts_with(&format!("{section}: ")), "{section}: {told:?}");
    }
}

/// Where two say different things of one key, chance would choose.
#[test]
fn what_is_said_twice_is_named() {
    let twice = "[kafka.properties]\n\"sasl.password\" = \"a\"\nsasl.password = \"b\"\n";
    let told = problems(&format!("{twice}{SMALLEST}"));
    assert!(told.len() == 1 && told[0].starts_with("kafka.properties.sasl.password: is there twice"), "{told:?}");
    for (variables, expected) in [
        (["KAFKA__BROKERS", "kafka__brokers"], "CHATBRIDGE__kafka__brokers: sets the same key as"),
        (["KAFKA__PROPERTIES__SASL_PASSWORD", "KAFKA__PROPERTIES__SASL.PASSWORD"], "sets the same key as"),
        (["KAFKA__PROPERTIES__LINGER_MS", "KAFKA__PROPERTIES__QUEUE_BUFFERING_MAX_MS"], "is the same property as"),
        (["GREEN_API__INSTANCES__7__TOKEN", "GREEN_API__INSTANCES__7__token"], "sets the same key as"),
        (["GREEN_API__INSTANCES__7__TOKEN", "GREEN_API__INSTANCES__7__TOKEN_FILE"], "token is given as well"),
    ] {
        let variables = variables.map(|name| format!("CHATBRIDGE__{name}"));
        let environment = variables.each_ref().map(|name| (name.as_str(), "a:1"));
        let error = load(SMALLEST, &environment).expect_err("a problem");
        let told: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|problem| problem.contains(expected)), "{variables:?}: {told:?}");
    }
}
