//! Bodies whose shape could cost more memory than their length tells.

/// So long is each of them, roughly.
const BYTES: usize = 512 * 1024;

/// `piece` again and again, with commas between.
fn list(piece: &str) -> String {
    many(piece, BYTES / (piece.len() + 1))
}

fn many(piece: &str, times: usize) -> String {
    vec![piece; times].join(",")
}

fn nested(open: &str, close: &str) -> String {
    let depth = BYTES / (open.len() + close.len());
    format!("{}0{}", open.repeat(depth), close.repeat(depth))
}

/// JSON, as the whole of a body or as a part of one.
pub(crate) fn values() -> Vec<(&'static str, String)> {
    let keys = |key: &dyn Fn(usize) -> String| {
        let members: Vec<String> = (0..BYTES / (key(BYTES).len() + 5)).map(|n| format!(r#""{}":0"#, key(n))).collect();
        format!("{{{}}}", members.join(","))
    };
    vec![
        ("objects with an empty member", format!("[{}]", list(r#"{"":0}"#))),
        ("empty objects", format!("[{}]", list("{}"))),
        ("empty lists", format!("[{}]", list("[]"))),
        ("a list of digits", format!("[{}]", list("0"))),
        ("a list of empty texts", format!("[{}]", list(r#""""#))),
        ("lists of one", format!("[{}]", list("[0]"))),
        ("lists in lists", nested("[", "]")),
        ("objects in objects", nested(r#"{"":"#, "}")),
        ("lists in lists, all below the depth that is read", format!("[{}]", list(&nested_shortly(60)))),
        ("members of one name", format!("{{{}}}", list(r#""a":0"#))),
        ("members without a name", format!("{{{}}}", list(r#""":0"#))),
        ("members of many names", keys(&|n| format!("{n:x}"))),
        ("long keys", keys(&|n| format!("{n:0>1000}"))),
        ("keys that are nothing but escapes", keys(&|n| format!(r"\u0041\u0042{n:x}"))),
        ("one long key", format!(r#"{{"{}":0}}"#, "k".repeat(BYTES))),
        ("one long text", format!(r#""{}""#, "t".repeat(BYTES))),
        ("a text of escapes", format!(r#""{}""#, r"\u0041".repeat(BYTES / 6))),
        ("a text of escapes that stay", format!(r#""{}""#, r"\u0001".repeat(BYTES / 6))),
        ("a text of half pairs", format!(r#""{}""#, r"\ud83d".repeat(BYTES / 6))),
        ("texts with an escape", format!("[{}]", list(r#""\n""#))),
        ("numbers that grow when they are written", format!("[{}]", list("1e20"))),
        ("one long number", format!("[{}]", "7".repeat(BYTES))),
        ("white space", format!("[{}0]", " ".repeat(BYTES))),
        // As many as are read.
        ("few objects with an empty member", format!("[{}]", many(r#"{"":0}"#, 16_300))),
        ("few digits", format!("[{}]", many("0", 32_000))),
        ("few texts with an escape", format!("[{}]", many(r#""\n""#, 32_000))),
    ]
}

fn nested_shortly(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Bodies of GREEN-API in which what a message is made of comes as often as it can, each as short as it can be.
pub(crate) fn bodies_of_green_api() -> Vec<(String, String)> {
    let message = |type_message: &str, rest: &str| {
        format!(
            r#"{{"typeWebhook":"incomingMessageReceived","senderData":{{"chatId":"1@c.us"}},"messageData":{{"typeMessage":"{type_message}",{rest}}}}}"#
        )
    };
    // Just as many as are read, and far more.
    let of = |name: &str, make: &dyn Fn(&str) -> String, piece: &str| {
        let few = (format!("few {name}"), make(&many(piece, 32_000)));
        [few, (format!("many {name}"), make(&list(piece)))]
    };
    let mut bodies: Vec<(String, String)> = values()
        .into_iter()
        .map(|(name, value)| {
            (format!("beside what is known: {name}"), message("textMessage", &format!(r#""x":{value}"#)))
        })
        .collect();
    for (name, type_message, before, after, piece) in [
        ("contacts", "contactsArrayMessage", r#""messageData":{"contacts":["#, "]}", "{}"),
        ("answers of a poll", "pollMessage", r#""pollMessageData":{"options":["#, "]}", "0"),
        ("votes", "pollUpdateMessage", r#""pollMessageData":{"votes":["#, "]}", "0"),
        ("voters", "pollUpdateMessage", r#""pollMessageData":{"votes":[{"optionVoters":["#, "]}]}", "0"),
        ("buttons", "buttonsMessage", r#""buttonsMessage":{"buttons":["#, "]}", "0"),
        ("buttons of a template", "templateMessage", r#""templateMessage":{"buttons":["#, "]}", "0"),
        ("interactive buttons", "interactiveButtons", r#""interactiveButtons":{"buttons":["#, "]}", "0"),
        ("sections", "listMessage", r#""listMessage":{"sections":["#, "]}", "0"),
        ("rows", "listMessage", r#""listMessage":{"sections":[{"rows":["#, "]}]}", "0"),
        ("participants of a story", "textMessage", r#""extendedTextMessageData":{"participants":["#, "]}", "0"),
    ] {
        bodies.extend(of(name, &|pieces| message(type_message, &[before, pieces, after].concat()), piece));
    }
    let call = |pieces: &str| format!(r#"{{"typeWebhook":"outgoingCall","participants":[{pieces}]}}"#);
    bodies.extend(of("participants of a call", &call, "0"));
    let long = "t".repeat(BYTES);
    let text = message("textMessage", &format!(r#""textMessageData":{{"textMessage":"{long}"}}"#));
    let picture = message("imageMessage", &format!(r#""fileMessageData":{{"jpegThumbnail":"{long}"}}"#));
    bodies.extend([("a long text".to_owned(), text), ("a large preview".to_owned(), picture)]);
    bodies
}

/// What is no body at all.
pub(crate) fn bytes() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("not UTF-8", vec![0xff; BYTES]),
        ("no JSON", vec![b'{'; BYTES]),
        ("broken off", format!("[{}", list(r#"{"":0}"#)).into_bytes()),
        ("nothing but white space", vec![b' '; BYTES]),
        ("zeroes", vec![0; BYTES]),
    ]
}

/// Bodies of ChatApp with as many items as fit, and other ways of having many of something.
pub(crate) fn bodies_of_chatapp() -> Vec<(String, String)> {
    let mut bodies = Vec::new();
    for (name, value) in values() {
        bodies.push((format!("data is {name}"), format!(r#"{{"data":{value},"meta":{{"type":"chatTag"}}}}"#)));
    }
    for event in ["message", "chatTag", "messageReaction", "employeeStatus", "unheard"] {
        let meta = format!(r#""meta":{{"type":"{event}","licenseId":1,"messengerType":"t"}}"#);
        for item in ["{}", "0", r#"{"id":1,"chat":{"id":"2"}}"#] {
            bodies.push((format!("{event}: many {item}"), format!(r#"{{"data":[{}],{meta}}}"#, list(item))));
        }
        let (_, tags) = &values()[0];
        bodies.push((format!("{event}: a large item"), format!(r#"{{"data":[{{"id":1,"tags":{tags}}}],{meta}}}"#)));
    }
    for (name, value) in values() {
        bodies.push((format!("payload is {name}"), format!(r#"{{"payload":{value}}}"#)));
        bodies.push((format!("meta is {name}"), format!(r#"{{"data":[{{}},{{}}],"meta":{value}}}"#)));
        bodies.push((format!("the body is {name}"), value));
    }
    bodies
}
