//! Makes topics that are missing, where the configuration asks for it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{client_config, plain};
use crate::config::{CreateTopics, Kafka};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Makes those of `names` that are missing, and says which. What exists is left as it is.
///
/// # Errors
/// In words: the first topic that could not be made, and why.
pub async fn create_missing(kafka: &Kafka, how: &CreateTopics, names: &[Arc<str>]) -> Result<Vec<String>, String> {
    let admin: AdminClient<DefaultClientContext> =
        client_config(kafka).create().map_err(|error| format!("topics cannot be created: {}", plain(&error, "")))?;
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| {
            let replication = TopicReplication::Fixed(i32::from(how.replication_factor));
            let topic = NewTopic::new(name, i32::from(how.partitions), replication);
            how.properties.iter().fold(topic, |topic, (property, value)| topic.set(property, value))
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let answers = admin.create_topics(&topics, &options).await.map_err(|error| error.to_string())?;
    let mut made = Vec::new();
    for answer in answers {
        match answer {
            Ok(name) => made.push(name),
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(format!(
                    "topic {name} cannot be created ({code}): do kafka.create_topics' numbers fit the cluster, and may \
                     this user create topics?"
                ));
            }
        }
    }
    Ok(made)
}
