//! The tokens end, and for a while there are no new ones: every channel is subscribed again soon after there are.

use std::time::Duration;

use chatbridge_lab::chatapp::{Act, Fault, FaultKind, Place};
use serde_json::json;

use super::row::Row;

const GROUP: &str = "ChatApp: tokens";
/// A few waits that grow, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("tokens end, renewals and logins fail (500), then work", FaultKind::Status { code: 500 }),
        row("tokens end, renewals and logins are refused (ApiInvalidTokenError), then work", FaultKind::InvalidToken),
        row("tokens end, renewals and logins get no answer, then work", FaultKind::Hang { duration_ms: 60_000 })
            .with("CHATBRIDGE__CHATAPP__REQUEST_TIMEOUT_SECONDS", "1"),
    ]
}

fn row(name: &'static str, fails: FaultKind) -> Row {
    Row::new(GROUP, name, move |stage| {
        for place in [Place::Refresh, Place::Login] {
            stage.scene.simulator.add_fault(Fault::new(place, fails.clone())).expect("it can happen there");
        }
        stage.scene.simulator.act(&Act::ExpireTokens);
        stage.scene.soketi.kill();
        stage.events(20);
        stage.scene.soketi.restart(json!({}));
        stage.wait_until_said("the access token could not be renewed");
        stage.events(40);
        stage.scene.simulator.clear_faults();
    })
    .cut()
    .recovers_within(SOON)
}
