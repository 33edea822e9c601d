//! GREEN-API answers nothing, something else, or not at all.

use chatbridge_lab::green_api::{Coding, Fault, FaultKind, Method};

use super::row::Row;

const EMPTY: &str = "Empty answers though events wait";
const AWAY: &str = "GREEN-API is away";
const REFUSED: &str = "GREEN-API refuses";
const WRAPPED: &str = "Notifications in another wrapping";

/// Longer than any row.
const FOR_EVER_MS: u64 = 600_000;

fn receive(kind: FaultKind) -> Vec<Fault> {
    vec![Fault::new(Method::Receive, kind)]
}

fn text(code: u16, body: &str) -> Vec<Fault> {
    vec![Fault::status(Method::Any, code, body)]
}

pub(crate) fn rows() -> Vec<Row> {
    use FaultKind::*;
    let row = Row::upstream;
    // An answer at once instead of after a long poll is followed by a second's wait.
    let empty = |name, faults| row(EMPTY, name, faults).requests_per_second_max(1.0);
    let away = |name, faults: fn() -> Vec<Fault>| row(AWAY, name, faults).phase("backing_off");
    // Told once by each step it hits.
    let wrong = |name, faults| row(REFUSED, name, faults).phase("misconfigured").requests_per_second_max(1.0);
    let not_yet = |name, faults| row(REFUSED, name, faults).phase("waiting").requests_per_second_max(0.2);
    vec![
        empty("`null` at once", || receive(EmptyAtOnce)),
        empty("200 without a body, at once", || receive(EmptyBody)),
        empty("`{}` at once", || receive(EmptyObject)),
        empty("408 at once", || vec![Fault::request_timeout()]).class("no_answer"),
        empty("504 of a proxy, at once", || vec![Fault::gateway_timeout()]).class("no_answer"),
        empty("200 that refuses (`{\"status\":false}`)", || {
            receive(RawBody { body: r#"{"status":false,"reason":"no"}"#.to_owned() })
        })
        .class("no_answer"),
        away("connection reset before anything is done", || vec![Fault::reset_before(Method::Receive)])
            .class("connection"),
        away("connection reset after an event was handed out", || vec![Fault::reset_after(Method::Receive)])
            .class("connection"),
        away("answer cut after 10 bytes", || receive(Truncate { bytes: 10 })).class("connection"),
        away("no answer at all (poll hangs)", || receive(Hang { duration_ms: FOR_EVER_MS }))
            .lasts(8, 60)
            .hurried("CHATBRIDGE__GREEN_API__RECEIVE_GRACE_SECONDS", "1")
            .class("timeout"),
        away("500", || text(500, r#"{"message":"internal"}"#)).class("server_error"),
        away("502, nginx page", || vec![Fault::bad_gateway(Method::Any)]).class("server_error"),
        away("200, HTML page of a proxy", || receive(RawBody { body: "<html>hello</html>".to_owned() }))
            .class("not_json"),
        row(REFUSED, "429 with Retry-After: 2", || vec![Fault::too_many_requests(Method::Any, Some(2))])
            .class("rate_limited")
            .requests_per_second_max(0.5),
        row(REFUSED, "429 without Retry-After", || vec![Fault::too_many_requests(Method::Any, None)])
            .class("rate_limited")
            .requests_per_second_max(1.0),
        wrong("400, webhookUrl is set", || vec![Fault::webhook_url_is_set()])
            .class("webhook_url_set")
            .says_at_most("clear webhookUrl in its settings", 2),
        wrong("401, wrong token", || vec![Fault::unauthorized()])
            .class("unauthorized")
            .says_at_most("copy apiTokenInstance", 2),
        wrong("403, nginx page", || vec![Fault::forbidden()])
            .class("forbidden")
            .says_at_most("id or api_url is wrong", 2),
        wrong("404, nginx page", || vec![Fault::not_found()]).class("not_found").says_at_most("copy apiUrl", 2),
        not_yet("400, instance is starting", || text(400, "instance in starting process try later"))
            .class("starting")
            .says_at_most("the instance is starting", 2),
        not_yet("400, instance is not authorised", || text(400, "instance account not authorized"))
            .class("not_authorized")
            .says_at_most("scan the QR code", 2),
        not_yet("400, instance has expired", || vec![Fault::expired()]).class("expired").says_at_most("renew it", 2),
        not_yet("466, quota is used up", || vec![Fault::quota_exceeded(Method::Any)])
            .class("quota")
            .says_at_most("the tariff's quota is used up", 2),
        row(WRAPPED, "466 with a notification", || vec![Fault::other_status(466)]),
        row(WRAPPED, "500 with a notification", || vec![Fault::other_status(500)]),
        row(WRAPPED, "answer compressed unasked (gzip)", || vec![Fault::compressed(Method::Any, Coding::Gzip)]),
        row(WRAPPED, "answer compressed unasked (zstd)", || vec![Fault::compressed(Method::Any, Coding::Zstd)]),
        row(WRAPPED, "answer compressed as nobody can read", || {
            vec![Fault::compressed(Method::Receive, Coding::Compress)]
        })
        .class("encoding")
        .phase("backing_off"),
    ]
}
