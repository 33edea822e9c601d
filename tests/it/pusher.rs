//! The Pusher session against a real server, soketi, with Pusher's own SDK as the one who publishes and authorises.

use std::time::Duration;

use chatbridge_pusher::{Cause, Limits, Refusal, Report, Rule};
use serde_json::json;

use crate::support::needs::or_skip;
use crate::support::soketi::{Application, KEY, SECRET, Soketi, TOKEN};

mod certificates;
mod listener;

use certificates::Certificates;
use listener::Listener;

const A: &str = "private-v1.licenses.1.messengers.grWhatsApp";
const B: &str = "private-v1.companies.7";

/// What takes a minute in life takes a second here.
fn quick() -> Limits {
    Limits {
        connect_timeout: Duration::from_secs(20),
        handshake_timeout: Duration::from_secs(20),
        ping_idle_max: Duration::from_millis(300),
        ping_interval_max: Duration::from_millis(600),
        pong_timeout: Duration::from_secs(4),
        retry_min: Duration::from_millis(50),
        retry_max: Duration::from_millis(200),
        slow_retry_min: Duration::from_millis(500),
        slow_retry_max: Duration::from_millis(500),
        refused_retry_min: Duration::from_millis(200),
        refused_retry_max: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// A server, its application and a listener to both channels, all live.
async fn all_live() -> Option<(Soketi, Application, Listener)> {
    let soketi = or_skip(Soketi::start(json!({})))?;
    let application = or_skip(Application::start(soketi.port(), SECRET, None))?;
    let mut listener = Listener::start(&soketi, &application, &[A, B], quick());
    listener.live(A).await;
    listener.live(B).await;
    Some((soketi, application, listener))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_event_comes_once_in_order_and_large_ones_whole() {
    let Some((soketi, application, mut listener)) = all_live().await else { return };
    let numbered: Vec<_> = (0..1000).map(|n| json!({"data": [{"n": n}], "meta": {"type": "message"}})).collect();
    listener.publish(A, "message", &numbered).await;
    for expected in &numbered {
        assert_eq!(listener.event(A, "message").await, *expected);
    }
    // soketi's limit is 100 KB for an event's data.
    let large = json!({"data": [{"text": "я".repeat(50_000)}]});
    listener.publish(B, "an.unknown-event", &[large.clone(), json!({"data": []})]).await;
    assert_eq!(listener.event(B, "an.unknown-event").await, large);
    assert_eq!(listener.event(B, "an.unknown-event").await, json!({"data": []}));
    listener.stop().await;

    // Who takes no frames so large is told so, and is back for the next one.
    let mut narrow = Listener::start(&soketi, &application, &[B], Limits { frame_bytes_max: 50_000, ..quick() });
    narrow.live(B).await;
    narrow.publish(B, "message", &[large]).await;
    assert_eq!(narrow.disconnected().await, (Cause::TooLarge, Rule::BackOff));
    narrow.live(B).await;
    narrow.publish(B, "message", &[json!({"small": true})]).await;
    assert_eq!(narrow.event(B, "message").await, json!({"small": true}));
    narrow.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_ends_is_killed_or_freezes_is_come_back_to() {
    let Some((mut soketi, application, mut listener)) = all_live().await else { return };
    let mut harm = async |soketi: &mut Soketi, name: &str, strike: fn(&mut Soketi), heal: fn(&mut Soketi)| {
        listener.forget();
        strike(soketi);
        let (cause, rule) = listener.disconnected().await;
        match name {
            "SIGTERM" => assert_eq!((cause.code(), rule), (Some(4200), Rule::AtOnce), "{name}: {cause}"),
            "SIGKILL" => assert_eq!((cause.class(), cause.code(), rule), ("closed", None, Rule::BackOff), "{cause}"),
            _ => assert_eq!((cause, rule), (Cause::Silent, Rule::AtOnce), "{name}"),
        }
        heal(soketi);
        listener.live(A).await;
        listener.live(B).await;
        listener.publish(A, "message", &[json!({"after": name})]).await;
        assert_eq!(listener.event(A, "message").await, json!({"after": name}));
    };
    harm(&mut soketi, "SIGTERM", Soketi::stop, |soketi| soketi.restart(json!({}))).await;
    harm(&mut soketi, "SIGKILL", Soketi::kill, |soketi| soketi.restart(json!({}))).await;
    harm(&mut soketi, "SIGSTOP", |soketi| soketi.freeze(), |soketi| soketi.thaw()).await;
    // Each stretch is enclosed, and the connections have names of their own.
    assert_eq!(listener.count(|report| matches!(report, Report::Live { .. })), 8);
    assert_eq!(listener.count(|report| matches!(report, Report::Lost { .. })), 6);
    listener.stop().await;
    assert_eq!(listener.count(|report| matches!(report, Report::Lost { .. })), 8);
    drop(application);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wrong_key_and_a_full_server_are_asked_again_until_they_are_right() {
    let Some(mut soketi) = or_skip(Soketi::start(json!({"appManager.array.apps.0.key": "another"}))) else { return };
    let Some(application) = or_skip(Application::start(soketi.port(), SECRET, None)) else { return };
    let mut listener = Listener::start(&soketi, &application, &[A], quick());
    for _ in 0..2 {
        let (cause, rule) = listener.disconnected().await;
        assert_eq!((cause.code(), rule), (Some(4001), Rule::Slow), "{cause}");
    }
    soketi.stop();
    soketi.restart(json!({"appManager.array.apps.0.key": KEY, "appManager.array.apps.0.maxConnections": 1}));
    listener.live(A).await;

    let mut second = Listener::start(&soketi, &application, &[B], quick());
    let (cause, rule) = second.disconnected().await;
    assert_eq!((cause.code(), rule), (Some(4100), Rule::BackOff), "{cause}");
    listener.stop().await;
    second.live(B).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_forged_signature_costs_its_channel_alone() {
    let Some(soketi) = or_skip(Soketi::start(json!({}))) else { return };
    let Some(application) = or_skip(Application::start(soketi.port(), SECRET, None)) else { return };
    let Some(forger) = or_skip(Application::start(soketi.port(), "another secret", None)) else { return };
    let mut listener = Listener::start(&soketi, &application, &[A, B], quick());
    listener.authorizer.ask_elsewhere_for(A, Some(forger.auth_url()));
    listener.live(B).await;
    let refusal = listener.refused(A).await;
    assert!(matches!(&refusal, Refusal::ByServer(error) if error.code == Some(401)), "{refusal}");
    listener.authorizer.ask_elsewhere_for(A, None);
    listener.live(A).await;
    assert_eq!(listener.count(|report| matches!(report, Report::Disconnected { .. })), 0);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_old_token_is_renewed_once_and_a_slow_endpoint_holds_nobody_up() {
    let Some(soketi) = or_skip(Soketi::start(json!({}))) else { return };
    let Some(application) = or_skip(Application::start(soketi.port(), SECRET, None)) else { return };
    let mut listener = Listener::start_with(&soketi, &application, &[A, B], quick(), |authorizer| {
        authorizer.set_token("expired");
        authorizer.renew_to(TOKEN);
        authorizer.hold(B);
    });
    listener.live(A).await;
    assert_eq!(listener.authorizer.renewals(), 1);
    // The endpoint has not answered for the other channel yet.
    listener.publish(A, "message", &[json!(1)]).await;
    assert_eq!(listener.event(A, "message").await, json!(1));
    assert_eq!(listener.count(|report| matches!(report, Report::Live { .. })), 1);
    listener.authorizer.release(B);
    listener.live(B).await;
    listener.publish(B, "message", &[json!(2)]).await;
    assert_eq!(listener.event(B, "message").await, json!(2));
    assert_eq!(listener.authorizer.renewals(), 1);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn while_the_sink_takes_nothing_nothing_is_read_and_nothing_is_lost() {
    let Some((_soketi, _application, mut listener)) = all_live().await else { return };
    let numbered: Vec<_> = (0..200).map(|n| json!(n)).collect();
    listener.sink.close();
    listener.publish(A, "message", &numbered).await;
    listener.sink.refused_one().await;
    // Twice the time after which a silent server would have been given up.
    tokio::time::sleep(quick().pong_timeout * 2 + quick().ping_interval_max).await;
    assert_eq!(listener.sink.offered(), 1, "one is offered, and none behind it read");
    listener.sink.open();
    for expected in &numbered {
        assert_eq!(listener.event(A, "message").await, *expected);
    }
    // And where nothing at all comes but the answers to pings, they are answers enough.
    tokio::time::sleep(quick().pong_timeout + quick().ping_interval_max).await;
    assert_eq!(listener.count(|report| matches!(report, Report::Disconnected { .. })), 0);
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tls_trusts_the_authority_it_was_given_and_no_other() {
    let certificates = Certificates::new();
    let files = json!({"ssl.keyPath": certificates.key(), "ssl.certPath": certificates.certificate()});
    let Some(soketi) = or_skip(Soketi::start(files)) else { return };
    let Some(application) = or_skip(Application::start(soketi.port(), SECRET, Some(&certificates.authority()))) else {
        return;
    };
    let mut stranger = Listener::start_tls(&soketi, &application, &[A], quick(), None);
    let (cause, rule) = stranger.disconnected().await;
    assert!(matches!(&cause, Cause::Unreachable { detail } if detail.contains("UnknownIssuer")), "{cause}");
    assert_eq!(rule, Rule::BackOff);
    stranger.stop().await;

    let authority = std::fs::read(certificates.authority()).expect("readable");
    let mut listener = Listener::start_tls(&soketi, &application, &[A], quick(), Some(&authority));
    listener.live(A).await;
    listener.publish(A, "message", &[json!({"over": "TLS"})]).await;
    assert_eq!(listener.event(A, "message").await, json!({"over": "TLS"}));
    listener.stop().await;
}
