//! Channels that cannot be had: what they cost the others, which is nothing.

use super::*;

fn success(name: &str) -> String {
    format!(r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{name}"}}"#)
}

#[test]
fn one_subscription_at_a_time_and_four_authorisations() {
    let names: Vec<String> = (0..6).map(|n| format!("private-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stage = Stage::new(&names);
    assert_eq!(stage.establish(30), ["is 1.1", "authorise private-0 on 1.1"]);
    assert_eq!(
        stage.pass(1000),
        ["0.1 authorise private-1 on 1.1", "0.2 authorise private-2 on 1.1", "0.3 authorise private-3 on 1.1"]
    );
    assert_eq!(stage.authorised("private-2"), ["authorise private-4 on 1.1", "subscribe private-2 by k:1.1:private-2"]);
    assert_eq!(stage.authorised("private-0"), Vec::<String>::new(), "one is asked for already");
    assert_eq!(stage.authorised("private-1"), Vec::<String>::new());
    assert_eq!(stage.pass(100), ["1.1 authorise private-5 on 1.1"]);
    assert_eq!(stage.says(&success("private-2")), ["live private-2", "subscribe private-0 by k:1.1:private-0"]);
    assert_eq!(stage.says(&success("private-0")), ["live private-0", "subscribe private-1 by k:1.1:private-1"]);
}

#[test]
fn an_unanswered_subscription_makes_room_for_the_next_and_may_be_answered_late() {
    let mut stage = Stage::new(&[A, B]);
    stage.establish(30);
    stage.pass(100);
    stage.authorised(A);
    stage.authorised(B);
    assert_eq!(
        stage.pass(10_000),
        [
            "10.1 refused private-a for 1s: the server did not answer the subscription in time",
            "10.1 subscribe private-b by k:1.1:private-b"
        ]
    );
    assert_eq!(stage.says(&success(A)), ["live private-a"]);
    assert_eq!(stage.pass(5000), Vec::<String>::new(), "it is not asked for again");
}

#[test]
fn a_late_refusal_without_a_name_ends_nothing_but_an_unprovoked_one_does() {
    let refusal = r#"{"event":"pusher:error","data":{"code":4009,"message":"unauthorized"}}"#;
    let mut late = Stage::new(&[A]);
    late.establish(30);
    late.authorised(A);
    late.pass(10_000);
    assert_eq!(late.says(refusal), Vec::<String>::new());
    let mut unprovoked = Stage::live(&[A]);
    assert_eq!(unprovoked.says(refusal), ["disconnect", "lost private-a", "error 4009, Slow in 60s"]);
}

#[test]
fn answers_for_an_old_connection_are_dropped() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    stage.closed(4200);
    stage.pass(100);
    assert_eq!(stage.establish(30), ["is 2.1", "authorise private-a on 2.1"]);
    let answer = Ok(Auth::new("k:1.1:private-a".to_owned()));
    let late = Input::Authorised { socket_id: "1.1".to_owned(), channel: A.to_owned(), answer };
    assert_eq!(stage.take(late), Vec::<String>::new());
    assert_eq!(stage.authorised(A), ["subscribe private-a by k:2.1:private-a"]);
}

#[test]
fn a_forbidden_channel_costs_one_new_token_for_all_and_one_more_try_each() {
    let mut stage = Stage::new(&[A, B]);
    stage.establish(30);
    stage.pass(100);
    assert_eq!(stage.forbidden(A), ["token refused", "renew"]);
    assert_eq!(stage.forbidden(B), Vec::<String>::new(), "it waits for the same token");
    assert_eq!(stage.take(Input::TokenRenewed(true)), Vec::<String>::new());
    assert_eq!(stage.pass(200), ["0.2 authorise private-a on 1.1", "0.3 authorise private-b on 1.1"]);
    assert_eq!(stage.authorised(B), ["subscribe private-b by k:1.1:private-b"]);
    assert_eq!(stage.forbidden(A), ["refused private-a for 30s: not authorised: 403"]);
    assert_eq!(stage.says(&success(B)), ["live private-b"]);
    assert_eq!(stage.pass(30_000), ["30.3 ping", "30.3 authorise private-a on 1.1"]);
    assert_eq!(stage.forbidden(A), ["refused private-a for 30s: not authorised: 403"], "no further token");
    assert_eq!(stage.session.channels.live(), [B]);
}

#[test]
fn who_was_refused_with_the_old_token_tries_the_new_one() {
    let mut stage = Stage::new(&[A, B]);
    stage.establish(30);
    stage.pass(100);
    assert_eq!(stage.forbidden(A), ["token refused", "renew"]);
    stage.take(Input::TokenRenewed(true));
    // It was asked for before the renewal, and is answered after it.
    assert_eq!(stage.forbidden(B), Vec::<String>::new());
    assert_eq!(stage.pass(200), ["0.2 authorise private-a on 1.1", "0.3 authorise private-b on 1.1"]);
}

#[test]
fn a_token_that_cannot_be_renewed_is_told_and_waited_out() {
    for fails_in_time in [true, false] {
        let mut stage = Stage::new(&[A]);
        stage.establish(120);
        assert_eq!(stage.forbidden(A), ["token refused", "renew"]);
        let told = if fails_in_time { stage.take(Input::TokenRenewed(false)) } else { stage.pass(30_000) }.join("; ");
        let expected = "refused private-a for 1s: not authorised, and the access token could not be renewed";
        assert!(told.ends_with(expected), "{told}");
    }
}

#[test]
fn a_renewal_that_made_no_token_is_asked_for_again_soon_however_often() {
    let mut stage = Stage::new(&[A, B]);
    stage.establish(120);
    stage.pass(100);
    for _ in 0..20 {
        assert_eq!(stage.forbidden(A), ["token refused", "renew"]);
        assert_eq!(stage.forbidden(B), Vec::<String>::new());
        assert_eq!(stage.take(Input::TokenRenewed(false)).len(), 2, "both are told");
        let told = stage.pass(1100);
        assert!(told.iter().any(|told| told.ends_with("authorise private-a on 1.1")), "{told:?}");
    }
    // ChatApp is well.
    stage.forbidden(A);
    stage.forbidden(B);
    stage.take(Input::TokenRenewed(true));
    stage.pass(100);
    assert_eq!(stage.authorised(A), ["subscribe private-a by k:1.1:private-a"]);
    assert_eq!(stage.says(&success(A)), ["live private-a"]);
}

#[test]
fn while_a_renewal_waits_for_its_time_whoever_is_refused_waits_with_it() {
    let mut stage = Stage::new(&[A, B]);
    stage.chance = 1.0;
    stage.establish(120);
    stage.pass(100);
    stage.forbidden(A);
    stage.take(Input::TokenRenewed(false));
    let refused = "refused private-b for 2s: not authorised, and the access token could not be renewed";
    assert_eq!(stage.forbidden(B), [refused]);
    stage.pass(2200);
    assert_eq!(stage.forbidden(B), ["token refused", "renew"]);
}

#[test]
fn a_token_that_was_good_and_is_refused_is_renewed_at_once() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    for connection in 1..=3 {
        assert_eq!(stage.forbidden(A), ["token refused", "renew"], "connection {connection}");
        stage.take(Input::TokenRenewed(true));
        stage.pass(100);
        stage.authorised(A);
        assert_eq!(stage.says(&success(A)), ["live private-a"]);
        stage.closed(4200);
        stage.pass(2000);
        stage.establish(30);
    }
}

#[test]
fn an_endpoint_in_trouble_is_asked_again_soon_and_when_it_says() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    let trouble = |retry_after: Option<u64>| {
        let retry_after = retry_after.map(Duration::from_secs);
        Err(AuthFailure::Unavailable { detail: "500".to_owned(), retry_after })
    };
    let told =
        |seconds: u64| format!("refused private-a for {seconds}s: the authorisation endpoint is in trouble: 500");
    assert_eq!(stage.answered(A, trouble(None)), [told(1)]);
    assert_eq!(stage.pass(1000), ["1.0 authorise private-a on 1.1"]);
    assert_eq!(stage.answered(A, trouble(Some(7))), [told(7)]);
    assert_eq!(stage.pass(7000), ["8.0 authorise private-a on 1.1"]);
    assert_eq!(stage.answered(A, trouble(Some(86_400))), [told(60)], "nobody makes us sleep for a day");
}

#[test]
fn an_endpoint_that_does_not_answer_is_given_up() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    assert_eq!(
        stage.pass(11_000),
        [
            "10.0 refused private-a for 1s: the authorisation endpoint did not answer in time",
            "11.0 authorise private-a on 1.1"
        ]
    );
}

#[test]
fn a_refused_channel_is_tried_again_on_a_new_connection() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    stage.forbidden(A);
    stage.take(Input::TokenRenewed(true));
    stage.pass(100);
    assert_eq!(stage.forbidden(A), ["refused private-a for 30s: not authorised: 403"]);
    stage.closed(4200);
    stage.pass(100);
    assert_eq!(stage.establish(30), ["is 2.1", "authorise private-a on 2.1"]);
}

#[test]
fn a_channel_taken_away_is_lost_and_asked_for_again() {
    let mut stage = Stage::live(&[A, B]);
    let frame = r#"{"event":"pusher:subscription_error","channel":"private-a","data":{"error":"gone","status":403}}"#;
    assert_eq!(
        stage.says(frame),
        ["lost private-a", "refused private-a for 30s: the server refuses the channel: gone"]
    );
    assert_eq!(stage.session.channels.live(), [B]);
}

/// soketi's own trouble with one channel, an error without a number.
#[test]
fn an_error_that_names_a_channel_is_about_that_channel() {
    let mut stage = Stage::new(&[A]);
    stage.establish(30);
    stage.authorised(A);
    let frame = r#"{"event":"pusher:error","channel":"private-a","data":{"type":"ServerError","error":"oh"}}"#;
    assert_eq!(stage.says(frame), ["refused private-a for 30s: the server refuses the channel: oh"]);
}
