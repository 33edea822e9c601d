//! The network between: refused, slow, silent, reset. TCP hides single packets that get lost; what shows of loss is
//! that it is slow, silent or reset.

use super::row::{Place, Row};
use super::stage::Stage;
use crate::support::toxiproxy::Direction::{Downstream, Upstream};
use crate::support::toxiproxy::{Proxy, Toxic};

const GREEN_API: &str = "Network between the bridge and GREEN-API";
const KAFKA: &str = "Network between the bridge and Kafka";

const SLOW: Toxic = Toxic::Latency { ms: 300, jitter_ms: 200 };
/// Every connection lives so long.
const RESET: Toxic = Toxic::Reset { ms: 300 };
/// Every answer breaks off somewhere.
const CUT: Toxic = Toxic::Limit { bytes: 700 };

pub(crate) fn rows() -> Vec<Row> {
    vec![
        upstream("connection refused", Proxy::disable).class("connection").phase("backing_off"),
        upstream("300 to 500 ms slower, both ways", |proxy| both(proxy, SLOW)),
        upstream("half-open: requests and answers vanish", |proxy| both(proxy, Toxic::Silence))
            .hurried("CHATBRIDGE__GREEN_API__RECEIVE_GRACE_SECONDS", "1")
            // Whichever of the two each instance was waiting for.
            .hurried("CHATBRIDGE__GREEN_API__DELETE_TIMEOUT_SECONDS", "2")
            .tires_after(2_000, 30_000)
            .lasts(9, 60)
            .class("timeout"),
        upstream("half-open: only answers vanish", |proxy| proxy.add(Toxic::Silence, Downstream))
            .hurried("CHATBRIDGE__GREEN_API__RECEIVE_GRACE_SECONDS", "1")
            // Whichever of the two each instance was waiting for.
            .hurried("CHATBRIDGE__GREEN_API__DELETE_TIMEOUT_SECONDS", "2")
            .tires_after(2_000, 30_000)
            .lasts(9, 60)
            .class("timeout"),
        upstream("every connection reset after 300 ms", |proxy| proxy.add(RESET, Downstream)).class("connection"),
        upstream("every connection cut after 700 bytes", |proxy| proxy.add(CUT, Downstream)).class("connection"),
        kafka("connection refused", Proxy::disable),
        kafka("300 to 500 ms slower, both ways", |proxy| both(proxy, SLOW)),
        kafka("half-open: requests and answers vanish", |proxy| both(proxy, Toxic::Silence)).lasts(8, 45),
        kafka("half-open: only acknowledgements vanish", |proxy| proxy.add(Toxic::Silence, Downstream)).lasts(8, 45),
        kafka("every connection reset after 300 ms", |proxy| proxy.add(RESET, Downstream)),
    ]
}

fn both(proxy: &Proxy, toxic: Toxic) {
    proxy.add(toxic, Upstream);
    proxy.add(toxic, Downstream);
}

fn mend(proxy: &Proxy) {
    proxy.enable();
    proxy.clear();
}

fn upstream(name: &'static str, harm: fn(&Proxy)) -> Row {
    Row::new(GREEN_API, name, move |stage: &mut Stage<'_>| harm(stage.ground.upstream()))
        .ends(|stage| mend(stage.ground.upstream()))
        .through_proxy()
        .hits_all()
}

fn kafka(name: &'static str, harm: fn(&Proxy)) -> Row {
    Row::new(KAFKA, name, move |stage: &mut Stage<'_>| harm(stage.ground.downstream()))
        .ends(|stage| mend(stage.ground.downstream()))
        .at(Place::Proxied)
        .hits_all()
}
