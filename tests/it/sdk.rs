//! The simulator is a faithful one: the vendor's own SDK receives and deletes through it.

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{SimulatedInstance, Simulator, SimulatorConfig};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::needs::or_skip;
use crate::support::python::consumer;

#[test]
#[ignore = "needs Python and the vendor's SDK; make test brings both"]
fn the_vendors_python_sdk_receives_and_deletes_through_the_simulator() {
    let Some(mut sdk) = or_skip(consumer("sdk_receive.py")) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let config =
        SimulatorConfig { instances: vec![SimulatedInstance::new(1101, "sdk-token")], ..SimulatorConfig::default() };
    let simulator = runtime.block_on(Simulator::start(config)).expect("a free port");
    let mut generator = Generator::new(1101, 5);
    let bodies: Vec<String> = (0..20).map(|_| generator.body()).collect();
    for body in &bodies {
        simulator.enqueue(1101, body.clone()).expect("room");
    }
    let out = sdk.args([simulator.url(), "1101", "sdk-token", "20"]).output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let received: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(received.len(), 20);
    for (line, body) in received.iter().zip(&bodies) {
        assert_eq!(line["received"]["body"], serde_json::from_str::<Value>(body).expect("JSON"));
        assert_eq!(line["deleted"]["result"], true);
    }
    assert_eq!(simulator.total_depth(), 0);
}
