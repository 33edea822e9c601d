//! Levels of one instance's situation; what the page makes of many is shown in `tests/it/page.rs`.

use super::*;
use crate::watch::telemetry::status::StatusBoard;
use chatbridge_event::event::InstanceId;

#[test]
fn an_instance_needs_somebody_when_it_cannot_go_on_by_itself() {
    let board = StatusBoard::default();
    let now = Timestamp::now();
    let healthy = InstanceView { phase: Phase::Polling, ..board.add(InstanceId::new(1)).view() };
    let of = |change: &dyn Fn(&mut InstanceView)| {
        let mut view = healthy.clone();
        change(&mut view);
        Level::of(&view, now)
    };
    let hiccup = i64::try_from(HICCUP.as_secs()).unwrap();
    let minutes_ago = |minutes: i64| Some(now - jiff::SignedDuration::from_mins(minutes));
    assert_eq!(of(&|_| {}), Level::Ok);
    assert_eq!(of(&|view| view.phase = Phase::Misconfigured), Level::Alarm);
    assert_eq!(of(&|view| view.phase = Phase::Parked), Level::Alarm);
    assert_eq!(of(&|view| view.loss_level = LossLevel::Alarm), Level::Alarm);
    assert_eq!(of(&|view| view.loss_level = LossLevel::Warn), Level::Warn);
    assert_eq!(of(&|view| view.drain_forecast = Some(Forecast::TooLate)), Level::Warn);
    assert_eq!(of(&|view| view.rival_suspected_at = minutes_ago(59)), Level::Warn);
    assert_eq!(of(&|view| view.rival_suspected_at = minutes_ago(61)), Level::Ok);
    for phase in [Phase::BackingOff, Phase::Waiting, Phase::Listening] {
        let for_seconds = |seconds| {
            of(&|view| {
                view.phase = phase;
                view.head_age_seconds = seconds;
            })
        };
        assert_eq!((for_seconds(hiccup - 1), for_seconds(hiccup)), (Level::Ok, Level::Warn), "{phase:?}");
    }
}
