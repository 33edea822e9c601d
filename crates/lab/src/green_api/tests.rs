//! The simulator as its clients meet it: through TCP. What has to do with clocks is tested in `queue` and
//! below with short or scaled times, since a paused clock and real sockets do not mix.

mod client;
mod control_api;
mod faults;
mod methods;
mod push;
mod queue_behaviour;
mod receiver;

use std::time::Duration;

use super::{SimulatedInstance, Simulator, SimulatorConfig};
use client::Client;

/// The instance most tests use.
const INSTANCE: u64 = 1_101_000_001;
const TOKEN: &str = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";

fn config() -> SimulatorConfig {
    let instances = vec![SimulatedInstance::new(INSTANCE, TOKEN)];
    // Polls that are to come back empty do so soon.
    SimulatorConfig { instances, long_poll_max: Duration::from_millis(50), ..SimulatorConfig::default() }
}

/// Polls that are to be woken wait long enough to be.
fn patient() -> SimulatorConfig {
    SimulatorConfig { long_poll_max: Duration::from_secs(60), ..config() }
}

async fn start(config: SimulatorConfig) -> (Simulator, Client) {
    let simulator = Simulator::start(config).await.expect("a free port");
    let client = Client::new(simulator.url());
    (simulator, client)
}
