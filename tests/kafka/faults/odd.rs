//! Events out of the ordinary, and where each has to end up.

/// Where an event has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lands {
    /// In the topic, its body exactly as it came.
    Whole,
    /// In the topic, without its thumbnails.
    Reduced,
    /// In the dead letters, its body exactly as it came.
    Letter,
    /// In the dead letters, cut to what the broker takes.
    CutLetter,
}

/// One such event.
#[derive(Clone, Debug)]
pub(crate) struct Odd {
    /// Somewhere in its first 200 bytes, and nowhere else.
    pub(crate) marker: String,
    pub(crate) body: Vec<u8>,
    pub(crate) lands: Lands,
    /// Of the record; `None`: the instance's.
    pub(crate) key: Option<String>,
}

impl Odd {
    /// `body` gets the marker where it says `MARK`, and a chat of its own where it says `CHAT`.
    pub(crate) fn new(lands: Lands, body: impl Into<Vec<u8>>) -> Self {
        let number = fastrand::u64(100_000_000..1_000_000_000);
        let (marker, chat) = (format!("ODD-{number}"), format!("7555{number}@c.us"));
        let body = body.into();
        let has_chat = find(&body, b"CHAT").is_some();
        let body = replace(&replace(&body, b"MARK", marker.as_bytes()), b"CHAT", chat.as_bytes());
        assert!(find(&body[..body.len().min(200)], marker.as_bytes()).is_some(), "the marker comes first");
        let is_readable = matches!(lands, Lands::Whole | Lands::Reduced)
            || serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok();
        Self { marker, body, lands, key: Some(chat).filter(|_| has_chat && is_readable) }
    }

    /// An incoming message with this text, word for word JSON.
    pub(crate) fn text(lands: Lands, text: &str) -> Self {
        Self::new(
            lands,
            format!(
                r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"MARK","timestamp":{},"senderData":{{"chatId":"CHAT","sender":"CHAT"}},"messageData":{{"typeMessage":"textMessage","textMessageData":{{"textMessage":"{text}"}}}}}}"#,
                super::stage::now_ms() / 1000
            ),
        )
    }
}

/// Text that does not compress, so that its size is what the broker sees.
pub(crate) fn noise(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}

/// Where `needle` begins.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn replace(hay: &[u8], needle: &[u8], with: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(hay.len());
    let mut rest = hay;
    while let Some(at) = find(rest, needle) {
        made.extend_from_slice(&rest[..at]);
        made.extend_from_slice(with);
        rest = &rest[at + needle.len()..];
    }
    made.extend_from_slice(rest);
    made
}
