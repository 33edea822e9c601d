//! Somebody holds connections to the bridge's own listeners open and says nothing, while it may have few files open.

use chatbridge_lab::green_api::{Fault, Method};

use super::row::Row;
use super::stage::Stage;
use crate::support::siege::Siege;
use crate::support::way::Way;

const GROUP: &str = "Callers who only take up room";

/// More than the limit of open files.
const IDLE: usize = 100;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, address: fn(&mut Stage<'_>) -> String| {
        Row::new(GROUP, name, move |stage: &mut Stage<'_>| {
            let address = address(stage);
            let siege = Siege::of(&address, IDLE);
            stage.bridge().wait("as many idle ones as there can be", |_| (siege.opened() >= IDLE).then_some(()));
            stage.siege = Some(siege);
            renew_connections(stage);
        })
        .ends(|stage| {
            stage.everybody_goes_on();
            stage.siege = None;
        })
        .under(&["-n 64"])
        .hits_all()
        .and(|stage| assert_eq!(stage.said("file descriptors have run out"), 0, "{}", stage.visible_log()))
    };
    vec![
        row("idle connections fill the admin listener", |stage| stage.bridge().admin().to_owned()),
        row("idle connections fill the webhook's listener", |stage| stage.webhook_address().to_owned())
            .only(&[Way::Push]),
    ]
}

/// What is connected stays so, whoever else is there: it is new connections that lack a descriptor.
fn renew_connections(stage: &Stage<'_>) {
    for id in &stage.ids {
        for method in [Method::Receive, Method::Delete, Method::Push] {
            stage.simulator.add_fault(Fault::reset_before(method).times(3).on(*id));
        }
    }
}
