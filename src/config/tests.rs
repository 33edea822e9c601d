use std::path::PathBuf;

use chatbridge_event::event::InstanceId;
use secrecy::ExposeSecret;

use super::*;

mod causes;
mod chatapp;
mod difference;
mod secrets;
mod tracing;

/// A file of this content, gone with the test.
struct Written(PathBuf);

impl Written {
    fn new(text: &str) -> Self {
        let name = format!("chatbridge-config-{}-{:x}.toml", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("the temporary directory takes files");
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let file = Written::new(text);
    super::load(Some(&file.0), environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn problems(text: &str) -> Vec<String> {
    load(text, &[]).expect_err("problems").problems.iter().map(ToString::to_string).collect()
}

/// The only one.
fn problem(text: &str) -> String {
    match &problems(text)[..] {
        [problem] => problem.clone(),
        several => panic!("{text}: {several:?}"),
    }
}

/// What stands in the sample under this header and is commented out, but for keys that have no default.
fn commented_out(header: &str, not_by_default: &[&str]) -> Vec<String> {
    let sample = include_str!("../../config.toml");
    let section = sample.lines().skip_while(|line| *line != format!("# {header}")).take_while(|line| !line.is_empty());
    let is_default = |line: &&str| {
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|key| !key.contains(' '));
        key.is_some_and(|key| !not_by_default.contains(&key.trim_end_matches("_file")))
    };
    section.filter_map(|line| line.strip_prefix("# ")).filter(is_default).map(str::to_owned).collect()
}

const SMALLEST: &str = "[[green_api.instances]]\nid = 7\ntoken = \"abc\"\n";

#[test]
fn a_secret_in_the_wrong_place_is_not_quoted() {
    for wrong in [
        "id = 'd75b3a66c0ffee'\ntoken = 'x'",
        "id = 7\ntoken_file = 'd75b3a66c0ffee'",
        "id = 7\ntoken = ['d75b3a66c0ffee']",
    ] {
        let problems = problems(&format!("[[green_api.instances]]\n{wrong}\n"));
        assert!(!problems.is_empty() && !problems.concat().contains("d75b3a66"), "{problems:?}");
    }
}

#[test]
fn an_id_and_a_token_are_enough() {
    let config = load(SMALLEST, &[]).expect("valid");
    assert_eq!(config.kafka.brokers, "localhost:9092");
    assert_eq!(&*config.kafka.topic, "chat-events");
    assert_eq!(config.instances[0].id, InstanceId::new(7));
    assert_eq!(config.instances[0].receive_timeout, Duration::from_secs(20));
    assert_eq!(config.green_api.watch_interval, Some(Duration::from_secs(300)));
    assert_eq!(config.green_api.loss_warn_after, Duration::from_secs(6 * 3600));
    assert_eq!(config.green_api.loss_alarm_after, Duration::from_secs(18 * 3600));
}

/// Instances made since July 2026 have ids of twelve digits.
#[test]
fn an_id_may_have_twelve_digits() {
    let config = load("[[green_api.instances]]\nid = 310000077712\ntoken = \"abc\"\n", &[]).expect("valid");
    assert_eq!(config.instances[0].id.to_string(), "310000077712");
}

#[test]
fn every_problem_is_named_at_once_with_its_key() {
    let text = r#"
        shutdown_timeout_seconds = 0
        colour = "blue"
        [kafka]
        brokers = "localhost"
        topic = "chat events"
        dead_letter_topic = 5
        brokerz = "x"
        [kafka.properties]
        acks = "1"
        "message.timeout.ms" = 5000
        [admin]
        listen = "everywhere"
        [green_api]
        api_url = "ftp://example.invalid"
        receive_timeout_seconds = 90
        retry_max_ms = "long"
        [[green_api.instances]]
        id = 7
        token = "abc"
        [[green_api.instances]]
        id = 7
        token = "a token with spaces"
        receive = "carrier pigeon"
        [[green_api.instances]]
        token_file = "/nowhere/at/all"
        [events]
        unknown = "ignore"
        drop = ["incomingcall"]
    "#;
    let problems = problems(text);
    let keys: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().expect("a key")).collect();
    for key in [
        "shutdown_timeout_seconds",
        "colour",
        "kafka.brokers",
        "kafka.topic",
        "kafka.brokerz",
        "kafka.properties.acks",
        "kafka.properties.message.timeout.ms",
        "admin.listen",
        "green_api.api_url",
        "green_api.receive_timeout_seconds",
        "green_api.retry_max_ms",
        "green_api.instances[1].id",
        "green_api.instances[1].token",
        "green_api.instances[1].receive",
        "green_api.instances[2].id",
        "green_api.instances[2].token_file",
        "events.unknown",
        "events.drop[0]",
    ] {
        assert!(keys.contains(&key), "{key} is missing from {problems:#?}");
    }
    assert_eq!(keys.len(), 18, "{problems:#?}");
}

#[test]
fn topics_are_made_where_the_section_is_there_and_its_numbers_agree() {
    let with = |lines: &str| load(&format!("{lines}\n{SMALLEST}"), &[]);
    assert_eq!(with("").expect("valid").kafka.create_topics, None);
    let made = with("[kafka.create_topics]").expect("valid").kafka.create_topics.expect("a section");
    assert_eq!((made.partitions, made.replication_factor, made.properties.len()), (12, 3, 0));
    let lines = "[kafka.create_topics.properties]\nmin.insync.replicas = \"2\"\n\"retention.ms\" = \"1000\"";
    let made = with(lines).expect("valid").kafka.create_topics.expect("a section");
    assert_eq!(made.properties["min.insync.replicas"], "2", "with and without quotes");
    assert_eq!(made.properties["retention.ms"], "1000");
    let wrong = "[kafka.create_topics]\npartitions = 0\nreplication_factor = 1\n\
                 [kafka.create_topics.properties]\n\"min.insync.replicas\" = \"2\"";
    let keys: Vec<String> = with(wrong).expect_err("problems").problems.into_iter().map(|p| p.key).collect();
    assert_eq!(keys, ["kafka.create_topics.partitions", "kafka.create_topics.properties.min.insync.replicas"]);
}

#[test]
fn the_alarm_comes_after_the_warning_and_before_the_loss() {
    for (warn, alarm, key) in [
        (0, 64_800, Some("loss_warn_after_seconds")),
        (86_400, 86_399, Some("loss_warn_after_seconds")),
        (21_600, 21_600, Some("loss_alarm_after_seconds")),
        (21_600, 86_400, Some("loss_alarm_after_seconds")),
        (21_600, 21_601, None),
        (86_398, 86_399, None),
    ] {
        let lines = format!("[green_api]\nloss_warn_after_seconds = {warn}\nloss_alarm_after_seconds = {alarm}\n");
        let problems = load(&format!("{lines}{SMALLEST}"), &[]).err().map_or(Vec::new(), |error| error.problems);
        let keys: Vec<&str> = problems.iter().filter_map(|p| p.key.strip_prefix("green_api.")).collect();
        assert_eq!(keys.first().copied(), key, "{warn} {alarm}: {problems:?}");
    }
}

#[test]
fn a_poller_that_waits_for_its_turn_to_connect_is_not_stalled() {
    let patience = |per_second: u32| {
        let text = format!("[green_api]\nconnections_per_second_max = {per_second}\n{SMALLEST}");
        load(&text, &[]).expect("valid").silence_max()
    };
    assert_eq!(patience(1) - patience(100), Duration::from_secs(2) * 99 / 100);
}

#[test]
fn a_problem_never_repeats_a_secret() {
    for text in [
        "[[green_api.instances]]\nid = 7\ntoken = [\"hunter2\"]\n",
        "[[green_api.instances]]\nid = 7\ntoken = \"hunter2 hunter2\"\n",
        "[[green_api.instances]]\nid = 7\ntoken = \"hunter2\n",
        "[kafka.properties]\n\"sasl.password\" = [\"hunter2\"]\n",
    ] {
        let shown = load(text, &[]).expect_err("a problem").to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let config =
        load(&SMALLEST.replace("abc", "hunter2"), &[("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")])
            .expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn a_schema_registry_is_whole_or_not_at_all() {
    let with = |lines: &str| format!("[schema_registry]\n{lines}\n{SMALLEST}");
    for (lines, expected) in [
        ("register = false", "schema_registry.url: is missing"),
        ("token = \"hunter2\"", "schema_registry.url: is missing"),
        ("url = \"registry:8081\"", "schema_registry.url: expected one http"),
        ("url = \"http://me:hunter2@registry\"", "schema_registry.url: expected one http"),
        ("url = \"http://a\"\nusername = \"me\"", "schema_registry.password: is missing"),
        ("url = \"http://a\"\npassword = \"hunter2\"", "schema_registry.username: is missing"),
        ("url = \"http://a\"\npassword = [\"hunter2\"]", "schema_registry.password: expected"),
        ("url = \"http://a\"\nusername = \"a:b\"\npassword = \"hunter2\"", "schema_registry.username: cannot"),
        ("url = \"http://a\"\ntoken = \"hunter2 hunter2\"", "schema_registry.token: holds"),
        ("url = \"http://a\"\ntoken = \"\"", "schema_registry.token: is empty"),
        ("url = \"http://a\"\ntoken = \"hunter2\"\ntoken_file = \"/x\"", "schema_registry.token_file: token is"),
        ("url = \"http://a\"\npassword_file = \"/nowhere\"", "schema_registry.password_file: /nowhere"),
        (
            "url = \"http://a\"\nusername = \"me\"\npassword = \"hunter2\"\ntoken = \"hunter2\"",
            "schema_registry.token: there is a password",
        ),
    ] {
        let problems = problems(&with(lines));
        assert!(problems[0].starts_with(expected), "{lines}: {problems:?}");
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }
    let both = format!("[kafka]\ncloudevents_mode = \"structured\"\n{}", with("url = \"http://a\""));
    assert!(problems(&both)[0].starts_with("kafka.cloudevents_mode: must be"), "{:?}", problems(&both));

    let environment = [("CHATBRIDGE__SCHEMA_REGISTRY__USERNAME", "me"), ("CHATBRIDGE__SCHEMA_REGISTRY__PASSWORD", "7")];
    let config = load(&with("url = \"http://a/apis/ccompat/v7/\""), &environment).expect("valid");
    let registry = config.schema_registry.expect("there is one");
    assert!(registry.register);
    let Credentials::Basic { username, password } = registry.credentials else { panic!("{registry:?}") };
    assert_eq!((username.as_str(), password.expose_secret()), ("me", "7"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        SMALLEST,
        &[
            ("CHATBRIDGE__KAFKA__BROKERS", "a:1, b:2"),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "12345"),
            ("CHATBRIDGE__GREEN_API__INSTANCES__7__TOKEN", "fromEnvironment"),
            ("CHATBRIDGE__GREEN_API__INSTANCES__8__TOKEN", "99"),
            ("CHATBRIDGE__GREEN_API__INSTANCES__8__API_URL", "https://1101.api.green-api.com"),
            ("CHATBRIDGE__GREEN_API__WATCH_INTERVAL_SECONDS", "0"),
            ("CHATBRIDGE__EVENTS__DROP", "incomingCall, deviceInfo"),
            ("CHATBRIDGE__EVENTS__INCLUDE_RAW", "false"),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL"),
            ("CHATBRIDGE_CONFIG", "not a key"),
            ("OTHER", "ignored"),
        ],
    )
    .expect("valid");
    assert_eq!(config.kafka.brokers, "a:1,b:2");
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "12345");
    let tokens: Vec<_> = config.instances.iter().map(|i| (i.id.get(), i.token.expose_secret().to_owned())).collect();
    assert_eq!(tokens, [(7, "fromEnvironment".to_owned()), (8, "99".to_owned())]);
    assert_eq!(config.instances[1].api_url.host_str(), Some("1101.api.green-api.com"));
    assert_eq!(config.green_api.watch_interval, None);
    assert_eq!(config.events.drop, ["incomingCall", "deviceInfo"]);
    assert!(!config.events.include_raw);
}

#[test]
fn a_variable_that_names_no_key_is_a_problem_and_the_environments_form_of_a_token_wins() {
    let misspelt = load(SMALLEST, &[("CHATBRIDGE__GREEN_API__INSTANCES__7_TOKEN", "x")]).expect_err("a problem");
    assert!(misspelt.to_string().contains("INSTANCES__7_TOKEN"), "{misspelt}");
    let with_file = "[[green_api.instances]]\nid = 7\ntoken_file = \"/nowhere\"\n";
    let config = load(with_file, &[("CHATBRIDGE__GREEN_API__INSTANCES__7__TOKEN", "fromEnvironment")]).expect("valid");
    assert_eq!(config.instances[0].token.expose_secret(), "fromEnvironment");
}

#[test]
fn properties_may_go_without_quotes_and_those_of_the_promise_are_refused() {
    let text = format!("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.ca.location = \"/x\"\n{SMALLEST}");
    let config = load(&text, &[]).expect("valid");
    assert_eq!(config.kafka.properties["security.protocol"].expose_secret(), "SSL");
    assert_eq!(config.kafka.properties["ssl.ca.location"].expose_secret(), "/x");
    for name in ["acks", "test.mock.num.brokers", "plugin.library.paths", "transactional.id", "message.timeout.ms"] {
        let text = format!("[kafka.properties]\n\"{name}\" = \"1\"\n{SMALLEST}");
        let refused = problems(&text);
        assert!(refused[0].starts_with(&format!("kafka.properties.{name}: cannot be set")), "{refused:?}");
    }
}

#[test]
fn secrets_come_from_files_too() {
    let token = Written::new("fromFile\n");
    let password = Written::new("pass word\n");
    let text = format!(
        "[kafka.property_files]\n\"sasl.password\" = {:?}\n[[green_api.instances]]\nid = 7\ntoken_file = {:?}\n",
        password.0, token.0
    );
    let config = load(&text, &[]).expect("valid");
    assert_eq!(config.instances[0].token.expose_secret(), "fromFile");
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "pass word");
    let path = password.0.to_str().expect("UTF-8");
    let config = load(SMALLEST, &[("CHATBRIDGE__KAFKA__PROPERTY_FILES__SASL_PASSWORD", path)]).expect("valid");
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "pass word");
}

#[test]
fn a_missing_file_and_a_broken_one_say_so() {
    let missing = super::load(Some("/nowhere/chatbridge.toml".as_ref()), []).expect_err("a problem").to_string();
    assert!(missing.contains("does not exist"), "{missing}");
    let broken = problems("[kafka\n");
    assert!(broken[0].contains("line 1"), "{broken:?}");
}

#[test]
fn kinds_are_routed_by_name_and_an_unknown_one_is_answered_with_the_known() {
    let text = format!("[routing]\ncall = \"chat-calls\"\nmessage = \"chat-calls\"\n{SMALLEST}");
    let config = load(&text, &[("CHATBRIDGE__ROUTING__MESSAGE_STATUS", "statuses")]).expect("valid");
    assert_eq!(config.routing.keys().copied().collect::<Vec<_>>(), ["call", "message", "message_status"]);
    let topics: Vec<String> = config.topics().iter().map(ToString::to_string).collect();
    assert_eq!(topics, ["chat-events", "chat-calls", "statuses", "chat-events-dlq"]);

    let text = format!("[routing]\ncalls = \"x\"\ncall = \"a b\"\nunknown = \"chat-events-dlq\"\n{SMALLEST}");
    let problems = problems(&text);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    let unknown = problems.iter().find(|problem| problem.starts_with("routing.calls: ")).expect("the unknown kind");
    assert!(unknown.contains("expected one of message, message_status, call,"), "{unknown}");
    let language = load(&format!("[calls]\nlanguage = \"de\"\n{SMALLEST}"), &[]).expect_err("a problem").to_string();
    assert!(language.contains("calls.language: unknown word `de`, expected `ru` or `en`"), "{language}");
}

/// The sample at the root names every key, and every default is the one the code has.
#[test]
fn the_sample_is_true() {
    let sample = include_str!("../../config.toml");
    let from_sample = load(&sample.replace("PASTE-apiTokenInstance-HERE", "abc"), &[]).expect("the sample is valid");
    let from_defaults = load("[[green_api.instances]]\nid = 1101000001\ntoken = \"abc\"\n", &[]).expect("valid");
    assert_eq!(format!("{from_sample:?}"), format!("{from_defaults:?}"));

    let lines: Vec<&str> = sample.lines().map(|line| line.trim_start_matches("# ")).collect();
    for key in causes::keys() {
        let name = key.path.rsplit('.').next().expect("a name");
        let is_mentioned = |line: &&str| line.starts_with(&format!("{name} = ")) || **line == format!("[{}]", key.path);
        assert!(lines.iter().any(is_mentioned), "{} is not in config.toml", key.path);
    }
}

/// The section is commented out in the sample; what stands there is its defaults all the same.
#[test]
fn the_sample_of_the_webhook_shows_its_defaults() {
    let keys = commented_out("[webhook]", &["public_url", "token", "tls_cert", "tls_key"]);
    assert_eq!(keys.len(), 12, "{keys:?}");
    let loaded = |more: &str| load(&format!("{SMALLEST}[webhook]\n{more}"), &[]).expect("valid").webhook;
    assert_eq!(format!("{:?}", loaded(&keys.join("\n"))), format!("{:?}", loaded("")));
}

const WEBHOOK: &str = "[[green_api.instances]]\nid = 7\ntoken = \"abc\"\nreceive = \"webhook\"\n";

#[test]
fn a_webhook_needs_its_section_and_a_token_of_the_instances_own_or_of_all() {
    for (text, complaint) in [
        (WEBHOOK.to_owned(), "instances[0].receive"),
        (format!("{WEBHOOK}[webhook]\n"), "instances[0].webhook_token: is missing"),
        (format!("{WEBHOOK}webhook_token = \"a b\"\n[webhook]\n"), "instances[0].webhook_token: is not"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"\"\n"), "webhook.token: is empty"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"Bearer \"\n"), "webhook.token: is not"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\ntls_key_file = \"/k\"\n"), "webhook.tls_cert_file"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\nlisten = \"8080\"\n"), "webhook.listen"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\npublic_url = \"example.com\"\n"), "webhook.public_url"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\nbuffered_bytes_max = 70000\n"), "buffered_bytes_max"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\nallow_from = [\"green-apy\"]\n"), "webhook.allow_from[0]"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"t\"\ntrusted_proxies = [\"green-api\"]\n"), "trusted_proxies[0]"),
    ] {
        let told = problem(&text);
        assert!(told.contains(complaint), "{complaint}: {told}");
    }
    for (text, expected) in [
        (format!("{WEBHOOK}webhook_token = \"Bearer own\"\n[webhook]\n"), "own"),
        (format!("{WEBHOOK}[webhook]\ntoken = \"all\"\n"), "all"),
    ] {
        let config = load(&text, &[]).expect("valid");
        let Receive::Webhook { token } = &config.instances[0].receive else { panic!("{text}") };
        assert_eq!(token.expose_secret(), expected);
    }
}

#[test]
fn who_may_call_is_addresses_networks_and_green_api() {
    let webhook = |words: &str| {
        let text = format!("{SMALLEST}[webhook]\nallow_from = {words}\n");
        load(&text, &[]).expect("valid").webhook.expect("there").allow_from
    };
    let allowed = webhook("[\"green-api\", \"10.1.2.3/8\", \"2001:db8::1\"]");
    assert_eq!(allowed.len(), 23);
    for (address, is_allowed) in [
        ("51.250.84.44", true),
        ("207.154.255.195", true),
        ("10.9.9.9", true),
        ("2001:db8::1", true),
        ("51.250.84.45", false),
    ] {
        let address: std::net::IpAddr = address.parse().expect("an address");
        assert_eq!(allowed.iter().any(|network| network.contains(&address)), is_allowed, "{address}");
    }
    assert!(webhook("[]").is_empty());
}
