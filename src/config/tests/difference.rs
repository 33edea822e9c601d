//! What of another configuration needs a restart.

use super::*;

const BASE: &str = "[kafka.properties]\n'sasl.password' = 'one'\n[schema_registry]\nurl = 'http://127.0.0.1:1'\n\
                    username = 'u'\npassword = 'p'\n[tracing]\notlp_endpoint = 'http://127.0.0.1:1'\n\
                    otlp_headers.a = 'x'\n[[green_api.instances]]\nid = 1101000001\ntoken = 'aaaa'\n";

fn config(text: &str) -> Config {
    load(text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_needs_a_restart_is_named_and_an_instance_does_not() {
    let base = config(BASE);
    for (change, named) in [
        (("", ""), None),
        (("'one'", "'two'"), Some("kafka")),
        (("'p'", "'q'"), Some("schema_registry")),
        (("[kafka.prop", "shutdown_timeout_seconds = 7\n[kafka.prop"), Some("shutdown_timeout_seconds")),
        (("[kafka.prop", "[calls]\npublish = 'none'\n[kafka.prop"), Some("calls")),
        (("[kafka.prop", "[events]\ninclude_raw = false\n[kafka.prop"), Some("events")),
        (("[kafka.prop", "[routing]\ncall = 'calls'\n[kafka.prop"), Some("routing")),
        (("[kafka.prop", "[webhook]\nconnections_max = 9\n[kafka.prop"), Some("webhook")),
        (("'x'", "'y'"), Some("tracing")),
        (("[tracing]", "[tracing]\ntraceparent = true"), Some("tracing")),
        (("[kafka.prop", "[chatapp]\nrefresh_token = 'r'\n[kafka.prop"), Some("chatapp")),
        (("[kafka.prop", "[admin]\nlisten = '127.0.0.1:1'\n[kafka.prop"), Some("admin")),
        (("[[green", "[green_api]\nretry_min_ms = 7\n[[green"), Some("green_api")),
    ] {
        let changed = config(&BASE.replacen(change.0, change.1, 1));
        assert_eq!(base.needs_restart_for(&changed), named.into_iter().collect::<Vec<_>>(), "{change:?}");
        assert_eq!(base.fingerprint() == changed.fingerprint(), named.is_none(), "{change:?}");
        assert!(base.instances[0].is_same(&changed.instances[0]), "{change:?}");
    }
}

#[test]
fn chatapp_differs_by_each_of_its_secrets() {
    const CHATAPP: &str = "[webhook]\n[chatapp]\nemail = 'a@b'\npassword = 'p'\napp_id = 'i'\n\
                           access_token = 'a'\nrefresh_token = 'r'\ncallback_secret = 'cccccccccccccccc'\n";
    let base = config(&format!("{CHATAPP}[admin]\n"));
    for change in [("a@b", "c@d"), ("'p'", "'q'"), ("'a'", "'z'"), ("'r'", "'z'"), ("'cc", "'dd"), ("'i'", "'j'")] {
        let changed = config(&CHATAPP.replacen(change.0, change.1, 1));
        assert_eq!(base.needs_restart_for(&changed), ["chatapp"], "{change:?}");
    }
}

#[test]
fn an_instance_differs_by_its_token_too() {
    let base = config(BASE);
    for change in
        [("'aaaa'", "'bbbb'"), ("1101000001", "1101000002"), ("'aaaa'", "'aaaa'\nreceive_timeout_seconds = 9")]
    {
        let changed = config(&BASE.replacen(change.0, change.1, 1));
        assert!(base.needs_restart_for(&changed).is_empty(), "{change:?}");
        assert_ne!(base.fingerprint(), changed.fingerprint(), "{change:?}");
        assert!(!base.instances[0].is_same(&changed.instances[0]), "{change:?}");
    }
}

#[test]
fn an_instance_differs_by_how_it_is_received_and_by_its_webhook_token() {
    let webhook = format!("[webhook]\n{BASE}");
    let tokens = ["'cccc'", "'dddd'"].map(|token| {
        config(&webhook.replacen("'aaaa'", &format!("'aaaa'\nreceive = 'webhook'\nwebhook_token = {token}"), 1))
    });
    let polled = config(&webhook);
    let [polled, one, two] = [&polled, &tokens[0], &tokens[1]].map(|config| &config.instances[0]);
    assert!(!polled.is_same(one) && !one.is_same(two) && one.is_same(one));
}
