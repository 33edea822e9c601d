//! What differs between the configuration that runs and one that was just read.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};

use super::{Config, Instance};

/// Stands for a configuration, secrets included, without holding any: equal for equal ones. Never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Instance {
    /// Whether a poller of the one would do exactly what a poller of the other does.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }

    fn fingerprint(&self) -> Fingerprint {
        fingerprint(self, self.secrets())
    }
}

impl Config {
    /// Of all of it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let sections = self.sections().map(|(_, section)| section.0);
        let instances: Vec<u64> = self.instances.iter().map(|instance| instance.fingerprint().0).collect();
        fingerprint(&(sections, instances), [])
    }

    /// The parts of `new` that only a restart brings to life; instances are not among them.
    #[must_use]
    pub fn needs_restart_for(&self, new: &Self) -> Vec<&'static str> {
        let changed = self.sections().into_iter().zip(new.sections()).filter(|((_, old), (_, new))| old != new);
        changed.map(|((name, _), _)| name).collect()
    }

    /// Everything but the instances, by the names an operator knows. Values are told apart by what `Debug` shows, so
    /// that no field can be forgotten here; secrets, which it hides, are named one by one.
    fn sections(&self) -> [(&'static str, Fingerprint); 12] {
        let registry_secrets = self.schema_registry.iter().filter_map(|registry| registry.credentials.secret());
        let chatapp_secrets = self.chatapp.iter().flat_map(super::ChatApp::secrets);
        let otlp_secrets = self.tracing.otlp.iter().flat_map(|otlp| otlp.headers.values());
        [
            ("shutdown_timeout_seconds", fingerprint(&self.shutdown_timeout, [])),
            ("config_check_seconds", fingerprint(&self.config_check, [])),
            ("kafka", fingerprint(&self.kafka, self.kafka.properties.values())),
            ("schema_registry", fingerprint(&self.schema_registry, registry_secrets)),
            ("admin", fingerprint(&self.admin, [])),
            ("green_api", fingerprint(&self.green_api, [])),
            ("webhook", fingerprint(&self.webhook, [])),
            ("chatapp", fingerprint(&self.chatapp, chatapp_secrets)),
            ("events", fingerprint(&self.events, [])),
            ("calls", fingerprint(&self.calls, [])),
            ("tracing", fingerprint(&self.tracing, otlp_secrets)),
            ("routing", fingerprint(&self.routing, [])),
        ]
    }
}

fn fingerprint<'s>(value: &impl Debug, secrets: impl IntoIterator<Item = &'s SecretString>) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    format!("{value:?}").hash(&mut hasher);
    for secret in secrets {
        secret.expose_secret().hash(&mut hasher);
    }
    Fingerprint(hasher.finish())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, load};
    use std::io::Write as _;

    const BASE: &str = "[kafka.properties]\n'sasl.password' = 'one'\n[schema_registry]\nurl = 'http://127.0.0.1:1'\n\
                        username = 'u'\npassword = 'p'\n[tracing]\notlp_endpoint = 'http://127.0.0.1:1'\n\
                        otlp_headers.a = 'x'\n[[green_api.instances]]\nid = 1101000001\ntoken = 'aaaa'\n";

    fn config(text: &str) -> Config {
        let path = std::env::temp_dir().join(format!("chatbridge-difference-{:x}", fastrand::u64(..)));
        std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("writable");
        let config = load(Some(&path), []);
        std::fs::remove_file(&path).expect("ours");
        config.unwrap_or_else(|error| panic!("{error}"))
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
}
