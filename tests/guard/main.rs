//! The bench's guard as a test: ratios of this build of chatbridge to the minimal loop, side by side on a real Kafka,
//! that must not get worse. No times are compared, so the build without optimisation, which is there anyway, will do.
//!
//! Made of the bench's own modules (package `bench`) with this package's dependencies: those of the bench, in other
//! features, would all be compiled once more. With arguments it is the minimal loop that it compares with.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "it waits for other processes, in real time")]
#![expect(dead_code, reason = "the bench measures more")]

#[path = "../../bench/src/bench.rs"]
mod bench;
#[path = "../../bench/src/contender.rs"]
mod contender;
#[path = "../../bench/src/cpu.rs"]
mod cpu;
#[path = "../../bench/src/drain.rs"]
mod drain;
#[path = "../../bench/src/guard.rs"]
mod guard;
#[path = "../../bench/src/http.rs"]
mod http;
#[path = "../../bench/src/idle.rs"]
mod idle;
#[path = "../../bench/src/kafka.rs"]
mod kafka;
#[expect(clippy::print_stdout, reason = "its figures, to the bench")]
#[path = "../../bench/src/minimal.rs"]
mod minimal;
#[path = "../../bench/src/process.rs"]
mod process;
#[path = "../../bench/src/progress.rs"]
mod progress;
#[path = "../../bench/src/stats.rs"]
mod stats;
#[path = "../../bench/src/support.rs"]
mod support;
#[path = "../../bench/src/upstream.rs"]
mod upstream;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use support::needs::Unavailable;

/// Where the contenders' files are.
pub(crate) fn bench_path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(below)
}

/// chatbridge and the minimal loop, as built.
pub(crate) fn built() -> [PathBuf; 2] {
    [env!("CARGO_BIN_EXE_chatbridge").into(), std::env::current_exe().expect("this program has a path")]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Brokers, a topic, targets: more than cargo hands to a test.
    if arguments.len() >= 3 {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return match runtime.block_on(minimal::run(arguments)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    // Slow and in need of Java and Maven: a plain `cargo test` leaves it out, as it does the tests against a real
    // Kafka.
    if arguments != ["--ignored"] {
        eprintln!("the guard runs with `-- --ignored`, as in `make test`");
        return ExitCode::SUCCESS;
    }
    match bench::Bench::start(false) {
        Ok(bench) if guard::run(&bench) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Unavailable::Missing(what)) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("SKIPPED: {what}");
            ExitCode::SUCCESS
        }
        Err(unavailable) => {
            eprintln!("{unavailable}");
            ExitCode::FAILURE
        }
    }
}
