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

/// The flat form of GREEN-API's journals, and the same event in the form of a notification.
#[test]
fn a_flat_body_becomes_what_the_same_notification_becomes() {
    for (flat, notification) in [
        (
            r#"{"type":"incoming","idMessage":"A","timestamp":1,"typeMessage":"textMessage","chatId":"7900@c.us",
                "senderId":"7900@c.us","senderName":"Vera","senderContactName":"","textMessage":"hi"}"#,
            r#"{"typeWebhook":"incomingMessageReceived","idMessage":"A","timestamp":1,"senderData":{"chatId":"7900@c.us",
                "sender":"7900@c.us","senderName":"Vera"},
                "messageData":{"typeMessage":"textMessage","textMessageData":{"textMessage":"hi"}}}"#,
        ),
        (
            r#"{"type":"incoming","idMessage":"A","typeMessage":"locationMessage","chatId":"7900@c.us","senderId":"7900@c.us",
                "location":{"nameLocation":"Mill","latitude":1,"longitude":2},"isForwarded":true,"forwardingScore":3}"#,
            r#"{"typeWebhook":"incomingMessageReceived","idMessage":"A","senderData":{"chatId":"7900@c.us",
                "sender":"7900@c.us"},"messageData":{"typeMessage":"locationMessage","locationMessageData":
                {"nameLocation":"Mill","latitude":1,"longitude":2,"isForwarded":true,"forwardingScore":3}}}"#,
        ),
        (
            r#"{"type":"outgoing","idMessage":"A","typeMessage":"extendedTextMessage","chatId":"7900@c.us","sendByApi":true,
                "extendedTextMessage":{"text":"yes","stanzaId":"B","participant":"7901@c.us"}}"#,
            r#"{"typeWebhook":"outgoingAPIMessageReceived","idMessage":"A","senderData":{"chatId":"7900@c.us"},
                "messageData":{"typeMessage":"extendedTextMessage","extendedTextMessageData":
                {"text":"yes","stanzaId":"B","participant":"7901@c.us"}}}"#,
        ),
        (
            r#"{"type":"outgoing","idMessage":"A","typeMessage":"reactionMessage","chatId":"-70","chatType":"group",
                "sendByApi":false,"extendedTextMessage":{"text":"👍","stanzaId":"B","participant":"71"}}"#,
            r#"{"typeWebhook":"outgoingMessageReceived","idMessage":"A","senderData":{"chatId":"-70","chatType":"group"},
                "messageData":{"typeMessage":"reactionMessage","extendedTextMessageData":{"text":"👍"},
                "quotedMessage":{"stanzaId":"B","participant":"71"}}}"#,
        ),
        (
            r#"{"type":"incoming","idMessage":"A","typeMessage":"deletedMessage","chatId":"7900@c.us","isDeleted":true,
                "deletedMessageId":"B"}"#,
            r#"{"typeWebhook":"incomingMessageReceived","idMessage":"A","chatId":"7900@c.us",
                "messageData":{"typeMessage":"deletedMessage","deletedMessageData":{"stanzaId":"B"}}}"#,
        ),
        (
            r#"{"type":"outgoing","idMessage":"A","typeMessage":"outgoingCall","chatId":"7900@c.us","isVideo":true,
                "isGroup":true,"status":"pickUp","duration":7,"participants":[{"id":"7900@c.us","status":"pickUp"}]}"#,
            r#"{"typeWebhook":"outgoingCall","idMessage":"A","from":"7900@c.us","isVideo":true,"isGroup":true,
                "status":"pickUp","duration":7,"participants":[{"id":"7900@c.us","status":"pickUp"}]}"#,
        ),
    ] {
        let (flat, notification) = (event(flat), event(notification));
        assert_eq!(flat.kind, notification.kind);
        assert_eq!(flat.upstream_type, notification.upstream_type);
        assert_eq!((flat.chat, flat.sender, flat.time), (notification.chat, notification.sender, notification.time));
    }
}

#[test]
fn what_only_the_flat_form_says_of_a_message_is_kept() {
    let message = |rest: &str| match event(&format!(r#"{{"type":"outgoing","idMessage":"A",{rest}}}"#)).kind {
        Kind::Message(message) => *message,
        kind => panic!("a message became {kind:?}"),
    };
    let text = message(r#""typeMessage":"textMessage","statusMessage":"pending","isEdited":true,"isDeleted":false"#);
    assert_eq!((text.state, text.status.as_deref()), (Some(DeliveryState::Pending), Some("pending")));
    assert_eq!((text.edited, text.deleted, text.origin), (Some(true), Some(false), Origin::Unknown));
    // Of an edit these would be said of the message that was edited.
    let edit = message(r#""typeMessage":"editedMessage","editedMessageId":"B","isEdited":true"#);
    assert_eq!((edit.edited, edit.state), (None, None));
}

#[test]
fn a_body_is_flat_only_where_it_says_whose_side_it_is_from_and_what_it_is() {
    for body in [
        r#"{"type":"incoming","chatId":"7900@c.us"}"#,
        r#"{"typeMessage":"textMessage","textMessage":"hi"}"#,
        r#"{"type":"sideways","typeMessage":"textMessage"}"#,
        r#"{"typeWebhook":"somethingNew","type":"incoming","typeMessage":"textMessage"}"#,
    ] {
        assert_eq!(event(body).kind, Kind::Unknown, "{body}");
    }
}

#[test]
fn a_groups_id_is_never_that_of_a_person() {
    let chat_type = |id: &str, word: &str| {
        let body = format!(r#"{{"senderData":{{"chatId":"{id}","chatType":"{word}"}}}}"#);
        event(&body).chat.expect("a chat").chat_type
    };
    for (id, word, expected) in [
        ("-70000001", "user", ChatType::Group),
        ("-70000001", "bot", ChatType::Group),
        ("-70000001", "channel", ChatType::Channel),
        ("-1001234567890", "supergroup", ChatType::Supergroup),
        ("-70000001", "crowd", ChatType::Group),
        ("120363000000000001@g.us", "user", ChatType::Group),
        ("10000055", "user", ChatType::Private),
        ("10000055", "bot", ChatType::Bot),
        ("10000055", "group", ChatType::Group),
    ] {
        assert_eq!(chat_type(id, word), Some(expected), "{id} {word}");
    }
}

#[test]
fn a_template_keeps_the_place_of_each_parameter() {
    let found = content(
        r#"{"typeMessage":"templateMessage","templateMessage":{"templateId":"T","params":["Vera","",7,null]}}"#,
    );
    assert_eq!(found["params"], json(r#"["Vera","","7",""]"#));
}
