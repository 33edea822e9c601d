//! The JSON Schema of what consumers read.

use serde_json::{Value, json};

use crate::record::EVENT_SCHEMA;

/// The schema of an event record's value.
#[must_use]
pub fn event_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": EVENT_SCHEMA,
        "title": "chatbridge event",
        "type": "object",
        "required": ["id", "kind", "source"],
        "properties": {
            "id": { "type": "string" },
            "kind": { "type": "string" },
            "time": { "type": "string" },
            "source": { "type": "object" },
            "chat": { "type": "object" },
            "sender": { "type": "object" },
        },
    })
}
