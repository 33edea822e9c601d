//! `kafka.brokers`: host:port, several separated by commas. librdkafka passes over in silence what it cannot read, and
//! then there are no brokers; so everything else is refused here, with the spelling that is meant.

use std::net::Ipv6Addr;

use crate::config::secrets::is_invisible;

const PORT: &str = "9092";

/// The brokers of this list, without white space.
///
/// # Errors
/// In words, everything that is wrong with it, each with what would be right.
pub fn broker_list(text: &str) -> Result<String, Vec<String>> {
    if text.trim().is_empty() {
        return Err(vec!["name at least one broker as host:port".to_owned()]);
    }
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut wrong: Vec<String> =
        brokers.iter().filter(|broker| !broker.is_empty()).filter_map(|broker| check(broker).err()).collect();
    if brokers.iter().any(|broker| broker.is_empty()) {
        wrong.push("there is a comma too many: nothing stands before or behind it".to_owned());
    }
    if wrong.is_empty() { Ok(brokers.join(",")) } else { Err(wrong) }
}

fn check(broker: &str) -> Result<(), String> {
    if let Some(invisible) = broker.chars().find(|character| is_invisible(*character) && !character.is_whitespace()) {
        return Err(format!("holds the invisible character U+{:04X}: type it anew", u32::from(invisible)));
    }
    if broker.contains('@') {
        // Not quoted: there may be a password in it.
        return Err("holds an @: who logs in belongs into kafka.properties, as sasl.username and sasl.password".into());
    }
    if is_address(broker) {
        return Ok(());
    }
    Err(match meant(broker) {
        Some(Meant { brokers, protocol: Some(protocol) }) => format!(
            "`{broker}` is not host:port: write `{brokers}`, and set security.protocol to {protocol} in \
             kafka.properties"
        ),
        Some(Meant { brokers, protocol: None }) => format!("`{broker}` is not host:port: write `{brokers}`"),
        None => format!("`{broker}` is not host:port, such as kafka.example.com:{PORT}"),
    })
}

/// What somebody had in mind.
struct Meant {
    brokers: String,
    protocol: Option<&'static str>,
}

fn meant(broker: &str) -> Option<Meant> {
    let is_between = |character: char| matches!(character, ';' | '|') || character.is_whitespace();
    let mut protocol = None;
    let mut brokers = Vec::new();
    for one in broker.split(is_between).map(|one| one.trim_matches(['"', '\''])).filter(|one| !one.is_empty()) {
        let address = match one.split_once("://") {
            Some((scheme, address)) => {
                protocol = protocol.or_else(|| security_protocol(scheme));
                address
            }
            None => one,
        };
        brokers.push(with_port(address.split('/').next().unwrap_or_default())?);
    }
    (!brokers.is_empty()).then(|| Meant { brokers: brokers.join(","), protocol })
}

/// The address as it has to be written, with Kafka's usual port where there is none.
fn with_port(address: &str) -> Option<String> {
    if let Some((host, port)) = address.rsplit_once(':').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok()) {
        return Some(format!("[{host}]:{port}")).filter(|address| is_address(address));
    }
    let host = if address.parse::<Ipv6Addr>().is_ok() { format!("[{address}]") } else { address.to_owned() };
    [address.to_owned(), format!("{}:{PORT}", host.trim_end_matches(':'))].into_iter().find(|one| is_address(one))
}

fn security_protocol(scheme: &str) -> Option<&'static str> {
    match scheme.to_ascii_lowercase().as_str() {
        "ssl" | "tls" | "kafkas" | "kafka+ssl" | "kafka+tls" => Some("SSL"),
        "sasl_ssl" | "sasl+ssl" | "kafka+sasl+ssl" => Some("SASL_SSL"),
        "sasl_plaintext" | "sasl" => Some("SASL_PLAINTEXT"),
        _ => None,
    }
}

/// A host's name or number, and a port.
fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // Behind a % there is the interface, which only this machine knows.
        Some(number) => number.split('%').next().is_some_and(|number| number.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    is_port && is_host
}

#[cfg(test)]
mod tests {
    use super::broker_list;

    #[test]
    fn addresses_pass_and_lose_their_white_space() {
        for (text, expected) in [
            ("localhost:9092", "localhost:9092"),
            (" a:1, b-2.example.com:65535\n", "a:1,b-2.example.com:65535"),
            ("[::1]:9092,[fe80::1%eth0]:9092", "[::1]:9092,[fe80::1%eth0]:9092"),
            ("10.0.0.1:9092,my_broker:9092", "10.0.0.1:9092,my_broker:9092"),
        ] {
            assert_eq!(broker_list(text), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn whatever_else_is_refused_with_the_spelling_that_is_meant() {
        for (text, expected) in [
            ("", "name at least one"),
            (" , ", "a comma too many"),
            ("a:1,", "a comma too many"),
            ("a:1,,b:2", "a comma too many"),
            ("localhost", "write `localhost:9092`"),
            ("localhost:", "write `localhost:9092`"),
            ("ssl://localhost:9093", "write `localhost:9093`, and set security.protocol to SSL"),
            ("SASL_SSL://a:1", "write `a:1`, and set security.protocol to SASL_SSL"),
            ("kafka://localhost:9092", "write `localhost:9092`"),
            ("PLAINTEXT://localhost", "write `localhost:9092`"),
            ("http://a:1/topic", "write `a:1`"),
            ("a:1;b:2", "write `a:1,b:2`"),
            ("a:1 b:2", "write `a:1,b:2`"),
            ("a:1;b", "write `a:1,b:9092`"),
            ("ssl://a:1;ssl://b:2", "write `a:1,b:2`, and set security.protocol to SSL"),
            ("\"a:1\"", "write `a:1`"),
            ("::1:9092", "write `[::1]:9092`"),
            ("2001:db8::1", "`2001:db8::1` is not host:port: write `["),
            ("[::1]", "write `[::1]:9092`"),
            ("a:0", "is not host:port"),
            ("a:65536", "is not host:port"),
            ("a:+1", "is not host:port"),
            ("a:9092:1", "is not host:port"),
            (":9092", "is not host:port"),
            ("бр:9092", "is not host:port"),
            ("\u{FEFF}a:1", "invisible character U+FEFF"),
            ("a\u{200B}:1", "invisible character U+200B"),
        ] {
            let wrong = broker_list(text).expect_err(text);
            assert!(wrong.len() == 1 && wrong[0].contains(expected), "{text}: {wrong:?}");
        }
        let wrong = broker_list("a,b:1,c:").expect_err("two of three");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn a_password_in_the_list_is_not_told() {
        let wrong = broker_list("me:hunter2@a:1").expect_err("a login");
        assert!(!wrong.concat().contains("hunter2") && wrong.concat().contains("sasl.password"), "{wrong:?}");
    }
}
