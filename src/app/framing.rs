//! The form of this run's values. If they are framed, the schema registry is asked first.

use reqwest::Error;
use tracing::{error, info, warn};

use super::REMINDER;
use crate::config::{CloudEventsMode, Config};
use crate::core::schema;
use crate::core::schema_registry::{REFUSED_RETRY, RETRY_MAX, RETRY_MIN, RegistryError, SchemaRegistry, http_client};
use crate::http::is_loopback;
use crate::redact::Redactor;
use crate::reminder::Reminder;
use chatbridge_base::retry::Backoff;
use chatbridge_event::record::ValueForm;

/// The client of the configured schema registry, if there is one.
pub fn registry(config: &Config, redactor: &Redactor) -> Result<Option<SchemaRegistry>, Error> {
    let Some(registry) = &config.schema_registry else { return Ok(None) };
    let http = http_client(registry, is_loopback(&registry.url))?;
    Ok(Some(SchemaRegistry::new(http, registry, redactor.clone())))
}

/// The form of values. With a schema registry, waits for it as for a broker, also after refusals: they are repaired in
/// the registry, without a restart here. Never falls back to plain values.
pub(super) async fn value_form(config: &Config, registry: Option<&SchemaRegistry>) -> ValueForm {
    let Some(registry) = registry else {
        return match config.kafka.cloudevents_mode {
            CloudEventsMode::Binary => ValueForm::Plain,
            CloudEventsMode::Structured => ValueForm::CloudEvent,
        };
    };
    let (topics, schema) = (config.event_topics(), schema::event());
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut reminder = Reminder::every(REMINDER);
    loop {
        let wait = match registry.schema_ids(&topics, &schema).await {
            Ok(ids) => {
                info!(?registry, ?ids, "values are framed with the ids of the schema registry");
                return ValueForm::Framed(ids);
            }
            Err(RegistryError::Unavailable(reason)) => {
                if reminder.is_due() {
                    warn!(
                        ?registry,
                        reason,
                        "the schema registry cannot be used yet; nothing is received from GREEN-API until it can"
                    );
                }
                backoff.next(fastrand::f64())
            }
            // Its wait is also the interval of the reminder.
            Err(RegistryError::Refused(reason) | RegistryError::NotRegistered(reason)) => {
                error!(
                    ?registry,
                    reason,
                    retry_seconds = REFUSED_RETRY.as_secs(),
                    "the schema registry refuses; nothing is received from GREEN-API until that is mended"
                );
                REFUSED_RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
