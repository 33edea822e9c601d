//! What a process costs, as the kernel counts it (Linux).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cpu;
use crate::support::process::watch;

const STOP_MAX: Duration = Duration::from_secs(30);

/// A child that ends with this value, or with this program, however that dies.
pub(crate) struct Process {
    child: Child,
    watch: Child,
}

impl Process {
    /// Starts it, silent but for a log in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).expect("the log can be written");
        let errors = log.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // Its log stays: no folder is to go with it.
        let watch = watch(&child, Path::new("")).expect("sh starts");
        Self { child, watch }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// User and system time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu::seconds(&self.child.id().to_string())
    }

    /// Memory that is resident now, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + STOP_MAX;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watch first: once the child is reaped, its number may belong to somebody else.
        for process in [&mut self.watch, &mut self.child] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Kernel memory of all TCP connections of this machine, in KiB: both ends of each, in these scenarios.
pub(crate) fn tcp_memory_kib() -> u64 {
    let stat = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let pages = words.iter().position(|word| *word == "mem").and_then(|at| words.get(at + 1)?.parse::<u64>().ok());
    pages.unwrap_or_default() * 4
}

/// What the kernel's own structures of sockets take, in KiB, buffers aside: TCP, inode, file, epoll. Where the kernel
/// tells only root, all that it cannot give back.
pub(crate) fn socket_memory_kib() -> u64 {
    const CACHES: [&str; 6] = ["TCP", "TCPv6", "sock_inode_cache", "filp", "eventpoll_epi", "eventpoll_pwq"];
    let Ok(caches) = fs::read_to_string("/proc/slabinfo") else {
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = memory.lines().find_map(|line| line.strip_prefix("SUnreclaim:")).unwrap_or_default();
        return line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    };
    let bytes = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        // Those in use, and the size of each.
        if words.first().is_some_and(|name| CACHES.contains(name)) { number(1) * number(3) } else { 0 }
    };
    caches.lines().map(bytes).sum::<u64>() / 1024
}
