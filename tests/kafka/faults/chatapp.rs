//! ChatApp's part of the table: each fault is done to the real binary between a real Pusher server, a simulated ChatApp
//! behind it and a real Kafka, under load.
//!
//! A row is a name and a script ([`row::Row`]); the script says what is done to the [`stage::Stage`] it plays on, and
//! when it returns the fault is over. Rows play one after the other, for each may do to the Kafka of its stage what it
//! likes. Who publishes numbers each item, and the judge goes by these numbers alone (`tests/support/chatapp.rs`): what
//! was published is in Kafka, or it cannot be fetched and a gap that was told covers its time and names its kind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use self::row::Row;
use self::stage::{Outcome, Stage};
use super::row::Pace;
use crate::support::broker::Broker;
use crate::support::needs::or_skip;

mod clock;
mod disk;
mod kills;
pub(super) mod row;
mod shapes;
pub(super) mod stage;
pub(super) mod table;
mod tokens;

pub(super) fn rows() -> Vec<Row> {
    [kills::rows(), disk::rows(), shapes::rows(), clock::rows(), tokens::rows()].into_iter().flatten().collect()
}

/// A row, and what came of it.
pub(super) type Played = (Row, Result<Outcome, String>);

/// Plays these rows, in their order, but for those that the machine has not got what it takes for.
pub(super) fn play(rows: Vec<Row>, pace: Pace) -> Vec<Played> {
    let mut played = Vec::new();
    let mut kept: Option<Broker> = None;
    for (number, row) in rows.into_iter().enumerate() {
        if kept.is_none() {
            kept = or_skip(Broker::start());
        }
        let Some(broker) = &mut kept else { break };
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut stage = Stage::new(&row, pace, number, broker)?;
            stage.play(&row);
            stage.judge(&row)
        }));
        let outcome = match outcome {
            Ok(Some(outcome)) => Ok(outcome),
            // The line that says what is missing has been printed.
            Ok(None) => continue,
            Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".to_owned())),
        };
        tell(&row, &outcome, begun);
        if outcome.is_err() {
            // Frozen, perhaps.
            kept = None;
        }
        played.push((row, outcome));
    }
    played
}

fn tell(row: &Row, outcome: &Result<Outcome, String>, begun: Instant) {
    match outcome {
        Ok(Outcome { judgement, recovered }) => eprintln!(
            "  {:<58} {:>5} items, {} lost, {} in {} gaps, {} repeated, recovered in {recovered:.1?} ({:.0?})",
            row.full_name(),
            judgement.published,
            judgement.lost.len(),
            judgement.in_gaps,
            judgement.gaps,
            judgement.repeated,
            begun.elapsed()
        ),
        Err(_) => eprintln!("  {:<58} FAILED ({:.0?})", row.full_name(), begun.elapsed()),
    }
}
