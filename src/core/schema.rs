//! The contract in machine-readable form: JSON Schema of the event and of the configuration, AsyncAPI of the topics.
//!
//! All of it is generated from the types that are serialised and parsed, including their doc comments, so it cannot
//! differ from the code. Copies are kept under `deploy/schemas/`. A test compares them.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde_json::{Value, json};

use crate::config;
use chatbridge_event::event::KindName;
use chatbridge_event::record;

mod async_api;
mod config_reference;

pub use async_api::async_api;
pub use config_reference::{ConfigKey, config_keys, config_reference};

/// The JSON Schema (draft 2020-12) of a record's value.
#[must_use]
pub fn event() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(never_null);
    let mut schema = settings.into_generator().into_root_schema_for::<record::Value>();
    schema.insert("$id".to_owned(), record::EVENT_SCHEMA.into());
    schema.insert("title".to_owned(), "chatbridge event, v1".into());
    schema.insert("allOf".to_owned(), KindName::ALL.iter().filter_map(|kind| block_of(*kind)).collect());
    schema.to_value()
}

/// The JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn config() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(never_null);
    let mut schema = config::schema(settings.into_generator());
    schema.insert("$id".to_owned(), "urn:chatbridge:config:v1".into());
    schema.insert("title".to_owned(), "chatbridge configuration".into());
    schema.to_value()
}

/// Requires the block that belongs to an event of this kind.
fn block_of(kind: KindName) -> Option<Value> {
    let block = kind.block()?;
    Some(json!({
        "if": {"properties": {"kind": {"const": kind.as_str()}}},
        "then": {"required": [block]},
    }))
}

/// An `Option` is absent rather than null in a record, and TOML has no null.
fn never_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.ensure_object().extend(only);
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    transform_subschemas(&mut never_null, schema);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reasons_of_dead_letters_are_the_words_of_their_header() {
        use chatbridge_event::event::DeadLetterReason::*;
        let schema = schemars::schema_for!(chatbridge_event::event::DeadLetterReason).to_value().to_string();
        for reason in [NotJson, NotUtf8, NoBody, TooLong, TooLarge, Refused, UnknownType] {
            assert!(schema.contains(&format!("\"{}\"", reason.as_str())), "{reason:?}");
        }
    }
}
