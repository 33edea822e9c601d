//! How `verify` compares bodies, and works out the key that a record must have.
//!
//! Content is compared in the canonical form of [`chatbridge_base::json`], so any spelling of the same JSON is the same
//! content. That includes half a surrogate pair, numbers of any size and any depth. What is not JSON is compared byte
//! by byte. The instance is part of the content, because two instances may receive the same body.

use serde_json::value::RawValue;

use chatbridge_base::json::Json;
use chatbridge_event::event::EventId;
use chatbridge_lab::oracle::INSTANCE_KEY;

/// The member that is removed if Kafka finds the record too large.
const THUMBNAIL: &str = "jpegThumbnail";

/// A body as the oracle sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// Identifies the content. For JSON this is what the event's `ce_id` has to be.
    pub(super) identity: String,
    /// Identifies the content without preview pictures, if it has any.
    pub(super) without_thumbnails: Option<String>,
    /// The key of its chat.
    pub(super) key: String,
}

impl Content {
    /// Reads the body that `instance` had in its queue, or a record's copy of it.
    #[must_use]
    pub(super) fn of(instance: u64, body: &[u8]) -> Self {
        let json = std::str::from_utf8(body)
            .ok()
            .and_then(|text| serde_json::from_str::<&RawValue>(text).ok())
            .and_then(|raw| Json::parse(raw.get()));
        let Some(mut json) = json else {
            let key = format!("{INSTANCE_KEY}{instance}");
            return Self { identity: identity(instance, body), without_thumbnails: None, key };
        };
        let whole = canonical_identity(instance, &json);
        let key = key(instance, &json);
        let reduced = json.remove_long(THUMBNAIL, 0).then(|| reduced(&canonical_identity(instance, &json)));
        Self { identity: whole, without_thumbnails: reduced, key }
    }

    /// The identity to compare with if this is a copy without preview pictures. Small pictures may have been left in.
    #[must_use]
    pub(super) fn as_reduced(&self) -> String {
        self.without_thumbnails.clone().unwrap_or_else(|| reduced(&self.identity))
    }
}

/// A separate form, so that a whole body is never mistaken for a reduced one.
fn reduced(identity: &str) -> String {
    format!("without thumbnails {identity}")
}

fn canonical_identity(instance: u64, body: &Json) -> String {
    let mut canonical = Vec::new();
    body.write_canonical(&mut canonical);
    identity(instance, &canonical)
}

fn identity(instance: u64, content: &[u8]) -> String {
    EventId::of(&format!("/green-api/{instance}"), content).to_string()
}

/// The chat, from the first of the four places where upstream names it, without a device and in the newer spelling of
/// its domain. The instance if there is no chat.
fn key(instance: u64, body: &Json) -> String {
    let (sender, avatar) = (body.get("senderData"), body.get("avatarInfo"));
    let named = [sender.get("chatId"), body.get("chatId"), body.get("from"), avatar.get("chatId")];
    let Some(chat) = named.into_iter().filter_map(Json::text).find(|chat| !chat.is_empty()) else {
        return format!("{INSTANCE_KEY}{instance}");
    };
    let Some(at) = chat.rfind('@') else { return chat.to_owned() };
    let (mut user, mut domain) = chat.split_at(at);
    if let Some(colon) = user.rfind(':')
        && user[colon + 1..].chars().all(|character| character.is_ascii_digit())
    {
        user = &user[..colon];
    }
    if domain == "@s.whatsapp.net" {
        domain = "@c.us";
    }
    [user, domain].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Content {
        Content::of(1101, body.as_bytes())
    }

    #[test]
    fn spellings_are_one_content_and_all_else_is_another() {
        let id = of(r#"{"a":1.0,"b":["\u0041"]}"#).identity;
        assert_eq!(of("{ \"b\" : [\"A\"], \"a\": 1.00 }").identity, id);
        for other in [r#"{"a":2,"b":["A"]}"#, r#"{"a":1,"b":["A"]"#, r#"{"b":["A"]}"#, ""] {
            assert_ne!(of(other).identity, id, "{other}");
        }
        assert_ne!(Content::of(1102, br#"{"a":1,"b":["A"]}"#).identity, id, "another instance");
        let huge = |digits: &str| of(&format!(r#"{{"id":{digits}}}"#)).identity;
        assert_ne!(huge("123456789012345678901"), huge("123456789012345678902"));
        assert_ne!(of(r#""\ud83d""#).identity, of(r#""""#).identity, "half a character is content");
        assert_ne!(Content::of(1, b"\xff").identity, Content::of(1, b"\xfe").identity);
    }

    #[test]
    fn a_copy_without_pictures_is_found_by_the_whole_and_by_nothing_else() {
        let whole = of(r#"{"id":"A","data":{"jpegThumbnail":"LONGLONG","text":"x"},"quoted":{"jpegThumbnail":"s"}}"#);
        for copy in [
            r#"{"data":{"text":"x"},"id":"A","quoted":{}}"#,
            r#"{"data":{"text":"x"},"id":"A","quoted":{"jpegThumbnail":"s"}}"#,
        ] {
            assert_eq!(Some(of(copy).as_reduced()), whole.without_thumbnails, "{copy}");
        }
        assert_ne!(Some(of(r#"{"data":{"text":"y"},"id":"A","quoted":{}}"#).as_reduced()), whole.without_thumbnails);
        assert_eq!(of(r#"{"id":"A"}"#).without_thumbnails, None);
    }

    #[test]
    fn keys_are_those_of_the_design() {
        for (body, expected) in [
            (r#"{"senderData":{"chatId":"7900@c.us"},"chatId":"1","from":"2"}"#, "7900@c.us"),
            (r#"{"senderData":{"chatId":""},"chatId":"7900:12@s.whatsapp.net"}"#, "7900@c.us"),
            (r#"{"chatId":-69308615655644}"#, "-69308615655644"),
            (r#"{"from":"7900:x@c.us"}"#, "7900:x@c.us"),
            (r#"{"avatarInfo":{"chatId":"120363@g.us"}}"#, "120363@g.us"),
            (r#"{"chatId":null}"#, "instance:1101"),
            ("[]", "instance:1101"),
            ("no JSON", "instance:1101"),
        ] {
            assert_eq!(of(body).key, expected, "{body}");
        }
    }
}
