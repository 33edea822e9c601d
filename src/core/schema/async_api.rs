//! The AsyncAPI 3.0 document: both topics, one message per kind, keys and headers with their Kafka bindings.

use serde_json::{Map, Value, json};

use chatbridge_event::event::{DeadLetterReason, KindName};
use chatbridge_event::record::dead_letter::{MARK_REASON, MARKED_LETTER};
use chatbridge_event::record::{EVENT_SCHEMA, RecordFactory};

/// The version of the Kafka binding that the document uses.
const KAFKA_BINDING: &str = "0.5.0";

const CE_SOURCE: &str = "/green-api/ and the instance; /chatapp/ and licence/messenger, companies/ and the company, or users/ and the user.";

/// The AsyncAPI document, with the topics' default names.
#[must_use]
pub fn async_api() -> Value {
    let topics = RecordFactory::default();
    let kinds = || KindName::ALL.iter().map(|kind| kind.as_str());
    let mut messages: Map<String, Value> =
        KindName::ALL.iter().map(|kind| (kind.as_str().to_owned(), message(*kind))).collect();
    messages.insert("dead_letter".to_owned(), dead_letter());
    messages.insert("dead_letter_replayed".to_owned(), dead_letter_replayed());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "chatbridge",
            "version": "v1",
            "description": "Chat notifications in Kafka: at least once, in order per chat. A repeated event carries the same ce_id.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "chat-events": channel(&topics.topic, "Every event, keyed by chat. Kinds may be routed to topics of their own.", kinds()),
            "chat-events-dlq": channel(&topics.dead_letter_topic, "What could not be published as an event, byte for byte; and marks behind those that were replayed.", ["dead_letter", "dead_letter_replayed"]),
        },
        "operations": {
            "publishEvent": operation("chat-events", kinds()),
            "publishDeadLetter": operation("chat-events-dlq", ["dead_letter", "dead_letter_replayed"]),
        },
        "components": {"messages": messages, "schemas": schemas()},
    })
}

fn channel<'a>(topic: &str, description: &str, messages: impl IntoIterator<Item = &'a str>) -> Value {
    let messages: Map<String, Value> =
        messages.into_iter().map(|name| (name.to_owned(), reference(&format!("components/messages/{name}")))).collect();
    json!({
        "address": topic,
        "description": description,
        "messages": messages,
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA_BINDING}},
    })
}

fn operation<'a>(channel: &str, messages: impl IntoIterator<Item = &'a str>) -> Value {
    let messages: Vec<Value> =
        messages.into_iter().map(|name| reference(&format!("channels/{channel}/messages/{name}"))).collect();
    json!({"action": "send", "channel": reference(&format!("channels/{channel}")), "messages": messages})
}

fn message(kind: KindName) -> Value {
    let kind_is = json!({"type": "object", "properties": {"kind": {"const": kind.as_str()}}, "required": kind.block().as_slice()});
    json!({
        "name": ce_type(kind),
        "title": kind.as_str(),
        "contentType": "application/json",
        "headers": event_headers(kind),
        "payload": {"allOf": [reference("components/schemas/Event"), kind_is]},
        "bindings": {"kafka": {"key": key(), "bindingVersion": KAFKA_BINDING}},
    })
}

fn ce_type(kind: KindName) -> String {
    format!("chatbridge.{}.v1", kind.as_str())
}

/// CloudEvents 1.0, Kafka binding, binary mode.
fn event_headers(kind: KindName) -> Value {
    json!({
        "type": "object",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "format": "uuid", "description": "The same for every repeat of the event."},
            "ce_source": {"type": "string", "description": CE_SOURCE},
            "ce_type": {"const": ce_type(kind)},
            "ce_dataschema": {"const": EVENT_SCHEMA},
            "ce_subject": {"type": "string", "description": "The chat as upstream names it; absent where there is none."},
            "ce_time": {"type": "string", "format": "date-time", "description": "When it happened, where upstream says so."},
            "content-type": {"const": "application/json"},
            "traceparent": traceparent(),
            "ce_traceparent": traceparent(),
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_dataschema", "content-type"],
    })
}

/// Present if the bridge is configured to write it.
fn traceparent() -> Value {
    json!({
        "type": "string",
        "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$",
        "description": "W3C Trace Context, where tracing.traceparent is set. The trace is ce_id without its hyphens.",
    })
}

fn key() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "description": "The chat, one spelling per chat. Where an event has no chat: instance: and the instance; of ChatApp company:, user: or license: and what it is of.",
    })
}

fn dead_letter() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "name": "chatbridge.dead_letter",
        "title": "dead_letter",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                "reason": without_ref_siblings(schemars::schema_for!(DeadLetterReason).to_value()),
                "error": text("The reason in words, without content."),
                "instance": text("GREEN-API: the instance it was received for."),
                "attempts": text("How often publishing was tried."),
                "first_seen": {"type": "string", "format": "date-time", "description": "When it was received."},
                "topic": text("Where it would have gone."),
                "receipt_id": text("The receipt it was handed out with."),
                "truncated_from_bytes": text("How long it was, where the value is only its beginning."),
                "ce_id": text("The event's id, or an id of the bytes."),
                "ce_source": text(CE_SOURCE),
                "ce_specversion": {"const": "1.0"},
                "ce_type": text("The event's type, where it could be read as one."),
                "ce_subject": text("The chat as upstream names it, where it could be read."),
                "ce_time": {"type": "string", "format": "date-time", "description": "When it happened, where it could be read."},
                "traceparent": traceparent(),
                "ce_traceparent": traceparent(),
            },
            "required": ["reason", "error", "attempts", "first_seen", "topic", "ce_id", "ce_source"],
        },
        "payload": {"description": "The bytes as they came; they need not be JSON."},
        "bindings": {"kafka": {"key": key(), "bindingVersion": KAFKA_BINDING}},
    })
}

/// The mark written after a dead letter was replayed.
fn dead_letter_replayed() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "name": "chatbridge.dead_letter_replayed",
        "title": "dead_letter_replayed",
        "summary": "A mark, not a letter: readers of dead letters skip it.",
        "headers": {
            "type": "object",
            "properties": {
                "reason": {"const": MARK_REASON},
                MARKED_LETTER: text("Partition and offset of the letter, as partition/offset."),
                "topic": text("Where its event went."),
                "ce_id": text("The event's id."),
            },
            "required": ["reason", MARKED_LETTER, "topic"],
        },
        "payload": {"description": "Empty."},
        "bindings": {"kafka": {"key": key(), "bindingVersion": KAFKA_BINDING}},
    })
}

/// The event's schema and its parts, as AsyncAPI's own schema language (draft 7) reads them.
fn schemas() -> Value {
    let mut event = without_ref_siblings(super::event());
    let mut schemas = Map::new();
    if let Some(event) = event.as_object_mut() {
        for keyword in ["$schema", "$id"] {
            event.remove(keyword);
        }
        if let Some(Value::Object(parts)) = event.remove("$defs") {
            schemas = parts;
        }
    }
    schemas.insert("Event".to_owned(), event);
    Value::Object(schemas)
}

/// Before draft 2019-09, everything beside a `$ref` was ignored.
fn without_ref_siblings(schema: Value) -> Value {
    match schema {
        Value::Object(members) => {
            let alone = members.len() == 1;
            let mut rewritten = Map::new();
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("$schema", _) if !alone => {}
                    ("$ref", Value::String(target)) => {
                        let part = reference(&target.replace("#/$defs/", "components/schemas/"));
                        if alone {
                            return part;
                        }
                        rewritten.insert("allOf".to_owned(), json!([part]));
                    }
                    (_, value) => {
                        rewritten.insert(name, without_ref_siblings(value));
                    }
                }
            }
            Value::Object(rewritten)
        }
        Value::Array(items) => items.into_iter().map(without_ref_siblings).collect(),
        scalar => scalar,
    }
}

fn reference(target: &str) -> Value {
    json!({"$ref": format!("#/{target}")})
}
