//! What instances say, and what the doctor makes of it.

use std::time::Duration;

use super::*;
use crate::config;
use chatbridge_event::event::InstanceId;

fn config() -> Config {
    let file =
        std::env::temp_dir().join(format!("chatbridge-doctor-{}-{:x}.toml", std::process::id(), fastrand::u64(..)));
    std::fs::write(&file, "[[green_api.instances]]\nid = 1101000001\ntoken = \"abc\"\n").expect("writable");
    let config = config::load(Some(&file), []).expect("valid");
    drop(std::fs::remove_file(file));
    config
}

fn instance(api_url: &str) -> Instance {
    Instance {
        id: InstanceId::new(1_101_000_001),
        token: "canary".to_owned().into(),
        api_url: api_url.parse().expect("an address"),
        receive_timeout: Duration::from_secs(20),
        receive: crate::config::Receive::Poll,
    }
}

/// As an instance in good order answers.
fn well() -> Examined {
    let on = ESSENTIAL.iter().map(|(switch, _, _)| (*switch).to_owned()).collect();
    let settings = Settings { on, off: ["deviceWebhook".to_owned()].into(), ..Settings::default() };
    Examined { state: Some("authorized".to_owned()), settings, queue_depth: Some(3) }
}

fn judged(examined: &Examined, config: &Config) -> Vec<Finding> {
    judge(&instance("https://1101.api.green-api.com"), &Ok(examined.clone()), config)
}

#[test]
fn an_instance_in_good_order_is_well() {
    let findings = judged(&well(), &config());
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Well), "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.subject == "instance 1101000001"), "{findings:#?}");
}

#[test]
fn every_state_has_its_verdict() {
    use Verdict::{Broken, Warning, Well};
    for (word, verdict) in [
        (Some("authorized"), Well),
        (Some("notAuthorized"), Broken),
        (Some("blocked"), Broken),
        (Some("starting"), Warning),
        (Some("sleepMode"), Warning),
        (Some("yellowCard"), Warning),
        (Some("suspended"), Warning),
        (Some("pendingPassword"), Broken),
        (Some("pendingCode"), Broken),
        (Some("brandNew"), Warning),
        (None, Warning),
    ] {
        let finding = state("x", word);
        assert_eq!(finding.verdict, verdict, "{word:?}");
        assert_eq!(finding.fix.is_some(), verdict != Well, "{finding:?}");
    }
}

#[test]
fn settings_that_keep_the_queue_empty_are_named() {
    let config = config();
    let mut pushing = well();
    pushing.settings.webhook_url = Some("https://hooks.invalid".into());
    let findings = judged(&pushing, &config);
    assert!(findings.iter().any(|f| f.verdict == Verdict::Broken && f.found.contains("webhookUrl")), "{findings:#?}");

    let mut one_off = well();
    one_off.settings.on.remove("incomingCallWebhook");
    one_off.settings.off.insert("incomingCallWebhook".to_owned());
    let of_calls = |config: &Config| judged(&one_off, config).into_iter().find(|f| f.found.contains("incomingCall"));
    assert_eq!(of_calls(&config).map(|finding| finding.verdict), Some(Verdict::Warning));
    let mut without_calls = config.clone();
    without_calls.calls.publish = CallPolicy::None;
    assert_eq!(of_calls(&without_calls), None, "nobody misses what is not published");
    let mut dropping = config.clone();
    dropping.events.drop = vec!["incomingCall".to_owned()];
    assert_eq!(of_calls(&dropping), None, "nor what is dropped");

    let mut silent = well();
    let on = std::mem::take(&mut silent.settings.on);
    silent.settings.off.extend(on);
    let findings = judged(&silent, &config);
    let all_off = findings.iter().find(|f| f.found.contains("nothing ever comes")).expect("a finding");
    assert_eq!(all_off.verdict, Verdict::Broken);
    assert!(all_off.fix.as_deref().is_some_and(|fix| fix.contains("incomingWebhook (messages from contacts)")));

    dropping.events.drop = ESSENTIAL.iter().map(|(_, kind, _)| (*kind).to_owned()).collect();
    let findings = judged(&silent, &dropping);
    let all_off = findings.iter().find(|f| f.found.contains("nothing ever comes")).expect("a finding");
    assert_eq!(all_off.verdict, Verdict::Warning, "what is dropped anyway is not missed");
    assert!(all_off.fix.as_deref().is_some_and(|fix| !fix.trim_end().ends_with(':')), "{all_off:?}");
}

#[test]
fn a_backlog_of_hours_is_a_warning() {
    let config = config();
    for (depth, verdict) in [
        (None, Verdict::NotChecked),
        (Some(0), Verdict::Well),
        (Some(194_399), Verdict::Well),
        (Some(194_400), Verdict::Warning),
    ] {
        assert_eq!(queue("x", depth, &config).verdict, verdict, "{depth:?}");
    }
}

#[test]
fn what_cannot_be_asked_is_the_configurations_fault_or_not() {
    use Verdict::{Broken, Misconfigured};
    let misconfigured = |class| QueueError::Misconfigured { class, fix: "do this", detail: "HTTP 4xx".to_owned() };
    let waiting = |class| QueueError::Waiting { class, fix: "do that", detail: "HTTP 400".to_owned() };
    let away = QueueError::Unreachable { class: "connection", detail: "refused".to_owned() };
    let generic = "https://api.green-api.com";
    let own = "https://1101.api.green-api.com";
    for (failure, api_url, verdict, names_the_shard) in [
        (misconfigured("unauthorized"), generic, Misconfigured, false),
        (misconfigured("forbidden"), generic, Misconfigured, true),
        (misconfigured("not_found"), "https://7105.api.green-api.com", Misconfigured, true),
        (misconfigured("not_found"), own, Misconfigured, false),
        (misconfigured("webhook_url_set"), own, Broken, false),
        (waiting("expired"), own, Broken, false),
        (waiting("quota"), own, Broken, false),
        (away.clone(), own, Broken, false),
        (away, "https://7105.api.green-api.com", Broken, true),
    ] {
        let findings = judge(&instance(api_url), &Err(failure.clone()), &config());
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].verdict, verdict, "{failure:?} {api_url}");
        let told = format!("{findings:?}");
        assert_eq!(told.contains("https://1101.api.green-api.com"), names_the_shard, "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn a_token_that_travels_unencrypted_is_a_warning() {
    for (api_url, warned) in
        [("http://1101.api.green-api.com", true), ("http://127.0.0.1:1", false), ("https://green-api.com", false)]
    {
        let findings = judge(&instance(api_url), &Ok(well()), &config());
        assert_eq!(findings.iter().any(|finding| finding.found.contains("unencrypted")), warned, "{api_url}");
    }
}
