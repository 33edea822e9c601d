use super::*;
use crate::event::{Content, UpstreamError};

fn event(body: &str) -> Event {
    normalize(InstanceId::new(1101), RawValue::from_string(body.to_owned()).expect("JSON"))
}

fn content(message_data: &str) -> serde_json::Value {
    let body = format!(r#"{{"typeWebhook":"incomingMessageReceived","messageData":{message_data}}}"#);
    match event(&body).kind {
        Kind::Message(message) => serde_json::to_value(message.content).expect("serialisable"),
        kind => panic!("a message became {kind:?}"),
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn every_spelling_of_a_type_gives_its_content() {
    for (words, expected) in [
        (&["textMessage", "TextMessage"][..], "text"),
        (&["extendedTextMessage", "quotedMessage"], "text"),
        (&["imageMessage"], "image"),
        (&["videoMessage"], "video"),
        (&["documentMessage"], "document"),
        (&["audioMessage"], "audio"),
        (&["stickerMessage"], "sticker"),
        (&["locationMessage"], "location"),
        (&["contactMessage", "contactsArrayMessage", "ContactsArrayMessage"], "contacts"),
        (&["pollMessage", "pollCreationMessage"], "poll"),
        (&["pollUpdateMessage"], "poll_vote"),
        (&["reactionMessage"], "reaction"),
        (&["editedMessage"], "edit"),
        (&["deletedMessage"], "deletion"),
        (&["groupInviteMessage"], "group_invite"),
        (&["buttonsMessage"], "buttons"),
        (&["listMessage"], "list"),
        (&["templateMessage"], "template"),
        (&["interactiveButtons", "interactiveButtonsReply", "interactiveButtonReply"], "interactive"),
        (
            &[
                "buttonsResponseMessage",
                "listResponseMessage",
                "ListResponseMessage",
                "templateButtonsReplyMessage",
                "templateButtonReplyMessage",
                "interactiveButtonsResponse",
            ],
            "button_reply",
        ),
        (&["productMessage"], "product"),
        (&["orderMessage"], "order"),
        (&["hologramMessage", ""], "unsupported"),
    ] {
        for word in words {
            assert_eq!(content(&format!(r#"{{"typeMessage":"{word}"}}"#))["type"], expected, "{word}");
        }
    }
    assert_eq!(content("null")["type"], "unsupported");
    assert_eq!(content(r#"["typeMessage"]"#)["type"], "unsupported");
}

#[test]
fn scalars_of_another_type_and_odd_shapes_are_read_or_left_out() {
    for (data, expected) in [
        (r#"{"typeMessage":"textMessage","textMessageData":{"textMessage":42}}"#, r#"{"type":"text","text":"42"}"#),
        (r#"{"typeMessage":"textMessage","textMessageData":{"textMessage":["a"]}}"#, r#"{"type":"text"}"#),
        (r#"{"typeMessage":"textMessage","textMessageData":"a"}"#, r#"{"type":"text"}"#),
        (
            r#"{"typeMessage":"locationMessage","locationMessageData":{"latitude":"1.5","longitude":"east"}}"#,
            r#"{"type":"location","latitude":1.5}"#,
        ),
        (
            r#"{"typeMessage":"pollMessage","pollMessageData":{"options":["Soup",{"optionName":"Salad"},null]}}"#,
            r#"{"type":"poll","options":[{"name":"Soup"},{"name":"Salad"},{}]}"#,
        ),
        (
            r#"{"typeMessage":"groupInviteMessage","groupInviteMessageData":{"inviteExpiration":{"low":-1,"high":1}}}"#,
            r#"{"type":"group_invite","expiration":8589934591}"#,
        ),
        (
            r#"{"typeMessage":"groupInviteMessage","groupInviteMessageData":{"inviteExpiration":{"low":1,"high":9e15}}}"#,
            r#"{"type":"group_invite"}"#,
        ),
        (
            r#"{"typeMessage":"interactiveButtonsReply","interactiveButtonsReply":{"stanzaId":"A","selectedId":"1"}}"#,
            r#"{"type":"button_reply","control":"interactive","message_id":"A","id":"1"}"#,
        ),
        (
            r#"{"typeMessage":"reactionMessage","extendedTextMessageData":{"text":""},"quotedMessage":"A"}"#,
            r#"{"type":"reaction"}"#,
        ),
        (
            r#"{"typeMessage":"productMessage","productMessage":{"title":"T"},"fileMessageData":{"jpegThumbnail":"A"}}"#,
            r#"{"type":"product","title":"T","image":{"thumbnail":"A"}}"#,
        ),
    ] {
        assert_eq!(content(data), json(expected), "{data}");
    }
}

#[test]
fn a_quoted_object_never_lends_its_own_id_to_what_it_points_at() {
    let body = r#"{"typeWebhook":"incomingMessageReceived","messageData":{"typeMessage":"quotedMessage",
        "extendedTextMessageData":{"text":"why?"},
        "quotedMessage":{"stanzaId":"A","typeMessage":"templateButtonsReplyMessage","selectedId":"1"}}}"#;
    let Kind::Message(message) = event(body).kind else { panic!("a message") };
    let quoted = message.quoted.expect("quoted");
    assert_eq!(quoted.message_id.as_deref(), Some("A"));
    let Some(Content::ButtonReply(reply)) = quoted.content else { panic!("a reply") };
    assert_eq!((reply.message_id, reply.id.as_deref()), (None, Some("1")));
}

#[test]
fn a_text_that_only_begins_with_a_marker_is_kept() {
    for (text, kept, code) in [
        ("{{SWE001}}", None, Some("SWE001")),
        ("SWE004: 1000", Some("SWE004: 1000"), Some("SWE004")),
        ("SWE004", Some("SWE004"), None),
    ] {
        let found =
            content(&format!(r#"{{"typeMessage":"textMessage","textMessageData":{{"textMessage":"{text}"}}}}"#));
        assert_eq!((found["text"].as_str(), found["error"]["code"].as_str()), (kept, code), "{text}");
    }
    assert!(UpstreamError::at_start_of("{{SWE004}}").is_some_and(|(error, _)| error.meaning.is_some()));
}

#[test]
fn thumbnails_are_found_wherever_they_can_be() {
    let file = r#"{"jpegThumbnail":"A"}"#;
    for (type_message, object) in [
        ("extendedTextMessage", "extendedTextMessageData"),
        ("imageMessage", "fileMessageData"),
        ("videoMessage", "fileMessageData"),
        ("documentMessage", "fileMessageData"),
        ("audioMessage", "fileMessageData"),
        ("stickerMessage", "fileMessageData"),
        ("locationMessage", "locationMessageData"),
        ("groupInviteMessage", "groupInviteMessageData"),
        ("productMessage", "fileMessageData"),
    ] {
        let body = format!(
            r#"{{"typeWebhook":"incomingMessageReceived","messageData":{{"typeMessage":"{type_message}","{object}":{file}}}}}"#
        );
        let Kind::Message(mut message) = event(&body).kind else { panic!("a message") };
        let shown = |content: &Content| serde_json::to_string(content).expect("serialisable");
        assert!(shown(&message.content).contains("thumbnail"), "{type_message}");
        assert!(message.content.remove_thumbnail() && !message.content.remove_thumbnail(), "{type_message}");
        assert!(!shown(&message.content).contains("thumbnail"), "{type_message}");
    }
}
