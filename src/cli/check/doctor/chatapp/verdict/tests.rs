use std::time::Duration;

use super::*;
use crate::config;
use chatbridge_pusher::{Rule, ServerError};

const LINE: &str = "private-v1.licenses.1229.messengers.telegram";
const MISSPELT: &str = "private-v1.licenses.1229.messengers.Telegram";
const EMPLOYEE: &str = "private-v1.companies.2224.users.685";

fn config(lines: &str) -> ChatApp {
    let path = std::env::temp_dir().join(format!("chatbridge-verdict-{:x}.toml", fastrand::u64(..)));
    std::fs::write(&path, format!("[chatapp]\nrefresh_token = \"hunter2\"\n{lines}\n")).expect("writable");
    let config = config::load(Some(&path), []);
    std::fs::remove_file(&path).expect("ours");
    config.expect("valid").chatapp.expect("there")
}

fn channels_of(names: &[&str]) -> String {
    format!("channels = {names:?}")
}

fn shows(shown: Result<&[&str], AccountError>) -> Known {
    let shown = shown.map(|shown| shown.iter().map(|name| (*name).to_owned()).collect());
    Known::Asked { shown, is_stored: true, ends: None }
}

fn live(channel: &str) -> Report {
    Report::Live { channel: channel.to_owned() }
}

fn refused(channel: &str, refusal: Refusal) -> Report {
    Report::Refused { channel: channel.to_owned(), refusal, retry_in: Duration::ZERO }
}

fn established() -> Report {
    Report::Established { socket_id: "1.2".to_owned() }
}

fn lost(code: Option<u16>) -> Report {
    let cause = Cause::Error(ServerError { code, message: "words".to_owned(), channel: None });
    Report::Disconnected { cause, rule: Rule::BackOff, retry_in: Duration::ZERO }
}

#[test]
fn each_answer_about_the_account_has_its_verdict() {
    let config = config("");
    let refusal = |status| ApiError::Refused { status, code: String::new(), fix: "the fix" };
    let unreachable = ApiError::Unreachable { class: "timeout", detail: "it does not answer".to_owned() };
    let api = |error| shows(Err(AccountError::Api(error)));
    let ended = Timestamp::from_second(1_800_000_000).expect("a time");
    for (known, verdict, words) in [
        (shows(Ok(&[LINE])), Verdict::Well, "takes the token in state_dir, and shows 1 channels"),
        (shows(Ok(&[])), Verdict::Broken, "shows no channels"),
        (api(ApiError::InvalidToken), Verdict::Warning, "does not take the token in state_dir"),
        (api(ApiError::RateLimited { retry_after: None }), Verdict::NotChecked, "too often"),
        (api(unreachable), Verdict::Broken, "it does not answer"),
        (api(refusal(403)), Verdict::Broken, "the fix"),
        (api(refusal(404)), Verdict::Misconfigured, "the fix"),
        (api(refusal(301)), Verdict::Misconfigured, "the fix"),
        (Known::Ended(ended), Verdict::NotChecked, "ended at 2027-01-15T08:00:00Z"),
        (Known::NoToken, Verdict::NotChecked, "no accessToken"),
        (Known::Unreadable("rights".to_owned()), Verdict::Broken, "rights"),
    ] {
        let finding = account(&config, &known);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(finding.found.contains(words), "{finding:?}");
        assert!(!format!("{finding:?}").contains("hunter2"));
    }
}

#[test]
fn each_end_of_the_connection_has_its_verdict() {
    let config = config("");
    let of = |reports: &[Report]| socket(&config, &Ok(reports.to_vec()));
    assert_eq!(of(&[established()]).verdict, Verdict::Well);
    assert_eq!(of(&[]).verdict, Verdict::Broken);
    for (code, verdict, fix) in [
        (Some(4000), Verdict::Misconfigured, "socket_url"),
        (Some(4001), Verdict::Misconfigured, "ChatsAppApiProdKey"),
        (Some(4003), Verdict::Broken, "support"),
        (Some(4005), Verdict::Misconfigured, "socket_url"),
        (Some(4100), Verdict::Broken, "in a minute"),
        (Some(4200), Verdict::Broken, "in a minute"),
        (None, Verdict::Broken, "reachable from here"),
    ] {
        let finding = of(&[established(), lost(code)]);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(finding.fix.as_ref().is_some_and(|have| have.contains(fix)), "{finding:?}");
    }
}

#[test]
fn a_channel_is_held_against_what_the_account_shows_and_what_the_server_says() {
    let config = config(&channels_of(&[LINE, MISSPELT, EMPLOYEE]));
    let known = shows(Ok(&[LINE]));
    assert_eq!(known.channels_to_ask(&config), [LINE, MISSPELT, EMPLOYEE]);
    let verdicts = |known: &Known, reports: &[Report]| {
        channels(&config, known, reports).iter().map(|finding| finding.verdict).collect::<Vec<_>>()
    };
    let all_live = [established(), live(LINE), live(MISSPELT), live(EMPLOYEE)];
    assert_eq!(verdicts(&known, &all_live), [Verdict::Well, Verdict::Warning, Verdict::Well]);
    let all_refused =
        [established(), refused(LINE, Refusal::NoAnswer), refused(MISSPELT, Refusal::NoToken), live(EMPLOYEE)];
    assert_eq!(verdicts(&known, &all_refused), [Verdict::Broken, Verdict::Misconfigured, Verdict::Well]);
    let unanswered = [established()];
    assert_eq!(verdicts(&known, &unanswered), [Verdict::NotChecked, Verdict::Warning, Verdict::NotChecked]);
    assert_eq!(verdicts(&Known::NoToken, &unanswered), [Verdict::NotChecked; 3]);
    assert!(Known::NoToken.channels_to_ask(&config).is_empty());
}

#[test]
fn enough_is_an_answer_for_each_channel_or_no_connection() {
    let both = [LINE.to_owned(), EMPLOYEE.to_owned()];
    assert!(is_enough(&[established()], &[]));
    assert!(!is_enough(&[], &[]));
    assert!(!is_enough(&[established(), live(LINE)], &both));
    assert!(is_enough(&[established(), live(LINE), refused(EMPLOYEE, Refusal::NoToken)], &both));
    assert!(is_enough(&[established(), lost(None)], &both));
}

#[test]
fn what_travels_unencrypted_is_a_warning_but_on_this_machine() {
    assert_eq!(unencrypted(&config("")), []);
    let local = config("api_url = \"http://127.0.0.1:1\"\nsocket_url = \"ws://localhost:1\"");
    assert_eq!(unencrypted(&local), []);
    let far = config("api_url = \"http://far.example\"\nsocket_url = \"ws://far.example\"");
    assert_eq!(unencrypted(&far).len(), 2);
}
