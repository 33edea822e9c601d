//! The disk on which everything waits for Kafka is full: by what waits there, or by others.

use super::super::row::Pace;
use super::row::Row;

const GROUP: &str = "ChatApp: the disk";
/// Full within seconds.
const MEBIBYTES: u32 = 2;
/// What a bridge that begins anew has in hand, with more to come.
const FEW: u64 = 20;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(GROUP, "Kafka frozen until the disk is full, then back", |stage| {
            stage.broker.pause();
            stage.wait_for_spool("a full disk", |spool| spool["condition"] == "full");
            // For the table longer than a connection is kept that nothing is read from.
            stage.events(if stage.pace == Pace::Table { 6_000 } else { 40 });
            stage.broker.resume();
            stage.wait_for_spool("a spool that takes frames", |spool| spool["condition"] == "well");
        })
        .on_disk(MEBIBYTES),
        Row::new(GROUP, "others fill the disk; the bridge killed (kill -9), Kafka back, then room", |stage| {
            stage.broker.pause();
            stage.events(100);
            stage.wait_for_spool("frames on disk", |spool| spool["frames"].as_u64() > Some(FEW));
            stage.disk().fill();
            stage.wait_for_spool("a disk without room", |spool| spool["condition"] != "well");
            stage.kill_bridge();
            stage.events(20);
            // The first event that is pushed stops the reading again.
            stage.start_bridge();
            stage.events(20);
            stage.broker.resume();
            stage.wait_for_spool("an empty disk", |spool| spool["frames"].as_u64() <= Some(FEW));
            stage.disk().free();
            stage.wait_for_spool("a spool that takes frames", |spool| spool["condition"] == "well");
            stage.wait_until_live();
        })
        .on_disk(MEBIBYTES)
        .cut(),
    ]
}
