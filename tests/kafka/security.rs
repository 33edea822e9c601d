//! The real bridge at a broker as managed Kafka offers it: every way in works, and every wrong way says what to do.

use std::time::Instant;

use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::needs::or_skip;
use crate::support::secured::{Secured, USER};

/// The environment of a bridge with these librdkafka properties.
fn environment(brokers: &str, properties: &[(&str, &str)]) -> Vec<(String, String)> {
    let name = |property: &str| {
        let property = property.to_uppercase().replace('.', "_");
        format!("CHATBRIDGE__KAFKA__PROPERTIES__{property}")
    };
    let mut environment = vec![("CHATBRIDGE__KAFKA__BROKERS".to_owned(), brokers.to_owned())];
    environment.extend(properties.iter().map(|(property, value)| (name(property), (*value).to_owned())));
    environment
}

fn start(scene: &Scene, environment: &[(String, String)], log: &str) -> Bridge {
    let mut all: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    all.push(("RUST_LOG", log));
    Bridge::start(&scene.home, &all)
}

#[test]
#[ignore = "starts a real Kafka"]
fn every_way_in_works_and_every_wrong_one_says_what_to_do() {
    let Some((broker, secured)) = or_skip(Secured::start()) else { return };
    let scene = Scene::around(broker, 1);
    let wrong = "not-the-password";
    let ca = secured.file("ca.pem");
    let (client, client_key) = (secured.file("client.pem"), secured.file("client.key"));
    let (stranger, stranger_key) = (secured.file("stranger.pem"), secured.file("stranger.key"));
    let stranger_ca = secured.file("stranger-ca.pem");
    let tls = [("security.protocol", "SSL"), ("ssl.ca.location", &*ca)];
    let sasl = |mechanism, password| {
        [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &*ca),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", password),
        ]
    };
    let scram_in_clear = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.username", USER),
        ("sasl.password", wrong),
    ];
    let certificate =
        |location, key| [&tls[..], &[("ssl.certificate.location", location), ("ssl.key.location", key)]].concat();

    for (name, brokers, properties) in [
        ("TLS", &secured.ssl, tls.to_vec()),
        ("mTLS", &secured.mtls, certificate(&client, &client_key)),
        ("PLAIN", &secured.sasl_ssl, sasl("PLAIN", &secured.password).to_vec()),
        ("SCRAM-SHA-256", &secured.sasl_ssl, sasl("SCRAM-SHA-256", &secured.password).to_vec()),
        ("SCRAM-SHA-512", &secured.sasl_ssl, sasl("SCRAM-SHA-512", &secured.password).to_vec()),
    ] {
        scene.queue(3);
        let bridge = start(&scene, &environment(brokers, &properties), "trace");
        scene.wait_until_emptied(&bridge);
        assert!(!bridge.log().contains(&secured.password), "{name}: the password is in the log");
        assert!(bridge.terminate().success(), "{name}");
    }

    let certificate_wanted = "set ssl.certificate.location and ssl.key.location";
    for (name, brokers, properties, fix) in [
        (
            "a wrong password",
            &secured.sasl_ssl,
            sasl("PLAIN", wrong).to_vec(),
            "look at sasl.username and sasl.password",
        ),
        (
            "the same",
            &secured.sasl_ssl,
            sasl("SCRAM-SHA-512", wrong).to_vec(),
            "look at sasl.username and sasl.password",
        ),
        ("a mechanism the broker has not got", &secured.sasl_plaintext, scram_in_clear.to_vec(), "set sasl.mechanism"),
        ("an unknown authority", &secured.ssl, vec![tls[0], ("ssl.ca.location", &*stranger_ca)], "set ssl.ca.location"),
        ("no certificate", &secured.mtls, tls.to_vec(), certificate_wanted),
        ("a stranger's certificate", &secured.mtls, certificate(&stranger, &stranger_key), certificate_wanted),
        ("no TLS at a TLS port", &secured.ssl, vec![], "this port may be one for TLS"),
        ("TLS at a port without", &scene.broker.bootstrap(), tls.to_vec(), "nobody speaks TLS at this port"),
        ("no login where one is wanted", &secured.sasl_ssl, tls.to_vec(), "this port may want a login"),
    ] {
        let begun = Instant::now();
        let mut bridge = start(&scene, &environment(brokers, &properties), "info,chatbridge::core::publish=debug");
        let complaint = bridge.wait("complaint", |bridge| complaints(bridge).first().cloned());
        // Once a minute, however often it is tried: and it is tried again now.
        let heard = |bridge: &Bridge| bridge.log().matches("\"librdkafka\"").count();
        let before = heard(&bridge);
        bridge.wait("another try", |bridge| (heard(bridge) >= before + 4).then_some(()));
        let minutes = begun.elapsed().as_secs() / 60;
        assert!(complaints(&bridge).len() as u64 <= 1 + minutes, "{name}:\n{}", bridge.log());
        let said = complaint["fix"].as_str().unwrap_or_default();
        assert!(said.contains(fix), "{name}: {complaint:#}");
        let log = bridge.log();
        assert!(!log.contains(wrong) && !log.contains(&secured.password), "{name}: the password is in the log");
        assert!(bridge.terminate().success(), "{name}");
        eprintln!("{name}: {said}");
    }
}

/// What was logged as a warning or an error.
fn complaints(bridge: &Bridge) -> Vec<Value> {
    let log = bridge.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| matches!(line["level"].as_str(), Some("WARN" | "ERROR"))).collect()
}
