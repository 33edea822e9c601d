//! The token is in every URL. It must not be anywhere else.

use std::time::Duration;

use chatbridge::simulator::{Fault, FaultKind, Method};

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene, TOKEN};

#[test]
fn a_failing_bridge_that_logs_everything_never_shows_a_token_or_a_password() {
    use FaultKind::*;
    let scene = Scene::new("");
    // Every road by which upstream or a library could bring the token back; the bodies quote it.
    let path = format!(r#"{{"message":"no","path":"/waInstance{FIRST}/receiveNotification/{TOKEN}"}}"#);
    let quoting = |code| Status { code, body: path.clone(), retry_after_seconds: None };
    for method in [Method::Receive, Method::Delete] {
        for kind in [
            quoting(500),
            quoting(400),
            quoting(403),
            quoting(418),
            quoting(302),
            Reset,
            Truncate { bytes: 5 },
            Hang { duration_ms: 50 },
            RawBody { body: path.clone() },
        ] {
            scene.simulator.add_fault(Fault::new(method, kind).on(FIRST).times(1));
        }
    }
    scene.simulator.add_fault(Fault::already_gone().on(FIRST).times(1));
    let mut generator = chatbridge::simulator::generator::Generator::new(FIRST, 1);
    for _ in 0..30 {
        scene.simulator.enqueue(FIRST, generator.body()).expect("room");
    }
    let environment = [("RUST_LOG", "trace"), ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2hunter2")];
    let bridge = Bridge::start(&scene.home, &environment);
    let emptied = async { tokio::time::timeout(Duration::from_secs(100), scene.simulator.emptied()).await };
    assert!(scene.runtime.block_on(emptied).is_ok(), "{} left", scene.simulator.total_depth());

    let (log, metrics, status) = (bridge.log(), bridge.get("/metrics").1, bridge.get("/status").1);
    assert!(bridge.metric("chatbridge_source_errors_total", "") >= 12.0, "it did fail: {metrics}");
    assert!(bridge.terminate().success());
    assert!(log.len() > 100_000 && log.contains("TRACE"), "it did log everything: {} bytes", log.len());
    for (place, shown) in [("log", &log), ("/metrics", &metrics), ("/status", &status)] {
        for secret in [TOKEN, "hunter2hunter2"] {
            let found = shown.find(secret).map(|at| &shown[at.saturating_sub(400)..at]);
            assert_eq!(found, None, "{secret} is in {place}");
        }
    }
    // What people wrote and who they are has no place in a log that is kept at its usual level.
    for line in log.lines().filter(|line| !line.contains("TRACE") && !line.contains("DEBUG")) {
        assert!(!line.contains("@c.us"), "{line}");
    }
}
