//! Axes: what is printed at which value, and whether the values or their logarithms lie evenly.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

#[derive(Clone)]
pub(super) struct Axis {
    pub(super) label: String,
    log: bool,
    range: Range<f64>,
    /// Values that are printed, and how.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// By logarithms, these values printed.
    pub(super) fn log_at(label: &str, values: &[f64]) -> Self {
        let (first, last) = ends(values);
        // No marker is to lie on the frame.
        let room = (last / first).powf(0.05);
        let ticks = values.iter().map(|value| (*value, number(*value))).collect();
        Self { label: label.to_owned(), log: true, range: first / room..last * room, ticks }
    }

    /// Side by side, in this order: the first at 0, the next at 1.
    pub(super) fn steps(label: &str, steps: Vec<String>) -> Self {
        let last = steps.len().saturating_sub(1) as f64;
        let ticks = steps.into_iter().enumerate().map(|(at, step)| (at as f64, step)).collect();
        Self { label: label.to_owned(), log: false, range: -0.15..last + 0.15, ticks }
    }

    /// From 0 to beyond the greatest value, by round numbers.
    pub(super) fn linear(label: &str, values: &[f64]) -> Self {
        let most = ends(values).1;
        let rough = most / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [5.0, 2.0].map(|of| of * power).into_iter().find(|step| *step <= rough).unwrap_or(power);
        let count = (most * 1.05 / step).ceil();
        let ticks = (0..=count as u32).map(|at| f64::from(at) * step).map(|value| (value, number(value))).collect();
        Self { label: label.to_owned(), log: false, range: 0.0..count * step, ticks }
    }

    /// By logarithms, 1, 2, 5 and their like around the values printed.
    pub(super) fn log(label: &str, values: &[f64]) -> Self {
        let (least, most) = ends(values);
        let round: Vec<f64> = (-1..7).flat_map(|power| [1.0, 2.0, 5.0].map(|of| of * 10f64.powi(power))).collect();
        let from = round.iter().rposition(|value| *value < least).unwrap_or_default();
        let to = round.iter().position(|value| *value > most).unwrap_or(round.len() - 1);
        let ticks = round[from.min(to)..=to].iter().map(|value| (*value, number(*value))).collect();
        Self { label: label.to_owned(), log: true, range: round[from.min(to)]..round[to], ticks }
    }
}

/// The least and the greatest of them above 0.
fn ends(values: &[f64]) -> (f64, f64) {
    let above = values.iter().copied().filter(|value| *value > 0.0);
    let (least, most) =
        above.fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    if least.is_finite() { (least, most) } else { (1.0, 1.0) }
}

fn number(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let along = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let (first, last) = (along(self.range.start), along(self.range.end));
        let share = (along(*value) - first) / (last - first);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == value);
        tick.map(|(_, printed)| printed.clone()).unwrap_or_default()
    }
}
