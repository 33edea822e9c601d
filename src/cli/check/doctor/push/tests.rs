//! Where instances push to, and what the doctor makes of it.

use super::*;
use crate::config;

const ID: u64 = 1_101_000_001;
const OURS: &str = "canary0ours";
const THEIRS: &str = "canary0theirs";

fn config(public_url: Option<&str>) -> Config {
    let file =
        std::env::temp_dir().join(format!("chatbridge-push-{}-{:x}.toml", std::process::id(), fastrand::u64(..)));
    let public_url = public_url.map(|url| format!("public_url = \"{url}\"\n")).unwrap_or_default();
    let text = format!(
        "[webhook]\ntoken = \"{OURS}\"\n{public_url}[[green_api.instances]]\nid = {ID}\ntoken = \"abc\"\nreceive = \"webhook\"\n"
    );
    std::fs::write(&file, text).expect("writable");
    let config = config::load(Some(&file), []).expect("valid");
    drop(std::fs::remove_file(file));
    config
}

fn settings(url: &str, token: &str) -> Settings {
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned().into());
    Settings { webhook_url: set(url), webhook_url_token: set(token), ..Settings::default() }
}

/// Verdicts, the body, and all of it as text.
fn judged(config: &Config, settings: &Settings) -> (Vec<Verdict>, SetSettings, String) {
    let mut body = SetSettings::new();
    let findings = judge("x", &config.instances[0], settings, config, &mut body);
    let told = format!("{findings:?} {body:?}");
    assert!(!told.contains(OURS) && !told.contains(THEIRS), "{told}");
    (findings.iter().map(|finding| finding.verdict).collect(), body, told)
}

#[test]
fn a_webhook_url_leads_here_or_does_not() {
    let named = "https://bridge.example";
    for (public_url, webhook_url, place) in [
        (Some(named), "https://bridge.example/green-api/1101000001", Some(Verdict::Well)),
        (Some(named), "https://bridge.example:443/green-api", Some(Verdict::Well)),
        (Some(named), " https://BRIDGE.example/green-api/ ", Some(Verdict::Well)),
        (Some(named), "https://bridge.example/green-api/1101000001?from=green-api", Some(Verdict::Well)),
        (Some("https://bridge.example/"), "https://bridge.example/green-api/1101000001", Some(Verdict::Well)),
        (Some("https://bridge.example/in"), "https://bridge.example/in/green-api/1101000001", Some(Verdict::Well)),
        (Some("https://bridge.example/in"), "https://bridge.example/green-api/1101000001", None),
        (Some(named), "https://bridge.example/in/green-api/1101000001", None),
        (Some(named), "https://bridge.example/green-api/1101000002", None),
        (Some(named), "https://bridge.example/green-api/1101000001/", None),
        (Some(named), "https://bridge.example", None),
        (Some(named), "http://bridge.example/green-api/1101000001", None),
        (Some(named), "https://bridge.example:8443/green-api/1101000001", None),
        (Some(named), "https://other.example/green-api/1101000001", None),
        (Some(named), "bridge.example/green-api", None),
        (Some("http://bridge.example"), "http://bridge.example/green-api", Some(Verdict::Warning)),
        (Some("http://127.0.0.1:8080"), "http://127.0.0.1:8080/green-api", Some(Verdict::Well)),
        (None, "https://anywhere.example/green-api/1101000001", Some(Verdict::Well)),
        (None, "https://anywhere.example/some/where/green-api", Some(Verdict::Well)),
        (None, "http://anywhere.example/green-api", Some(Verdict::Warning)),
        (None, "http://localhost:8080/green-api/1101000001", Some(Verdict::Well)),
        (None, "https://anywhere.example/green-api/1101000002", None),
        (None, "https://anywhere.example/hooks", None),
        (None, "ftp://anywhere.example/green-api", None),
    ] {
        let config = config(public_url);
        let (verdicts, body, told) = judged(&config, &settings(webhook_url, &format!("Bearer {OURS}")));
        assert_eq!(verdicts, [place.unwrap_or(Verdict::Broken)], "{public_url:?} {webhook_url}: {told}");
        assert_eq!(body.contains_key("webhookUrl"), place.is_none(), "{public_url:?} {webhook_url}: {body:?}");
    }
}

#[test]
fn what_is_set_elsewhere_is_told_by_its_host_and_no_more() {
    let (_, _, told) = judged(&config(None), &settings("https://u:pw@other.example/T0KEN?key=hunter2", OURS));
    assert!(told.contains("https://other.example,"), "{told}");
    assert!(!told.contains("T0KEN") && !told.contains("hunter2") && !told.contains("pw"), "{told}");
}

#[test]
fn a_token_is_equal_or_not_whatever_its_scheme() {
    let config = config(Some("https://bridge.example"));
    let url = "https://bridge.example/green-api/1101000001";
    for (token, well) in [
        (OURS.to_owned(), true),
        (format!("Bearer {OURS}"), true),
        (format!("Basic {OURS}"), true),
        (THEIRS.to_owned(), false),
        (format!("{OURS}x"), false),
        (String::new(), false),
    ] {
        let (verdicts, body, _) = judged(&config, &settings(url, &token));
        assert_eq!(verdicts, [if well { Verdict::Well } else { Verdict::Broken }], "{token}");
        assert_eq!(body.keys().collect::<Vec<_>>(), if well { vec![] } else { vec![&"webhookUrlToken"] }, "{token}");
    }
}

#[test]
fn the_body_sets_what_is_wrong_and_names_where_the_token_stands() {
    let (verdicts, body, _) = judged(&config(Some("https://bridge.example/")), &settings("", ""));
    assert_eq!(verdicts, [Verdict::Broken, Verdict::Broken]);
    assert_eq!(body["webhookUrl"], "https://bridge.example/green-api/1101000001");
    assert!(body["webhookUrlToken"].starts_with("<webhook_token of this instance"), "{body:?}");
    let (_, body, _) = judged(&config(None), &settings("", OURS));
    assert!(body["webhookUrl"].starts_with("https://<"), "{body:?}");

    let mut polled = config(None);
    polled.instances[0].receive = Receive::Poll;
    let (verdicts, body, _) = judged(&polled, &settings("https://other.example", THEIRS));
    assert_eq!(verdicts, [Verdict::Broken]);
    assert_eq!(body, [("webhookUrl", String::new()), ("webhookUrlToken", String::new())].into());
    assert_eq!(judged(&polled, &settings("", THEIRS)).0, [], "a token alone is in nobody's way");
}

#[test]
fn what_only_the_outside_can_tell_is_said_where_somebody_is_pushed() {
    let mut config = config(Some("https://bridge.example"));
    let finding = listener(&config).expect("one");
    assert_eq!(finding.verdict, Verdict::NotChecked);
    assert!(finding.fix.is_some_and(|fix| fix.contains("'https://bridge.example/green-api/1101000001'")));
    config.instances[0].receive = Receive::Poll;
    assert_eq!(listener(&config), None);
}
