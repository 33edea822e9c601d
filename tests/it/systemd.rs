//! The manager's socket where it is no file, as with older versions of systemd, and where it is one that nobody
//! reaches.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::support::bridge::Bridge;
use crate::wire::Scene;

#[test]
fn an_abstract_notification_socket_hears_that_the_bridge_is_ready() {
    let scene = Scene::new("");
    let name = format!("chatbridge-notify-{}-{:x}", std::process::id(), fastrand::u64(..));
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("it can be bound");
    manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has timeouts");
    let socket = format!("@{name}");
    let bridge = Bridge::start(&scene.home, &[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", "200000")]);
    let mut heard = Vec::new();
    while !["READY=1", "STATUS=delivering", "WATCHDOG=1"].iter().all(|word| heard.iter().any(|line| line == word)) {
        let mut message = [0; 1024];
        let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{error}; heard only {heard:?}"));
        heard.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
    }
    assert!(bridge.terminate().success());
}

#[test]
fn a_manager_that_cannot_be_told_is_named_once_with_what_to_do() {
    for socket in ["vsock:2:1234", "/nowhere/at/all"] {
        let scene = Scene::new("");
        let mut bridge = Bridge::start(&scene.home, &[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "200000")]);
        bridge.wait_until_ready();
        assert!(bridge.terminate().success());
        let log = scene.home.log_text();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("systemd cannot be told")).collect();
        assert!(told.len() == 1 && told[0].contains("Type=exec"), "{socket}: {told:?}");
    }
}
