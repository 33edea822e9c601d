//! Either end is killed.

use super::row::Row;

const GROUP: &str = "ChatApp: kills";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(GROUP, "the Pusher server killed (kill -9), started again", |stage| stage.cut(40)).cut(),
        Row::new(GROUP, "Kafka frozen, the bridge killed (kill -9), both back", |stage| {
            stage.broker.pause();
            stage.events(20);
            stage.kill_bridge();
            stage.events(20);
            stage.broker.resume();
            stage.start_bridge();
            stage.wait_until_live();
        })
        .cut(),
    ]
}
