use super::*;
use crate::core::witness::Witness as _;
use crate::watch::telemetry::status::StatusBoard;

fn channel(name: &str) -> Channel {
    Channel::from_name(name).expect("a channel")
}

#[test]
fn channels_that_nobody_expects_share_one_label() {
    let all = Arc::new(Metrics::new());
    let telemetry = ChatAppTelemetry::new(Arc::clone(&all));
    telemetry.expect(&channel("private-v1.users.685"));
    for user in 0..100 {
        let made_up = channel(&format!("private-v1.users.9{user}"));
        telemetry.of(Some(&made_up)).dead_lettered(chatbridge_event::event::DeadLetterReason::NotJson);
    }
    telemetry.of(None).repeat_suppressed();
    telemetry.of(Some(&channel("private-v1.users.685"))).repeat_suppressed();
    let text =
        String::from_utf8(crate::watch::telemetry::scrape::render(&all, &StatusBoard::default()).expect("rendered"))
            .expect("text");
    let labels: std::collections::HashSet<&str> =
        text.lines().filter_map(|line| line.split("channel=\"").nth(1)?.split('"').next()).collect();
    assert_eq!(labels, ["users/685", OTHER].into());
}

#[tokio::test(start_paused = true)]
async fn what_a_channel_waits_for_makes_kafka_unusable() {
    let all = Arc::new(Metrics::new());
    let (telemetry, board) = (Arc::new(ChatAppTelemetry::new(all)), StatusBoard::default());
    board.watch_others(telemetry.clone());
    let user = telemetry.expect(&channel("private-v1.users.685"));
    let (first, second) = (user.in_flight(), user.in_flight());
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(board.waiting_for_kafka(Duration::from_secs(30)).0, 1);
    drop(first);
    assert_eq!(board.waiting_for_kafka(Duration::from_secs(30)).0, 0, "something was taken");
    drop(second);
    assert!(user.waiting_for_kafka().is_none());
}
