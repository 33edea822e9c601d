//! CPU time, as the kernel counts it (Linux).

/// `getconf CLK_TCK`, which has been this on every Linux for decades.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far, in seconds: of a number, or of `self`.
pub(crate) fn seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows its closing bracket does not.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}
