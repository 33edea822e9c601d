use std::time::Duration;

use super::*;

fn answer(status: u16, body: &[u8]) -> Answer {
    Answer { status, retry_after: None, bytes: body.to_vec(), complete: true }
}

fn received(answer: Answer) -> Result<Option<Received>, QueueError> {
    super::received(InstanceId::new(1), answer, &|text| text.replace("SECRET", "<token>"))
}

/// `empty`, `receipt N`, `dead letter N reason`, or the class of the error.
fn summary(outcome: Result<Option<Received>, QueueError>) -> String {
    match outcome {
        Ok(None) => "empty".to_owned(),
        Ok(Some(Received { receipt, notification })) => match notification.body {
            Body::Json(raw) => format!("receipt {} {}", receipt.as_str(), raw.get()),
            Body::Undecodable { reason, .. } => format!("dead letter {} {}", receipt.as_str(), reason.as_str()),
        },
        Err(error) => error.class().to_owned(),
    }
}

#[test]
fn every_answer_of_receive_has_its_meaning() {
    for (status, body, expected) in [
        (200, &b"null"[..], "empty"),
        (200, b"", "empty"),
        (200, b" \n", "empty"),
        (200, b"{}", "empty"),
        (200, b"{\"status\": false, \"reason\": \"no\"}", "no_answer"),
        (204, b"", "empty"),
        (408, b"", "no_answer"),
        (504, b"<html>Gateway Time-out</html>", "no_answer"),
        (200, b"\xef\xbb\xbf{\"receiptId\": 42, \"body\": {}}", "receipt 42 {}"),
        (200, br#"{"x": "receiptId" , "receiptId" : 9, oops"#, "dead letter 9 not_json"),
        (200, br#"{"receiptId": 42, "body": {"a": 1}}"#, r#"receipt 42 {"a": 1}"#),
        (200, br#"{"body": {"a": 1}, "receiptId": "42", "more": 0}"#, r#"receipt 42 {"a": 1}"#),
        (200, br#"{"receiptId": -3, "body": []}"#, "receipt -3 []"),
        (200, br#"{"receiptId": 42}"#, "dead letter 42 no_body"),
        (200, br#"{"receiptId": 42, "body": null}"#, "dead letter 42 no_body"),
        (200, br#"{"receiptId": 42, "body": {"a": tru}}"#, "dead letter 42 not_json"),
        (200, br#"{"receiptId" : "42", "body": {"#, "dead letter 42 not_json"),
        (200, br#"{"receiptId": 4"#, "unreadable"),
        (200, b"{\"receiptId\": 42, \"body\": \"\xff\"}", "dead letter 42 not_utf8"),
        (200, br#"{"body": {"text": "\"receiptId\": 7, "}, "receiptId": 8, oops}"#, "dead letter 8 not_json"),
        (200, br#"{"body": {"a": 1}}"#, "unreadable"),
        (200, br#"{"receiptId": "../../x", "body": {}}"#, "unreadable"),
        (200, b"<html>hello</html>", "not_json"),
        (200, b"hello", "unreadable"),
        (
            400,
            br#"{"message":"Message cannot be received because custom webhook url is set. Please clear webhook url"}"#,
            "webhook_url_set",
        ),
        (400, b"instance in starting process try later", "starting"),
        (400, b"instance is starting or not authorized", "starting"),
        (400, b"instance account not authorized", "not_authorized"),
        (400, b"Instance account is expired. Renew your instance from personal area", "expired"),
        (400, b"Instance is deleted", "expired"),
        (400, b"Parameter idInstance not an integer", "bad_request"),
        (401, b"", "unauthorized"),
        (403, b"<html>403 Forbidden</html>", "forbidden"),
        (404, b"<html>404 Not Found</html>", "not_found"),
        (301, b"", "redirect"),
        (429, b"Too Many Requests", "rate_limited"),
        (466, br#"{"invokeStatus":{"status":"QUOTE_EXCEEDED"}}"#, "quota"),
        (469, b"", "quota"),
        (500, b"", "server_error"),
        (502, b"<html>Bad Gateway</html>", "server_error"),
        (418, b"", "unexpected"),
    ] {
        assert_eq!(summary(received(answer(status, body))), expected, "{status} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn bodies_of_any_depth_and_with_half_a_character_are_received() {
    for body in
        [format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), r#"{"t":"\ud83d"}"#.to_owned(), "1e999".to_owned()]
    {
        let text = format!(r#"{{"receiptId": 1, "body": {body}}}"#);
        assert_eq!(summary(received(answer(200, text.as_bytes()))), format!("receipt 1 {body}"));
    }
}

#[test]
fn an_answer_without_end_is_cut_and_buried_where_its_receipt_can_be_read() {
    let cut = Answer { complete: false, ..answer(200, br#"{"receiptId": 42, "body": {"a": "aaaa"#) };
    assert_eq!(summary(received(cut)), "dead letter 42 too_long");
    let cut = Answer { complete: false, ..answer(200, br#"{"body": {"a": "aaaa"#) };
    assert_eq!(summary(received(cut)), "unreadable");
}

#[test]
fn every_answer_of_delete_has_its_meaning() {
    let redact = |text: &str| text.replace("SECRET", "<token>");
    for (status, body, expected) in [
        (200, r#"{"result": true, "reason": ""}"#, Ok(Deletion::Deleted)),
        (200, r#"{"result":true}"#, Ok(Deletion::Deleted)),
        (200, r#"{"result":false,"reason":"gone"}"#, Ok(Deletion::Unclear)),
        (200, "", Ok(Deletion::Unclear)),
        (200, "<html>", Ok(Deletion::Unclear)),
        (
            500,
            r#"{"message": "Cannot read properties of undefined (reading 'findUnAckedMessage')", "path": "/waInstance1/deleteNotification/SECRET/42"}"#,
            Ok(Deletion::AlreadyGone),
        ),
        // What was done is done, whatever else was to be said.
        (466, r#"{"result": true, "invokeStatus": {}}"#, Ok(Deletion::Deleted)),
        (500, r#"{"result": true}"#, Ok(Deletion::Deleted)),
        (500, r#"{"result": false}"#, Err("server_error")),
        (500, "{}", Err("server_error")),
        (504, "", Err("timeout")),
        (401, "", Err("unauthorized")),
        (400, "custom webhook url is set", Err("webhook_url_set")),
        (400, "Parameter receiptId must be a Number", Err("bad_request")),
    ] {
        let outcome = deleted(&answer(status, body.as_bytes()), &redact);
        assert_eq!(
            outcome.as_ref().map_err(QueueError::class),
            expected.as_ref().map_err(|class| *class),
            "{status} {body}"
        );
    }
}

#[test]
fn what_upstream_said_is_repeated_without_the_token_and_without_end() {
    let body = format!(r#"{{"path":"/waInstance1/receiveNotification/SECRET","x":"{}"}}"#, "y".repeat(5_000));
    let message = received(answer(500, body.as_bytes())).err().expect("an error").to_string();
    assert!(message.contains("<token>") && !message.contains("SECRET"), "{message}");
    assert!(message.len() < 300, "{message}");
}

#[test]
fn what_people_wrote_is_not_repeated_whatever_the_status() {
    for (status, body) in [
        (203, r#"{"text": "private"}"#),
        (466, r#"{"receiptId": "none", "body": {"text": "private"}}"#),
        (500, r#"{"typeWebhook": "new", "text": "private"}"#),
        (500, r#"{"body": "private"#),
    ] {
        let message = received(answer(status, body.as_bytes())).err().expect("an error").to_string();
        assert!(!message.contains("private"), "{message}");
    }
}

#[test]
fn a_notification_is_one_whatever_the_status() {
    for status in [200, 201, 203, 206, 304, 400, 401, 403, 404, 408, 429, 466, 469, 500, 502, 503, 504] {
        for (body, expected) in [
            (
                &br#"{"receiptId": 42, "body": {"typeWebhook": "quotaExceeded"}}"#[..],
                Some("receipt 42 {\"typeWebhook\": \"quotaExceeded\"}"),
            ),
            (b"\xef\xbb\xbf {\"body\": {}, \"receiptId\": \"42\"}", Some("receipt 42 {}")),
            (br#"{"receiptId": 42, "body": {"a": tru}}"#, Some("dead letter 42 not_json")),
            (b"{\"receiptId\": 42, \"body\": \"\xff\"}", Some("dead letter 42 not_utf8")),
            // None of these says what to delete, or that there is anything to keep.
            (br#"{"message": "receiptId: 42, body: {}"}"#, None),
            (br#"{"message": "\"receiptId\": 42, \"body\": {}"}"#, None),
            (br#"<p>{"receiptId": 42, "body": </p>"#, None),
            (br#"{"receiptId": null, "body": {}}"#, None),
        ] {
            let got = summary(received(answer(status, body)));
            match expected {
                Some(expected) => assert_eq!(got, expected, "{status}"),
                None => assert!(!got.starts_with("receipt") && !got.starts_with("dead"), "{status} {got}"),
            }
        }
        let cut = Answer { complete: false, ..answer(status, br#"{"receiptId": 42, "body": {"a": "aaaa"#) };
        assert_eq!(summary(received(cut)), "dead letter 42 too_long", "{status}");
    }
}

#[test]
fn the_receipt_is_no_part_of_an_undecodable_content() {
    let content = |receipt: &str| {
        let text = format!(r#"{{"receiptId": {receipt}, "body": {{"a": tru}}}}"#);
        let received = received(answer(200, text.as_bytes())).ok().flatten().expect("a dead letter");
        received.notification.body.undecodable_content().expect("undecodable")
    };
    assert_eq!(content("1"), content("21"));
}

#[test]
fn a_wait_that_was_asked_for_is_passed_on() {
    let asked = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(429, b"") };
    assert_eq!(received(asked).err(), Some(QueueError::RateLimited { retry_after: Some(Duration::from_secs(7)) }));
}

#[test]
fn every_answer_of_get_contact_info_has_its_meaning() {
    for (status, body, expected) in [
        (200, r#"{"name":"Anna","contactName":"Anna K."}"#, Ok(Some("Anna"))),
        (200, r#"{"name":"","contactName":"Anna K."}"#, Ok(Some("Anna K."))),
        (200, r#"{"name":" ","contactName":null}"#, Ok(None)),
        (200, r#"{"contactName":7}"#, Ok(Some("7"))),
        (200, "null", Ok(None)),
        (200, "", Ok(None)),
        (200, "<html>", Ok(None)),
        // A group, or a chat that is none: nothing is wrong with the instance.
        (400, "bad request data", Ok(None)),
        (400, "instance in starting process try later", Err("starting")),
        (401, "", Err("unauthorized")),
        (429, "", Err("rate_limited")),
        (466, "{}", Err("quota")),
        (500, r#"{"name":"InternalServerError"}"#, Err("server_error")),
        (502, "<html>", Err("server_error")),
    ] {
        let outcome = contact_name(&answer(status, body.as_bytes()), &|text| text.to_owned());
        let outcome = outcome.as_ref().map(|name| name.as_deref()).map_err(QueueError::class);
        assert_eq!(outcome, expected, "{status} {body}");
    }
}
