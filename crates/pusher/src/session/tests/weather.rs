//! Connections that do not come to be, sinks that do not take, and goodbyes.

use super::*;

const EVENT: &str = r#"{"event":"message","channel":"private-a","data":"{}"}"#;

#[test]
fn every_step_of_connecting_has_its_time() {
    let mut stage = Stage::new(&[A]);
    assert_eq!(
        stage.pass(10_999),
        ["0.0 is connecting", "0.0 connect", "10.0 disconnect", "10.0 connect_timeout, BackOff in 1s"]
    );
    stage.pass(1);
    assert_eq!(stage.take(Input::Connected), Vec::<String>::new());
    assert_eq!(stage.pass(10_000), ["21.0 disconnect", "21.0 handshake_timeout, BackOff in 1s"]);
    stage.pass(1000);
    let told = stage.take(Input::Unreachable { detail: "refused".to_owned() });
    assert_eq!(told, ["disconnect", "unreachable, BackOff in 1s"]);
}

#[test]
fn waits_grow_until_a_connection_has_lasted_a_minute() {
    let mut stage = Stage::new(&[A]);
    stage.chance = 1.0;
    for seconds in [2, 3, 5, 9, 17, 33, 60, 60] {
        stage.establish(30);
        stage.pass(9000);
        assert_eq!(stage.closed(None), ["disconnect".to_owned(), format!("closed, BackOff in {seconds}s")]);
        stage.pass(seconds * 1000);
    }
    stage.establish(30);
    for _ in 0..3 {
        stage.pass(20_000);
        stage.says(r#"{"event":"pusher:pong"}"#);
    }
    assert_eq!(stage.closed(None), ["disconnect", "closed, BackOff in 2s"]);
}

#[test]
fn a_server_that_says_at_once_for_ever_is_not_hammered() {
    let mut stage = Stage::new(&[A]);
    for connects in 0.. {
        assert!(connects <= 61, "so often within {:?}", stage.now);
        stage.establish(30);
        stage.closed(4200);
        stage.now = stage.session.deadline().expect("it never gives up").max(stage.now);
        if stage.now >= Moment::after_start(Duration::from_secs(60)) {
            return;
        }
    }
}

#[test]
fn while_the_sink_takes_nothing_it_pings_on_and_does_not_judge() {
    let mut stage = Stage::live(&[A]);
    assert_eq!(stage.says(EVENT), ["deliver private-a message {}"]);
    assert_eq!(stage.pass(110_000), ["30.1 ping", "60.1 ping", "90.1 ping"]);
    assert_eq!(stage.take(Input::Taken), Vec::<String>::new());
    // The answers to those pings have not been read yet; they have their time from now on.
    assert_eq!(stage.pass(9000), Vec::<String>::new());
    assert_eq!(stage.says(r#"{"event":"pusher:pong"}"#), Vec::<String>::new());
    assert_eq!(stage.session.channels.live(), [A]);
}

#[test]
fn a_sink_that_takes_nothing_for_too_long_costs_the_connection_and_keeps_a_new_one_from_being_made() {
    let mut stage = Stage::live(&[A]);
    stage.says(EVENT);
    stage.pass(119_999);
    assert_eq!(stage.pass(1), ["120.1 disconnect", "120.1 lost private-a", "120.1 stalled, BackOff in 1s"]);
    assert_eq!(stage.pass(62_000), ["121.1 stalled for 121s", "181.1 stalled for 181s"]);
    assert_eq!(stage.take(Input::Taken), ["is connecting", "connect"]);
}

#[test]
fn a_sink_that_takes_before_the_next_connection_changes_nothing() {
    let mut stage = Stage::live(&[A]);
    stage.says(EVENT);
    assert_eq!(stage.closed(None), ["disconnect", "lost private-a", "closed, BackOff in 1s"]);
    assert_eq!(stage.take(Input::Taken), Vec::<String>::new());
    assert_eq!(stage.pass(1000), ["1.1 is connecting", "1.1 connect"]);
}

#[test]
fn a_frame_too_large_costs_the_connection() {
    let mut stage = Stage::live(&[A]);
    assert_eq!(stage.take(Input::TooLarge), ["disconnect", "lost private-a", "too_large, BackOff in 1s"]);
    let mut small = Stage::with(&[A], Limits { frame_bytes_max: 200, ..Limits::default() });
    small.go_live(&[A]);
    let most = format!(r#"{{"event":"message","data":"{}"}}"#, "x".repeat(200 - 29));
    assert_eq!(most.len(), 200);
    assert!(small.says(&most)[0].starts_with("deliver"));
    small.take(Input::Taken);
    assert_eq!(small.says(&format!("{most} "))[2], "too_large, BackOff in 1s");
}

#[test]
fn what_is_no_frame_goes_to_the_sink() {
    let mut stage = Stage::live(&[A]);
    assert_eq!(stage.says("<html>"), ["deliver 6 unreadable bytes"]);
    stage.take(Input::Taken);
    assert_eq!(stage.take(Input::Binary(&[0xff, 0xfe])), ["deliver 2 unreadable bytes"]);
}

#[test]
fn distrust_makes_a_new_connection() {
    let mut stage = Stage::live(&[A]);
    let told = ["disconnect", "lost private-a", "distrusted, AtOnce in 0s", "is connecting", "connect"];
    assert_eq!(stage.take(Input::Distrusted), told);
    assert_eq!(stage.take(Input::Distrusted), Vec::<String>::new(), "there is none to distrust yet");
}

#[test]
fn a_goodbye_unsubscribes_and_delivers_what_is_on_its_way() {
    let mut stage = Stage::live(&[A, B]);
    let goodbye = ["unsubscribe private-a", "unsubscribe private-b", "lost private-a", "lost private-b", "close"];
    assert_eq!(stage.take(Input::Stop), goodbye);
    assert_eq!(stage.says(EVENT), ["deliver private-a message {}"]);
    assert_eq!(stage.take(Input::Taken), Vec::<String>::new());
    assert_eq!(stage.closed(1000), ["disconnect", "stopped", "finished"]);
    assert_eq!(stage.session.deadline(), None);
    assert_eq!(stage.take(Input::Tick), Vec::<String>::new());
}

#[test]
fn a_goodbye_has_its_time_and_where_there_is_nobody_none() {
    let mut deaf = Stage::live(&[A]);
    deaf.take(Input::Stop);
    assert_eq!(deaf.pass(2000), ["2.1 disconnect", "2.1 stopped", "2.1 finished"]);
    let mut waiting = Stage::live(&[A]);
    waiting.closed(4001);
    assert_eq!(waiting.take(Input::Stop), ["disconnect", "stopped", "finished"]);
    let mut connecting = Stage::new(&[A]);
    connecting.take(Input::Tick);
    assert_eq!(connecting.take(Input::Stop), ["disconnect", "stopped", "finished"]);
}
