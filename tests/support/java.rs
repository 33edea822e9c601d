//! Kafka's own Java clients, run from their sources in `tests/kafka/java`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::broker::available;
use super::needs::{Unavailable, tests_path};
use super::python::run;

/// Produces one record per key with the Java client, and says which partition each went to, in the order of the keys.
pub(crate) fn java_partitions(
    bootstrap: &str,
    topic: &str,
    keys: &[impl AsRef<str>],
) -> Result<Vec<(String, i32)>, Unavailable> {
    let mut child = program("JavaProducer.java")?
        .args([bootstrap, topic])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Unavailable::Broken(format!("java: {error}")))?;
    let input: String = keys.iter().map(|key| format!("{}\n", key.as_ref())).collect();
    // The program reads all keys before it prints, so writing all of them first cannot get stuck. Should it die
    // early, its exit code and its words say more than the broken pipe.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().map_err(|error| Unavailable::Broken(format!("java: {error}")))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let answer: Option<Vec<(String, i32)>> = text
        .lines()
        .map(|line| line.rsplit_once('\t').and_then(|(key, partition)| Some((key.to_owned(), partition.parse().ok()?))))
        .collect();
    match answer {
        Some(answer) if out.status.success() && answer.len() == keys.len() => Ok(answer),
        _ => Err(Unavailable::Broken(format!(
            "JavaProducer: {}\n{text}{}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        ))),
    }
}

/// Runs one of the programs, and returns what it prints.
pub(crate) fn run_program(source: &str, arguments: &[&str]) -> Result<String, Unavailable> {
    let mut command = program(source)?;
    run(command.args(arguments)).map_err(Unavailable::Broken)
}

/// One of the programs, ready for its arguments.
fn program(source: &str) -> Result<Command, Unavailable> {
    let mut command = available()?.java();
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg(tests_path("kafka/java").join(source));
    Ok(command)
}
