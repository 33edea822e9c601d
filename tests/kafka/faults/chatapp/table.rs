//! ChatApp's part of the table of `tests/README.md`.

use std::fmt::Write as _;

use super::super::table::seconds;
use super::row::Row;
use super::stage::Outcome;
use crate::support::chatapp::Judgement;

pub(crate) fn table(played: &[(Row, Outcome)]) -> String {
    let mut text = String::new();
    let mut group = "";
    for (row, Outcome { judgement, recovered }) in played {
        if row.group != group {
            group = row.group;
            let _ = write!(
                text,
                "\n**{group}**\n\n| fault | lost | repeated | out of order | in gaps | gaps | time to recover | items |\n\
                 | --- | --: | --: | --: | --: | --: | --: | --: |\n"
            );
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            judgement.lost.len(),
            judgement.repeated,
            judgement.out_of_order,
            judgement.in_gaps,
            judgement.gaps,
            seconds(*recovered),
            judgement.published
        );
    }
    let sum = |of: fn(&Judgement) -> usize| played.iter().map(|(_, outcome)| of(&outcome.judgement)).sum::<usize>();
    let _ = writeln!(
        text,
        "\n{} faults; {} items, {} lost, {} in {} gaps, {} repeated, {} out of order.",
        played.len(),
        sum(|judgement| judgement.published),
        sum(|judgement| judgement.lost.len()),
        sum(|judgement| judgement.in_gaps),
        sum(|judgement| judgement.gaps),
        sum(|judgement| judgement.repeated),
        sum(|judgement| judgement.out_of_order),
    );
    text
}
