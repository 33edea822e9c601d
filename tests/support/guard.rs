//! A broker that asks who is there and what they may: SASL, and rights that a test gives and takes away as it runs.
//!
//! Made of broker properties and of the bridge's environment, so that it goes with everything else:
//!
//! ```ignore
//! let guard = Guard::new();
//! let scene = Scene::new(1, &strs(&guard.properties()))?;
//! guard.allow(&scene.broker, &[write(TOPIC), describe(TOPIC)]);
//! let bridge = Bridge::start(&scene.home, &strs(&guard.environment()));
//! guard.revoke(&scene.broker, &[write(TOPIC)]);
//! ```

use super::broker::{Broker, free_port, further_listeners};
use super::java::run_program;

/// Who logs in at a guarded broker.
pub(crate) const USER: &str = "bridge";

/// A SASL listener beside the plain one, and a password.
///
/// Whoever comes by the plain listener ([`Broker::bootstrap`]) may do everything: that is how tests read topics and
/// change rights. Who logs in may do what [`Guard::allow`] allowed.
#[derive(Debug)]
pub(crate) struct Guard {
    port: u16,
    password: String,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { port: free_port(), password: format!("{:032x}", fastrand::u128(..)) }
    }

    /// For [`Broker::start_with`].
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let address = self.bootstrap();
        let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let mut properties = further_listeners(&[("SASL_PLAINTEXT", self.port, &address)]).to_vec();
        properties.extend([
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
            ("super.users", "User:ANONYMOUS".to_owned()),
            ("sasl.enabled.mechanisms", "PLAIN".to_owned()),
            (
                "listener.name.sasl_plaintext.plain.sasl.jaas.config",
                format!("{login} user_{USER}=\"{}\";", self.password),
            ),
        ]);
        properties
    }

    /// `host:port` of the SASL listener.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The password of [`USER`]: to be searched for where it must not be.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// What makes a bridge log in here.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CHATBRIDGE__KAFKA__BROKERS", self.bootstrap()),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_PLAINTEXT".to_owned()),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN".to_owned()),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_USERNAME", USER.to_owned()),
            ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", self.password.clone()),
        ]
    }

    /// Gives [`USER`] rights; they hold within a moment of the return.
    pub(crate) fn allow(&self, broker: &Broker, rights: &[String]) {
        change(broker, "allow", rights);
    }

    /// Takes away rights that were given, each written as it was.
    pub(crate) fn revoke(&self, broker: &Broker, rights: &[String]) {
        change(broker, "revoke", rights);
    }
}

/// To write to a topic, which in Kafka includes to describe it.
pub(crate) fn write(topic: &str) -> String {
    format!("TOPIC:{topic}:WRITE")
}

/// To see a topic.
pub(crate) fn describe(topic: &str) -> String {
    format!("TOPIC:{topic}:DESCRIBE")
}

/// Properties and environments are made of owned values and taken as borrowed ones.
pub(crate) fn strs<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn change(broker: &Broker, verb: &str, rights: &[String]) {
    let bootstrap = broker.bootstrap();
    let mut arguments = vec![bootstrap.as_str(), verb, USER];
    arguments.extend(rights.iter().map(String::as_str));
    run_program("JavaAcl.java", &arguments).unwrap_or_else(|error| panic!("{verb} {rights:?}: {error}"));
}
