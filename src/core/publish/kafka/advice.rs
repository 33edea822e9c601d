//! What an operator can do about a failing connection, chosen by librdkafka's error message.

/// A broker hangs up this soon on a client that should have logged in. A broker that restarts was connected for longer.
const HANGS_UP_WITHIN_MS: u64 = 1000;

/// Words that must all occur, and the advice for them. The first row that fits counts.
const FIXES: &[(&[&str], &str)] = &[
    (
        &["mechanism handshake failed"],
        "set sasl.mechanism in [kafka.properties] to one of those that the brokers support",
    ),
    (
        &["SASL authentication"],
        "look at sasl.username and sasl.password in [kafka.properties], and whether that user is one of sasl.mechanism",
    ),
    (
        &["certificate verify failed"],
        "set ssl.ca.location in [kafka.properties] to the certificate of the authority that signed the brokers' \
         certificates, and name the brokers in kafka.brokers as these do",
    ),
    (&["alert bad certificate"], CLIENT_CERTIFICATE),
    (&["alert certificate required"], CLIENT_CERTIFICATE),
    (&["alert certificate unknown"], CLIENT_CERTIFICATE),
    (&["alert unknown ca"], CLIENT_CERTIFICATE),
    (
        &["PLAINTEXT broker listener"],
        "nobody speaks TLS at this port: name the port that does in kafka.brokers, or set security.protocol in \
         [kafka.properties] to SASL_PLAINTEXT or PLAINTEXT",
    ),
    (
        &["closed by peer", "in state APIVERSION_QUERY"],
        "this port may be one for TLS: set security.protocol in [kafka.properties] to SASL_SSL, or to SSL where nobody \
         logs in",
    ),
];

const CLIENT_CERTIFICATE: &str = "the brokers want a client's certificate and got none they trust: set \
                                  ssl.certificate.location and ssl.key.location in [kafka.properties] to one signed by \
                                  an authority of theirs";

const LOGIN: &str = "this port may want a login: set security.protocol in [kafka.properties] to SASL_SSL (SASL_PLAINTEXT \
                     without TLS), and sasl.mechanism, sasl.username and sasl.password";

/// The advice for `reason`, if there is any.
#[must_use]
pub fn fix(reason: &str) -> Option<&'static str> {
    let fits = |words: &&[&str]| words.iter().all(|word| reason.contains(word));
    let known = FIXES.iter().find(|(words, _)| fits(words)).map(|(_, fix)| *fix);
    known.or_else(|| hung_up_on(reason).then_some(LOGIN))
}

/// Whether the other side closed a connection that had just come up: "(after 12ms in state UP)".
fn hung_up_on(reason: &str) -> bool {
    let Some((before, _)) = reason.split_once("ms in state UP") else { return false };
    let up_ms = before.rsplit_once("(after ").and_then(|(_, ms)| ms.parse::<u64>().ok());
    up_ms.is_some_and(|ms| ms < HANGS_UP_WITHIN_MS)
}

#[cfg(test)]
mod tests {
    use super::fix;

    #[test]
    fn librdkafkas_words_lead_to_what_helps() {
        for (reason, helps) in [
            ("SASL authentication error: Authentication failed: Invalid username or password", "sasl.password"),
            ("SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL mechanism", "sasl.mechanism"),
            ("SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker", "ssl.ca.location"),
            ("Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate", "ssl.certificate.location"),
            (
                "Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener?",
                "nobody speaks TLS",
            ),
            ("Disconnected: connection closed by peer (after 1ms in state APIVERSION_QUERY)", "SASL_SSL, or to SSL"),
            ("Disconnected: SSL connection closed by peer (after 12ms in state UP, 1 identical …)", "may want a login"),
        ] {
            assert!(fix(reason).is_some_and(|fix| fix.contains(helps)), "{reason}: {:?}", fix(reason));
        }
    }

    #[test]
    fn what_needs_no_change_of_the_configuration_gets_no_advice() {
        for reason in [
            "1/1 brokers are down",
            "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
            "Disconnected: connection closed by peer (after 600123ms in state UP)",
            "",
        ] {
            assert_eq!(fix(reason), None, "{reason}");
        }
    }
}
