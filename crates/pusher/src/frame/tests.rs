use super::*;
use proptest::prelude::*;

fn event(channel: Option<&str>, event: &str, data: &str) -> ServerFrame {
    let (channel, event, data) = (channel.map(str::to_owned), event.to_owned(), data.to_owned());
    ServerFrame::Application(Received::Event { channel, event, data })
}

#[test]
fn data_is_taken_as_string_as_value_and_as_nothing() {
    for (data, expected) in [
        (r#","data":"{\"data\":[1]}""#, r#"{"data":[1]}"#),
        (r#","data":{"data": [1]}"#, r#"{"data": [1]}"#),
        (r#","data":"not JSON""#, "not JSON"),
        (r#","data":null"#, "null"),
        ("", "null"),
        (r#","data":12345678901234567890123"#, "12345678901234567890123"),
        (r#","data":"half a pair \\ud83d""#, r"half a pair \ud83d"),
    ] {
        let text = format!(r#"{{"event":"message","channel":"private-a"{data}}}"#);
        assert_eq!(decode(&text), event(Some("private-a"), "message", expected), "{text}");
    }
}

#[test]
fn names_are_kept_as_they_are_on_the_wire() {
    let text = r#"{"event":"App\\Events\\Shipped","data":"{}","user_id":"7","later":[1]}"#;
    assert_eq!(decode(text), event(None, r"App\Events\Shipped", "{}"));
}

#[test]
fn the_servers_words_in_every_dialect() {
    let error = |code, message: &str, channel: Option<&str>| ServerError {
        code,
        message: message.to_owned(),
        channel: channel.map(str::to_owned),
    };
    let established = |seconds| ServerFrame::Established {
        socket_id: "123.456".to_owned(),
        activity_timeout: Some(Duration::from_secs(seconds)),
    };
    for (text, expected) in [
        (
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"123.456\",\"activity_timeout\":30}"}"#,
            established(30),
        ),
        (
            r#"{"event":"pusher:connection_established","data":{"socket_id":"123.456","activity_timeout":"120"}}"#,
            established(120),
        ),
        (
            r#"{"event":"pusher:error","data":{"code":4001,"message":"no such key"}}"#,
            ServerFrame::Error(error(Some(4001), "no such key", None)),
        ),
        (
            r#"{"event":"pusher:error","data":"{\"code\":4009,\"message\":\"Connection is unauthorized\"}"}"#,
            ServerFrame::Error(error(Some(4009), "Connection is unauthorized", None)),
        ),
        (
            r#"{"event":"pusher:error","data":{"code":null,"message":"Existing subscription to channel a"}}"#,
            ServerFrame::Error(error(None, "Existing subscription to channel a", None)),
        ),
        (
            r#"{"event":"pusher:error","channel":"a","data":{"type":"ServerError","error":"oh\n"}}"#,
            ServerFrame::Error(error(None, "oh ", Some("a"))),
        ),
        (
            r#"{"event":"pusher:subscription_error","channel":"a","data":{"type":"AuthError","error":"no","status":401}}"#,
            ServerFrame::NotSubscribed { channel: "a".to_owned(), error: error(Some(401), "no", Some("a")) },
        ),
        (
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"a"}"#,
            ServerFrame::Subscribed { channel: "a".to_owned() },
        ),
        (
            r#"{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"a"}"#,
            ServerFrame::Subscribed { channel: "a".to_owned() },
        ),
        (r#"{"event":"pusher:ping"}"#, ServerFrame::Ping),
        (r#"{"event":"pusher:pong","data":{}}"#, ServerFrame::Pong),
        (
            r#"{"event":"pusher:signin_success","data":"{}"}"#,
            ServerFrame::Unknown { event: "pusher:signin_success".to_owned() },
        ),
    ] {
        assert_eq!(decode(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_frame_is_handed_on_as_it_came() {
    for text in ["", "hello", "[]", r#"["message"]"#, "{}", r#"{"event":1}"#, r#"{"event":"a""#, r#"{"data":{}}"#] {
        assert_eq!(decode(text), ServerFrame::Application(Received::Unreadable { bytes: text.into() }), "{text}");
    }
    let deep = format!(r#"{{"event":"a","data":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(decode(&deep), ServerFrame::Application(Received::Event { .. })));
}

#[test]
fn our_own_frames_are_what_servers_read() {
    let auth = Auth::new("k:00".to_owned());
    let channel = "private-\"a\"".to_owned();
    for (frame, expected) in [
        (ClientFrame::Ping, r#"{"data":{},"event":"pusher:ping"}"#),
        (ClientFrame::Pong, r#"{"data":{},"event":"pusher:pong"}"#),
        (
            ClientFrame::Subscribe { channel: channel.clone(), auth },
            r#"{"data":{"auth":"k:00","channel":"private-\"a\""},"event":"pusher:subscribe"}"#,
        ),
        (ClientFrame::Unsubscribe { channel }, r#"{"data":{"channel":"private-\"a\""},"event":"pusher:unsubscribe"}"#),
    ] {
        assert_eq!(frame.encode(), expected);
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC*") {
        let _ = decode(&text);
    }

    #[test]
    fn nothing_shaped_like_a_frame_makes_it_panic(
        event in prop::sample::select(vec![
            "pusher:connection_established", "pusher:error", "pusher:subscription_error", "pusher:ping",
            "pusher_internal:subscription_succeeded", "pusher_internal:", "message",
        ]),
        channel in prop::option::of("\\PC{0,20}"),
        data in "\\PC{0,40}|(\\{\"(code|status|message|socket_id|activity_timeout)\":(-?[0-9]{1,30}|\"\\PC{0,9}\"|null|-?1e[0-9]{1,4})\\})",
        as_string in any::<bool>(),
    ) {
        let data = if as_string { serde_json::to_string(&data).expect("a string") } else { data };
        let channel = channel.map(|channel| format!(",\"channel\":{}", json!(channel))).unwrap_or_default();
        let _ = decode(&format!("{{\"event\":\"{event}\"{channel},\"data\":{data}}}"));
    }

    /// However the server wraps it, the application's text arrives as it was sent.
    #[test]
    fn an_events_text_survives_being_wrapped(
        name in "[a-zA-Z.\\\\-]{1,20}",
        channel in "[-a-zA-Z0-9_=@,.;]{1,164}",
        data in "\\PC{0,200}",
    ) {
        let text = json!({"event": name, "channel": channel, "data": data}).to_string();
        prop_assert_eq!(decode(&text), event(Some(&channel), &name, &data));
    }
}
