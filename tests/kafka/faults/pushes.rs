//! Pushes that fail on the way there or back, come twice, slowly, or with what is not taken.

use chatbridge_lab::green_api::{Coding, Fault, FaultKind, Method};

use super::kafka::nothing_was_fetched_in_vain;
use super::odd::{Lands, Odd, noise};
use super::row::{Place, Row};
use super::stage::{INSTANCES, Stage};
use crate::support::way::Way;

const GROUP: &str = "Webhook calls that fail, events that come again";

fn push(kind: FaultKind) -> Vec<Fault> {
    vec![Fault::new(Method::Push, kind)]
}

pub(crate) fn rows() -> Vec<Row> {
    use FaultKind::*;
    let row = |name, faults| Row::pushed(GROUP, name, faults);
    // The bridge sees it again, and recognises it.
    let again = |name, faults| row(name, faults).counts(RECOGNISED);
    vec![
        row("call: reset before anything is sent", || vec![Fault::reset_before(Method::Push)]),
        again("call: answer lost after the 200", || vec![Fault::reset_after(Method::Push)]),
        row("call: 502 of a proxy, nothing forwarded", || vec![Fault::bad_gateway(Method::Push)]),
        again("call: 502 of a proxy in place of our 200", || vec![Fault::bad_gateway(Method::Push).after_effect()]),
        row("call: cut in the middle of the body", || push(Truncate { bytes: 100 })).outcome("unreadable"),
        row("call: compressed unasked (gzip)", || push(Compressed { coding: Coding::Gzip })),
        row("call: compressed unasked (br)", || push(Compressed { coding: Coding::Br })),
        row("call: compressed as nobody can read", || push(Compressed { coding: Coding::Compress }))
            .outcome("envelope")
            .says("look at what a proxy before this listener does"),
        again("call: sent again after its 200", || push(Twice)),
        again("call: sent again before it is answered", || push(Overlap { after_ms: 1 })),
        row("call: body comes slowly", || push(Trickle { bytes: 100, pause_ms: 50 })),
        row("call: body takes longer than body_timeout", || push(Trickle { bytes: 50, pause_ms: 400 }))
            .with("CHATBRIDGE__WEBHOOK__BODY_TIMEOUT_SECONDS", "1")
            .outcome("too_slow")
            .says("raise webhook.body_timeout_seconds"),
        Row::new(GROUP, "webhookUrlToken is wrong, then right", |stage| stage.set_webhook_token(Some("nonsense")))
            .only(&[Way::Push])
            .ends(|stage| stage.set_webhook_token(None))
            .outcome("unauthorised")
            .says("set the instance's webhookUrlToken"),
        Row::new(GROUP, "body above body_bytes_max, then it is raised", |stage| {
            stage.queue(Odd::text(Lands::Whole, &noise(100_000)));
        })
        .only(&[Way::Push])
        .with("CHATBRIDGE__WEBHOOK__BODY_BYTES_MAX", "65536")
        .ends(|stage| stage.restart_with("CHATBRIDGE__WEBHOOK__BODY_BYTES_MAX", "1000000"))
        .says("raise webhook.body_bytes_max"),
        frozen("Kafka frozen for longer than answer_timeout")
            .with("CHATBRIDGE__WEBHOOK__ANSWER_TIMEOUT_SECONDS", "1")
            .outcome("late")
            // Each instance tells it.
            .says_at_most("a webhook call is answered with 503", INSTANCES as usize),
        frozen("Kafka frozen for longer than GREEN-API waits")
            .with("CHATBRIDGE__WEBHOOK__ANSWER_TIMEOUT_SECONDS", "60")
            .tires_after(1_000, 5_000),
    ]
}

const RECOGNISED: &str = "chatbridge_repeats_suppressed_total";

/// The call ends before Kafka has what it brought, which stays on its way; the repeat is answered by what became of it.
fn frozen(name: &'static str) -> Row {
    Row::new(GROUP, name, |stage: &mut Stage<'_>| stage.ground.broker().pause())
        .only(&[Way::Push])
        .at(Place::Harmed)
        .hits_all()
        .lasts(5, 20)
        .ends(|stage| stage.ground.broker().resume())
        .counts(RECOGNISED)
        .and(nothing_was_fetched_in_vain)
}
