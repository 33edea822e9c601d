//! What every server that tests start has in common: a port, and an end with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A shell whose standard input ends when this process does, however it dies. It then kills `process` and removes
/// `dir`.
pub(crate) fn watch(process: &Child, dir: &Path) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"trap "" INT TERM HUP; read -r _; kill -KILL "$1"; rm -rf "$2""#, "watch"])
        .arg(process.id().to_string())
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// A loopback port that nobody holds at the moment.
///
/// From below the range that the system gives to outgoing connections (32768 and up on Linux). Above it, a client
/// that keeps dialling a stopped broker ends up connected to itself, and the broker never gets its port back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run side by side begin in different places.
    let start = std::process::id().wrapping_mul(37);
    (0..10_000)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
        .map(|n| 20_000 + (n % 10_000) as u16)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port")
}
