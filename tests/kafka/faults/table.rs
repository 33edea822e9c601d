//! The table of `tests/README.md`, from a real run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chatbridge_lab::oracle::Verdict;

use super::row::Row;
use super::verdict::Outcome;
use super::{Play, chatapp};
use crate::support::needs::tests_path;
use crate::support::way::Way;

const BEGIN: &str = "<!-- written by `make faults` -->\n";
const END: &str = "<!-- end of what `make faults` writes -->\n";

/// Puts the table between its marks in the file.
pub(crate) fn write(
    path: &Path,
    rows: &[Row],
    outcomes: &[(&Play, Outcome)],
    of_chatapp: &[(chatapp::row::Row, chatapp::stage::Outcome)],
) {
    let text = fs::read_to_string(path).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the mark of the beginning");
    let (_, after) = rest.split_once(END).expect("the mark of the end");
    fs::write(path, [before, BEGIN, &table(rows, outcomes), &chatapp::table::table(of_chatapp), END, after].concat())
        .expect("writable");
}

fn table(rows: &[Row], outcomes: &[(&Play, Outcome)]) -> String {
    let mut text = String::new();
    let mut group = "";
    for row in rows {
        let of = |way| {
            let is_it = |play: &Play| play.way == way && (play.row.group, play.row.name) == (row.group, row.name);
            outcomes.iter().find(|(play, _)| is_it(play)).map(|(_, outcome)| outcome)
        };
        if row.group != group {
            group = row.group;
            let _ = write!(
                text,
                "\n**{group}**\n\n| fault | lost | repeated | out of order | time to recover | events | by webhook |\n\
                 | --- | --: | --: | --: | --: | --: | --: |\n"
            );
        }
        let polled = of(Way::Poll).map_or_else(|| ["—"; 5].join(" | "), polled);
        let pushed = of(Way::Push).map_or_else(|| "—".to_owned(), pushed);
        let _ = writeln!(text, "| {} | {polled} | {pushed} |", row.name);
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<u64>();
    let by_webhook = outcomes.iter().filter(|(play, _)| play.way == Way::Push).count();
    let runs = outcomes.len();
    let _ = writeln!(
        text,
        "\n{} faults in {runs} runs, {by_webhook} of them by webhook; {} events, {} lost, {} repeated, {} out of order. \
         chatbridge {} (debug build), Apache Kafka {}, {} cores.",
        rows.len(),
        sum(|o| o.verdict.queued),
        sum(|o| o.verdict.lost),
        sum(|o| o.verdict.repeated),
        sum(|o| o.verdict.out_of_order),
        env!("CARGO_PKG_VERSION"),
        kafka_version(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    text
}

fn polled(outcome: &Outcome) -> String {
    let Verdict { lost, repeated, out_of_order, queued, .. } = &outcome.verdict;
    let stolen = match outcome.stolen {
        0 => String::new(),
        taken => format!(" ({taken} taken by the other reader)"),
    };
    format!("{lost}{stolen} | {repeated} | {out_of_order} | {} | {queued}", seconds(outcome.recovered))
}

fn pushed(outcome: &Outcome) -> String {
    let Verdict { lost, repeated, out_of_order, queued, .. } = &outcome.verdict;
    format!("{lost} / {repeated} / {out_of_order} / {} / {queued}", seconds(outcome.recovered))
}

/// No more precise than a second run would be.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 9.95 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

fn kafka_version() -> String {
    let pom = fs::read_to_string(tests_path("kafka/maven/pom.xml")).expect("the pom is there");
    let version = pom.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once('<'));
    version.expect("the pom names the version").0.to_owned()
}
