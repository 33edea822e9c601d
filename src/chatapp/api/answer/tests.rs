use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after: None, bytes: body.as_bytes().to_vec(), complete: true }
}

fn success(data: &str) -> Answer {
    answer(200, &format!(r#"{{"success":true,"data":{data}}}"#))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

#[test]
fn an_error_says_what_comes_next_whatever_the_status() {
    let coded =
        |code: &str| format!(r#"{{"success":false,"error":{{"code":"{code}","message":"79001234567 hunter2"}}}}"#);
    let invalid = coded("ApiInvalidTokenError");
    let other = coded("ApiSomethingError");
    for (status, body, expected) in [
        (403, &*invalid, "invalid"),
        (401, &*invalid, "invalid"),
        (200, &*invalid, "invalid"),
        (400, &*invalid, "invalid"),
        (500, &*invalid, "invalid"),
        (401, "", "invalid"),
        (401, "<html>", "invalid"),
        (403, "", "refused 403"),
        (403, "Forbidden", "refused 403"),
        (403, &*other, "refused 403 ApiSomethingError"),
        (422, &*other, "refused 422 ApiSomethingError"),
        (200, &*other, "refused 200 ApiSomethingError"),
        (404, "<html>", "refused 404"),
        (301, "", "refused 301"),
        (429, "slow down", "limited"),
        (408, "", "timeout"),
        (504, "", "timeout"),
        (500, "<html>hunter2</html>", "server_error"),
        (502, "", "server_error"),
        (503, &*other, "server_error"),
        (100, "", "unexpected"),
        (200, "", "not_json"),
        (200, "<html>hunter2</html>", "not_json"),
        (200, r#"{"success":true,"data":"#, "not_json"),
        (200, "[]", "not_json"),
        (200, "null", "not_json"),
        (200, r#"{"success":true}"#, "unexpected"),
        (200, r#"{"success":true,"data":null}"#, "unexpected"),
        (200, r#"{"success":true,"data":{"items":null}}"#, "unexpected"),
        (200, r#"{"success":true,"data":"hunter2"}"#, "unexpected"),
    ] {
        let error = messages(&answer(status, body), 100).expect_err("no page");
        let found = match &error {
            ApiError::InvalidToken => "invalid".to_owned(),
            ApiError::RateLimited { .. } => "limited".to_owned(),
            ApiError::Unreachable { class, .. } => (*class).to_owned(),
            ApiError::Refused { status, code, .. } => format!("refused {status} {code}").trim_end().to_owned(),
        };
        assert_eq!(found, expected, "{status} {body}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("hunter2") && !told.contains("7900"), "what people wrote is not repeated: {told}");
    }
    let invalid_utf8 = Answer { bytes: b"{\"success\":true,\"data\":[\"\xff\"]}".to_vec(), ..answer(200, "") };
    assert!(matches!(messages(&invalid_utf8, 100), Err(ApiError::Unreachable { class: "not_json", .. })));
    let cut = Answer { complete: false, ..success("[]") };
    let error = messages(&cut, 100).expect_err("half a page is none");
    assert!(error.to_string().contains("response_bytes_max"), "{error}");
    let limited = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(429, "") };
    let expected = ApiError::RateLimited { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(messages(&limited, 100).expect_err("limited"), expected);
}

#[test]
fn a_code_is_repeated_only_where_it_looks_like_one() {
    for (code, expected) in [
        ("\"ApiBadRequest.x_1-2\"", "ApiBadRequest.x_1-2"),
        ("42", "42"),
        ("\"79001234567\"", ""),
        ("79001234567", ""),
        ("\"Hello there\"", ""),
        ("\"\"", ""),
        ("null", ""),
        ("{}", ""),
        (&format!("\"{}\"", "x".repeat(65)), ""),
    ] {
        let body = format!(r#"{{"success":false,"error":{{"code":{code}}}}}"#);
        let Err(ApiError::Refused { code: found, .. }) = data(&answer(400, &body)) else { panic!("{body}") };
        assert_eq!(found, expected, "{body}");
    }
    for body in [r#"{"error":"ApiInvalidTokenError"}"#, r#"{"error":["x"]}"#, r#"{"error":7}"#] {
        assert!(matches!(data(&answer(200, body)), Err(ApiError::Refused { .. })), "{body}");
    }
}

#[test]
fn tokens_come_with_their_ends_as_numbers_or_texts() {
    for body in [
        r#"{"cabinetUserId":685,"accessToken":"a.$/1","accessTokenEndTime":1700000000,"refreshToken":"r","refreshTokenEndTime":1700086400}"#,
        r#"{"cabinetUserId":"685","accessToken":"a.$/1","accessTokenEndTime":"1700000000","refreshToken":"r","refreshTokenEndTime":"1700086400","more":[]}"#,
    ] {
        let granted = granted(&success(body)).expect("a pair");
        assert_eq!(granted.access.expose_secret(), "a.$/1");
        assert_eq!(granted.refresh.as_ref().map(|token| token.expose_secret()), Some("r"));
        assert_eq!((granted.access_ends, granted.refresh_ends), (Some(at(1_700_000_000)), Some(at(1_700_086_400))));
        assert_eq!(granted.cabinet_user.as_deref(), Some("685"));
        assert!(!format!("{granted:?}").contains("a.$"), "a token is not for logs");
    }
    let bare = granted(&success(r#"{"accessToken":"a","accessTokenEndTime":"soon"}"#)).expect("a token");
    assert!(bare.access_ends.is_none() && bare.refresh.is_none() && bare.refresh_ends.is_none());
    for none in ["{}", "[]", r#"{"accessToken":""}"#, r#"{"accessToken":null}"#, "7"] {
        granted(&success(none)).expect_err("no token");
    }
}

#[test]
fn licences_come_in_many_shapes() {
    let data = r#"[
        {"licenseId":123,"licenseTo":1,"active":true,"status":{"id":4,"code":"paid"},
         "messenger":[{"type":"grWhatsApp","name":"[WEB] WhatsApp","info":{"phone":"79001234567"}},{"type":"telegram"}]},
        {"licenseId":"124","messengers":[{"type":"max"}]},
        {"licenseId":125,"active":0,"messenger":[]},
        {"licenseId":126,"messenger":null}
    ]"#;
    let license = |id: &str, active, messengers: &[&str]| License {
        id: id.to_owned(),
        active,
        messengers: messengers.iter().map(|messenger| (*messenger).to_owned()).collect(),
    };
    let expected = [
        license("123", Some(true), &["grWhatsApp", "telegram"]),
        license("124", None, &["max"]),
        license("125", Some(false), &[]),
        license("126", None, &[]),
    ];
    for data in [data.to_owned(), format!(r#"{{"items":{data},"nextPage":null}}"#)] {
        let page = licenses(&success(&data)).expect("licences");
        assert_eq!((page.items.as_slice(), page.next), (expected.as_slice(), Next::End));
    }
    licenses(&success(r#"[{"messenger":[]}]"#)).expect_err("a licence that has no name cannot be heard, which is told");
    // Without `success`, as long as there is data.
    assert!(licenses(&answer(200, r#"{"data":[]}"#)).expect("none").items.is_empty());
}

#[test]
fn companies_users_and_callback_urls_are_known_by_their_ids() {
    let page = companies(&success(r#"{"items":[{"companyId":5},{"companyId":"6"},{"id":7}],"nextPage":"2"}"#));
    let page = page.expect("companies");
    assert_eq!(
        (page.items, page.next),
        (vec!["5".to_owned(), "6".to_owned(), "7".to_owned()], Next::Cursor("2".to_owned()))
    );
    for (data, expected) in [
        (r#"{"id":685}"#, Some("685")),
        (r#"{"userId":"u","id":685}"#, Some("u")),
        (r#"{"cabinetUserId":9}"#, Some("9")),
        (r#"{"email":"me@example.com"}"#, None),
        ("[]", None),
    ] {
        assert_eq!(user(&success(data)).expect("an answer").as_deref(), expected, "{data}");
    }
    let data = r#"[{"licenseId":1,"messengerType":"telegram","events":["message","messageStatus"],"url":"https://x"}]"#;
    let url = callback_urls(&success(data)).expect("one").items.remove(0);
    assert_eq!(
        (&*url.license, &*url.messenger, url.events.len(), url.url.expose_secret()),
        ("1", "telegram", 2, "https://x")
    );
}

#[test]
fn a_chat_has_moved_never_or_then_or_nobody_can_tell() {
    let data = r#"{"items":[{"id":"a","lastTime":1700000000},{"id":1,"lastTime":"1700000001"},{"id":"c","lastTime":null},
                            {"id":"d"},{"id":"e","lastTime":"yesterday"},{"id":"f","lastTime":0}],"nextPage":null}"#;
    let page = chats(&success(data), 100).expect("chats");
    let found: Vec<(&str, Moved)> = page.items.iter().map(|chat| (&*chat.id, chat.moved)).collect();
    assert_eq!(
        found,
        [
            ("a", Moved::At(at(1_700_000_000))),
            ("1", Moved::At(at(1_700_000_001))),
            ("c", Moved::Never),
            ("d", Moved::Never),
            ("e", Moved::Unreadable),
            ("f", Moved::Never),
        ]
    );
    chats(&success(r#"{"items":[{"lastTime":1}],"nextPage":null}"#), 100).expect_err("a chat that cannot be asked for");
}

#[test]
fn messages_travel_as_they_came() {
    let item = r#"{"id":1, "text":"\ud83d", "n":1.50, "x":{"y":[ ]}}"#;
    let page = messages(&success(&format!(r#"{{"items":[{item},7],"nextPage":"c"}}"#)), 100).expect("a page");
    assert_eq!(page.items[0].get(), item);
    assert_eq!(page.items[1].get(), "7", "odd, and not lost");
}

#[test]
fn a_page_is_the_last_only_where_that_is_certain() {
    let cursor = |text: &str| Some(Next::Cursor(text.to_owned()));
    for (next, items, expected) in [
        (r#","nextPage":null"#, 2, Some(Next::End)),
        (r#","nextPage":"""#, 2, Some(Next::End)),
        (r#","nextPage":false"#, 2, Some(Next::End)),
        (r#","nextPage":"a=b&c""#, 2, cursor("a=b&c")),
        (r#","nextPage":"x""#, 0, cursor("x")),
        (r#","nextPage":17"#, 2, cursor("17")),
        (r#","nextPage":{"page":2}"#, 2, None),
        (r#","nextPage":[]"#, 2, None),
        (r#","nextPage":true"#, 2, None),
        // Nothing is said: a page that is not full is the last.
        ("", 1, Some(Next::End)),
        ("", 2, None),
    ] {
        let items = vec!["{}"; items].join(",");
        let data = format!(r#"{{"items":[{items}]{next}}}"#);
        let found = messages(&success(&data), 2).ok().map(|page| page.next);
        assert_eq!(found, expected, "{data}");
    }
    assert!(messages(&success("[{}]"), 2).is_ok(), "a bare list that is not full");
    messages(&success("[{},{}]"), 2).expect_err("and one that is");
}

#[test]
fn an_authorisation_is_a_signature_and_no_envelope() {
    let signed = signature(&answer(200, r#"{"auth":"key:0a","channel_data":null}"#)).expect("signed");
    assert_eq!(signed.expose_secret(), "key:0a");
    for (status, body, is_about_the_token) in [
        (403, r#"{"success":false,"error":{"code":"ApiInvalidTokenError"}}"#, true),
        (200, r#"{"success":false,"error":{"code":"ApiInvalidTokenError"}}"#, true),
        (401, "", true),
        (403, r#"{"message":"Forbidden"}"#, false),
        (200, "", false),
        (200, "{}", false),
        (200, "<html>", false),
        (500, r#"{"auth":"key:0a"}"#, false),
    ] {
        let error = signature(&answer(status, body)).expect_err("not signed");
        assert_eq!(error == ApiError::InvalidToken, is_about_the_token, "{status} {body}: {error:?}");
    }
}

#[test]
fn a_token_is_good_bad_or_nobody_knows() {
    let said = |status, body: &str| is_good(&answer(status, body)).ok();
    assert_eq!(said(200, r#"{"success":true}"#), Some(true));
    assert_eq!(said(200, r#"{"success":false}"#), Some(false));
    assert_eq!(said(403, r#"{"success":false,"error":{"code":"ApiInvalidTokenError"}}"#), Some(false));
    assert_eq!(said(403, ""), Some(false));
    assert_eq!(said(500, ""), None);
    assert_eq!(said(404, ""), None);
    assert_eq!(said(200, "<html>"), None);
}

proptest! {
    #[test]
    fn no_answer_panics(status in 0_u16..700, bytes in proptest::collection::vec(any::<u8>(), 0..200), complete: bool) {
        let answer = Answer { status, retry_after: None, bytes, complete };
        let _ = (granted(&answer).is_ok(), licenses(&answer).is_ok(), chats(&answer, 1).is_ok());
        let _ = (messages(&answer, 1).is_ok(), signature(&answer).is_ok(), user(&answer).is_ok(), is_good(&answer).is_ok());
    }

    #[test]
    fn every_item_of_a_page_is_there_whatever_it_is(
        items in proptest::collection::vec(prop_oneof![Just("{}"), Just("7"), Just("\"x\""), Just("null"), Just("[[]]")], 0..30),
        wrapped: bool,
    ) {
        let list = format!("[{}]", items.join(" , "));
        let data = if wrapped { format!(r#"{{"nextPage":null,"items":{list}}}"#) } else { list };
        let page = messages(&success(&data), 100).expect("a page");
        let found: Vec<&str> = page.items.iter().map(|item| item.get()).collect();
        prop_assert_eq!(found, items);
    }
}
