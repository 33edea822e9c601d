//! Each server, in its own words.

use super::*;

/// How a server words what all of them can say.
struct Dialect {
    name: &'static str,
    activity_timeout: u32,
    subscribed: &'static str,
    pong: &'static str,
}

const DIALECTS: [Dialect; 5] = [
    Dialect {
        name: "hosted Pusher",
        activity_timeout: 120,
        subscribed: r#"{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"private-a"}"#,
        pong: r#"{"event":"pusher:pong","data":"{}"}"#,
    },
    Dialect {
        name: "laravel-websockets 2.x",
        activity_timeout: 30,
        subscribed: r#"{"event":"pusher_internal:subscription_succeeded","channel":"private-a"}"#,
        pong: r#"{"event":"pusher:pong"}"#,
    },
    Dialect {
        name: "laravel-websockets 1.x",
        activity_timeout: 30,
        subscribed: r#"{"event":"pusher_internal:subscription_succeeded","channel":"private-a"}"#,
        pong: r#"{"event":"pusher:pong"}"#,
    },
    Dialect {
        name: "soketi",
        activity_timeout: 30,
        subscribed: r#"{"event":"pusher_internal:subscription_succeeded","channel":"private-a"}"#,
        pong: r#"{"event":"pusher:pong","data":{}}"#,
    },
    Dialect {
        name: "Reverb",
        activity_timeout: 30,
        subscribed: r#"{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"private-a"}"#,
        pong: r#"{"event":"pusher:pong"}"#,
    },
];

#[test]
fn the_handshake() {
    for dialect in DIALECTS {
        let mut stage = Stage::new(&[A]);
        assert_eq!(stage.take(Input::Tick), ["is connecting", "connect"], "{}", dialect.name);
        assert_eq!(stage.establish(dialect.activity_timeout), ["is 1.1", "authorise private-a on 1.1"]);
        assert_eq!(stage.authorised(A), ["subscribe private-a by k:1.1:private-a"]);
        assert_eq!(stage.says(dialect.subscribed), ["live private-a"]);
        let event = r#"{"event":"message","channel":"private-a","data":"{\"data\":[]}"}"#;
        assert_eq!(stage.says(event), [r#"deliver private-a message {"data":[]}"#]);
        assert_eq!(stage.take(Input::Taken), Vec::<String>::new());
        assert_eq!(stage.pass(30_000), ["30.0 ping"]);
        assert_eq!(stage.says(dialect.pong), Vec::<String>::new());
        assert_eq!(stage.pass(29_000), Vec::<String>::new(), "{}", dialect.name);
    }
}

/// Established, and a subscription sent.
fn subscribing() -> Stage {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    assert_eq!(stage.authorised(A), ["subscribe private-a by k:1.1:private-a"]);
    stage
}

/// Connected, and not yet named.
fn connected() -> Stage {
    let mut stage = Stage::new(&[A]);
    stage.take(Input::Tick);
    stage.take(Input::Connected);
    stage
}

#[test]
fn a_bad_signature_costs_the_channel_and_nothing_else() {
    let named = r#"{"event":"pusher:subscription_error","channel":"private-a","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"#;
    let object = r#"{"event":"pusher:error","data":{"message":"The connection is unauthorized.","code":4009}}"#;
    let string = r#"{"event":"pusher:error","data":"{\"code\":4009,\"message\":\"The connection is unauthorized.\"}"}"#;
    for (server, refusal) in [("Pusher, soketi", named), ("laravel-websockets", object), ("Reverb", string)] {
        let mut stage = subscribing();
        assert_eq!(
            stage.says(refusal),
            ["refused private-a for 30s: the server refuses the channel: The connection is unauthorized."],
            "{server}"
        );
        assert_eq!(stage.pass(30_000), ["30.0 ping", "30.0 authorise private-a on 1.1"], "{server}");
    }
}

#[test]
fn over_capacity() {
    assert_eq!(connected().closed(4004), ["disconnect", "closed 4004, Slow in 60s"], "hosted Pusher");
    for server in ["laravel-websockets 2.x", "soketi"] {
        let mut stage = connected();
        let frame = r#"{"event":"pusher:error","data":{"code":4100,"message":"over quota"}}"#;
        assert_eq!(stage.says(frame), ["disconnect", "error 4100, BackOff in 1s"], "{server}");
        assert_eq!(stage.closed(4100), Vec::<String>::new(), "{server}: said already");
    }
    let frame = r#"{"event":"pusher:error","data":"{\"code\":4004,\"message\":\"over quota\"}"}"#;
    assert_eq!(connected().says(frame), ["disconnect", "error 4004, Slow in 60s"], "Reverb leaves the socket open");
}

#[test]
fn an_unknown_key_is_asked_about_slowly_whether_or_not_the_server_closes() {
    for frame in [
        r#"{"event":"pusher:error","data":{"code":4001,"message":"App key x does not exist."}}"#,
        r#"{"event":"pusher:error","data":"{\"code\":4001,\"message\":\"Application does not exist\"}"}"#,
    ] {
        let mut stage = connected();
        assert_eq!(stage.says(frame), ["disconnect", "error 4001, Slow in 60s"]);
        assert_eq!(stage.pass(59_999), Vec::<String>::new());
        assert_eq!(stage.pass(1), ["60.0 is connecting", "60.0 connect"]);
    }
    assert_eq!(connected().closed(4003), ["disconnect", "closed 4003, Slow in 60s"], "a disabled app");
}

#[test]
fn a_restart() {
    // Hosted Pusher and soketi say so, and are asked again at once.
    let mut told = Stage::live(&[A]);
    let frame = r#"{"event":"pusher:error","data":{"code":4200,"message":"Server closed."}}"#;
    assert_eq!(
        told.says(frame),
        ["disconnect", "lost private-a", "error 4200, AtOnce in 0s", "is connecting", "connect"]
    );
    let mut closed = Stage::live(&[A]);
    assert_eq!(
        closed.closed(4200),
        ["disconnect", "lost private-a", "closed 4200, AtOnce in 0s", "is connecting", "connect"]
    );
    // laravel-websockets and Reverb are just gone.
    let mut gone = Stage::live(&[A]);
    assert_eq!(gone.closed(None), ["disconnect", "lost private-a", "closed, BackOff in 1s"]);
    assert_eq!(gone.pass(1000), ["1.1 is connecting", "1.1 connect"]);
    assert_eq!(gone.establish(30), ["is 2.1", "authorise private-a on 2.1"]);
}

/// laravel-websockets 2.x takes the channels of who sent no ping for two minutes, however much it receives meanwhile,
/// and says nothing; 1.x does nothing of the kind.
#[test]
fn the_clients_own_silence_never_lasts_however_much_comes() {
    let mut stage = Stage::live(&[A]);
    let mut silent_for = 0;
    for second in 0..600 {
        stage.says(r#"{"event":"message","channel":"private-a","data":"{}"}"#);
        stage.take(Input::Taken);
        silent_for = if stage.pass(1000).is_empty() { silent_for + 1 } else { 0 };
        assert!(silent_for <= 60, "second {second}");
    }
}

#[test]
fn the_servers_silence() {
    // soketi closes 4201; Reverb says the error before it.
    let mut soketi = Stage::live(&[A]);
    assert_eq!(soketi.closed(4201)[..3], ["disconnect", "lost private-a", "closed 4201, AtOnce in 0s"]);
    let mut reverb = Stage::live(&[A]);
    let frame = r#"{"event":"pusher:error","data":"{\"code\":4201,\"message\":\"Pong reply not received in time\"}"}"#;
    assert_eq!(reverb.says(frame)[..3], ["disconnect", "lost private-a", "error 4201, AtOnce in 0s"]);
    // Any of them may be there and say nothing.
    let mut frozen = Stage::live(&[A]);
    assert_eq!(
        frozen.pass(51_000),
        [
            "30.1 ping",
            "50.1 disconnect",
            "50.1 lost private-a",
            "50.1 silent, AtOnce in 0s",
            "50.1 is connecting",
            "50.1 connect"
        ]
    );
}

#[test]
fn the_servers_pings_are_answered() {
    for ping in [r#"{"event":"pusher:ping","data":"{}"}"#, r#"{"event":"pusher:ping"}"#] {
        assert_eq!(Stage::live(&[A]).says(ping), ["pong"]);
    }
}

#[test]
fn errors_that_end_nothing_end_nothing() {
    let mut stage = Stage::live(&[A]);
    for (frame, expected) in [
        (r#"{"event":"pusher:error","data":{"code":4301,"message":"rate"}}"#, "told Some(4301) rate"),
        (r#"{"event":"pusher:error","data":{"code":null,"message":"odd"}}"#, "told None odd"),
        (r#"{"event":"pusher:error"}"#, "told None null"),
        (r#"{"event":"pusher:cache_miss","channel":"private-a"}"#, "told pusher:cache_miss"),
    ] {
        assert_eq!(stage.says(frame), [expected]);
    }
    assert_eq!(stage.session.channels.live(), [A]);
}

/// Reverb answers what it cannot read with 4200 and leaves the socket open.
#[test]
fn an_error_without_a_close_is_a_close() {
    let mut stage = Stage::live(&[A]);
    let frame = r#"{"event":"pusher:error","data":"{\"code\":4200,\"message\":\"Invalid message format\"}"}"#;
    assert_eq!(stage.says(frame)[..3], ["disconnect", "lost private-a", "error 4200, AtOnce in 0s"]);
}

/// Hosted Pusher refuses a second subscription, which only follows on one it was slow to answer.
#[test]
fn subscribed_already_is_subscribed() {
    let mut stage = subscribing();
    assert_eq!(stage.pass(10_000).len(), 1, "given up");
    stage.pass(1000);
    assert_eq!(stage.authorised(A), ["subscribe private-a by k:1.1:private-a"]);
    let frame =
        r#"{"event":"pusher:error","data":{"code":null,"message":"Existing subscription to channel private-a"}}"#;
    assert_eq!(stage.says(frame)[0], "live private-a");
}
