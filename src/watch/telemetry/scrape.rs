//! The answer to a scrape of `/metrics`.

use prometheus::{Encoder as _, TextEncoder};

use super::metrics::Metrics;
use super::status::StatusBoard;

/// The text for a scrape; ages and phases are taken from `board` at this moment.
///
/// # Errors
/// If the encoder fails, which would be a bug.
pub fn render(metrics: &Metrics, board: &StatusBoard) -> prometheus::Result<Vec<u8>> {
    let _one_at_a_time = metrics.rendering.lock();
    // Made afresh from the board, so that nothing stays of who is gone or of what is no longer known.
    let of_instance =
        [&metrics.board.head_age, &metrics.board.until_loss, &metrics.board.loss_level, &metrics.board.queue_depth];
    for family in of_instance.into_iter().chain([&metrics.board.instance_phase, &metrics.board.instance_state]) {
        family.reset();
    }
    for status in board.instances() {
        let view = status.view();
        let instance = status.instance().to_string();
        metrics.board.head_age.with_label_values(&[&instance]).set(view.head_age_seconds);
        metrics.board.until_loss.with_label_values(&[&instance]).set(view.seconds_until_loss);
        metrics.board.loss_level.with_label_values(&[&instance]).set(view.loss_level.number());
        if let Some(depth) = view.queue_depth {
            metrics.board.queue_depth.with_label_values(&[&instance]).set(depth);
        }
        if let Some(state) = &view.state {
            metrics.board.instance_state.with_label_values(&[&instance, state]).set(1);
        }
        metrics.board.instance_phase.with_label_values(&[instance.as_str(), view.phase.as_str()]).set(1);
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&metrics.registry.gather(), &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::telemetry::words::Phase;
    use chatbridge_event::event::InstanceId;

    #[tokio::test]
    async fn an_instance_is_in_one_phase_at_a_time() {
        let (metrics, board) = (Metrics::new(), StatusBoard::default());
        let status = board.add(InstanceId::new(1));
        for phase in [Phase::Polling, Phase::Misconfigured] {
            status.set_phase(phase);
            let text = String::from_utf8(render(&metrics, &board).expect("rendered")).expect("text");
            let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("chatbridge_instance_phase")).collect();
            let expected = format!("chatbridge_instance_phase{{instance=\"1\",phase=\"{}\"}} 1", phase.as_str());
            assert_eq!(shown, [expected]);
        }
    }
}
