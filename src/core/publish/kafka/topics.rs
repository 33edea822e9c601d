//! Creates missing topics, if the configuration asks for it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{client_config, drop_elsewhere, plain};
use crate::config::{CreateTopics, Kafka};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates topics on one cluster. Dropping it blocks until a thread ends, so a task uses [`TopicMaker::end`] instead.
pub struct TopicMaker {
    admin: AdminClient<DefaultClientContext>,
    how: CreateTopics,
}

/// The result of creating missing topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The topics that exist now.
    pub names: Vec<String>,
    /// The first topic that could not be created, and why, in words.
    pub trouble: Option<String>,
}

impl TopicMaker {
    /// Does not wait for the brokers.
    ///
    /// # Errors
    /// In words, if librdkafka refuses the configuration.
    pub fn new(kafka: &Kafka, how: CreateTopics) -> Result<Self, String> {
        let made = client_config(kafka).create();
        let admin = made.map_err(|error| format!("topics cannot be created: {}", plain(&error, "")))?;
        Ok(Self { admin, how })
    }

    /// Creates those of `names` that are missing. Existing topics are not changed.
    ///
    /// # Errors
    /// In words, if no broker answered.
    pub async fn create_missing(&self, names: &[Arc<str>]) -> Result<Made, String> {
        let how = &self.how;
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| {
                let replication = TopicReplication::Fixed(i32::from(how.replication_factor));
                let topic = NewTopic::new(name, i32::from(how.partitions), replication);
                how.properties.iter().fold(topic, |topic, (property, value)| topic.set(property, value))
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let answers = self.admin.create_topics(&topics, &options).await.map_err(|error| error.to_string())?;
        Ok(sorted(answers))
    }

    /// How topics are created.
    #[must_use]
    pub fn how(&self) -> &CreateTopics {
        &self.how
    }

    /// Ends it without blocking the calling task.
    pub fn end(self) {
        drop_elsewhere(self);
    }
}

fn sorted(answers: Vec<TopicResult>) -> Made {
    let mut made = Made::default();
    for answer in answers {
        match answer {
            Ok(name) => made.names.push(name),
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                made.trouble.get_or_insert_with(|| {
                    format!(
                        "topic {name} cannot be created ({code}): do kafka.create_topics' numbers fit the cluster, and \
                         may this user create topics?"
                    )
                });
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::Instant;

    use super::*;
    use crate::config::CloudEventsMode;

    #[test]
    fn nobody_waits_for_the_end_of_a_maker() {
        let how = CreateTopics { partitions: 1, replication_factor: 1, properties: BTreeMap::new() };
        let kafka = Kafka {
            brokers: "127.0.0.1:9".to_owned(),
            topic: "chat-events".into(),
            dead_letter_topic: "chat-events-dlq".into(),
            cloudevents_mode: CloudEventsMode::default(),
            create_topics: None,
            properties: BTreeMap::new(),
        };
        let waits = (0..5).map(|_| {
            let maker = TopicMaker::new(&kafka, how.clone()).expect("a client");
            let began = Instant::now();
            maker.end();
            began.elapsed()
        });
        // The thread wakes every 100 ms. Only the shortest wait counts, because the machine may be busy.
        assert!(waits.min().is_some_and(|wait| wait < Duration::from_millis(50)));
    }

    #[test]
    fn one_topic_that_fails_hides_none_that_was_made() {
        let failed = |name: &str, code| Err((name.to_owned(), code));
        let made = sorted(vec![
            Ok("a".to_owned()),
            failed("b", Code::InvalidReplicationFactor),
            failed("there", Code::TopicAlreadyExists),
            Ok("c".to_owned()),
            failed("d", Code::TopicAuthorizationFailed),
        ]);
        assert_eq!(made.names, ["a", "c"]);
        assert!(made.trouble.is_some_and(|trouble| trouble.starts_with("topic b cannot be created")));
    }
}
