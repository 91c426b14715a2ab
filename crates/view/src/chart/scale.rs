//! The y axis: which values it spans, where a value stands on it, and which of them are labelled.

use super::Point;

/// How an axis is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// From 0, equal steps.
    #[default]
    Linear,
    /// Equal ratios: for values of which one is a hundred times another.
    Log,
}

/// What an axis spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    scale: Scale,
    low: f64,
    high: f64,
}

/// How many labels a linear axis has, more or less.
const LABELS: f64 = 5.0;
/// Beyond so many decades only powers of ten are labelled.
const DECADES: f64 = 2.5;

impl Range {
    /// What all these points need. Values that are no numbers need nothing.
    pub(super) fn of(scale: Scale, points: impl Iterator<Item = Point>) -> Self {
        let values: Vec<f64> =
            points.flat_map(|point| [point.low, point.middle, point.high]).filter(|value| value.is_finite()).collect();
        let highest = values.iter().copied().fold(0.0, f64::max);
        match scale {
            Scale::Linear => {
                let high = if highest > 0.0 { highest } else { 1.0 };
                let step = step(high);
                Range { scale, low: 0.0, high: (high / step).ceil() * step }
            }
            Scale::Log => {
                let lowest = values.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                let (lowest, highest) = if lowest.is_finite() { (lowest, highest) } else { (1.0, 10.0) };
                let (low, high) = (round_down(lowest), round_up(highest));
                Range { scale, low, high: if high > low { high } else { low * 10.0 } }
            }
        }
    }

    pub(super) fn is_log(self) -> bool {
        self.scale == Scale::Log
    }

    /// Where a value stands: 0 at the lower end, 1 at the upper. What is beyond an end stands on it.
    pub(super) fn place(self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => value / self.high,
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The values that are labelled, and lines without a label.
    pub(super) fn ticks(self) -> (Vec<f64>, Vec<f64>) {
        match self.scale {
            Scale::Linear => (linear_ticks(self.high), Vec::new()),
            Scale::Log => log_ticks(self.low, self.high),
        }
    }
}

/// The distance of labels: 1, 2 or 5 times a power of ten.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / LABELS).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| high / step <= LABELS).unwrap_or(high)
}

fn linear_ticks(high: f64) -> Vec<f64> {
    let step = step(high);
    let mut ticks = vec![0.0];
    while let Some(last) = ticks.last().copied().filter(|last| last + step <= high * (1.0 + 1e-9)) {
        ticks.push(last + step);
    }
    ticks
}

/// 1, 2 and 5 times every power of ten within: all labelled when they are few, else the powers alone.
fn log_ticks(low: f64, high: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut labelled, mut bare) = (Vec::new(), Vec::new());
    let mut power = 10_f64.powf(low.log10().floor());
    while power <= high {
        for factor in 1..10_u8 {
            let value = power * f64::from(factor);
            if value < low * (1.0 - 1e-9) || value > high * (1.0 + 1e-9) {
                continue;
            }
            let is_labelled = factor == 1 || ([2, 5].contains(&factor) && (high / low).log10() <= DECADES);
            if is_labelled { labelled.push(value) } else { bare.push(value) }
        }
        power *= 10.0;
    }
    (labelled, bare)
}

/// The next 1, 2 or 5 times a power of ten below.
fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|factor| factor * power).find(|round| *round <= value).unwrap_or(power)
}

/// The next 1, 2 or 5 times a power of ten above.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|round| *round >= value).unwrap_or(power * 10.0)
}

/// A labelled value as it is written: no digit more than it needs.
pub(super) fn show(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, values: &[f64]) -> Range {
        Range::of(scale, values.iter().map(|&value| Point { middle: value, low: value, high: value }))
    }

    fn shown(range: Range) -> String {
        range.ticks().0.into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_linear_axis_begins_at_0_and_has_round_labels() {
        assert_eq!(shown(range(Scale::Linear, &[3.0, 41.0])), "0 10 20 30 40 50");
        assert_eq!(shown(range(Scale::Linear, &[0.07])), "0 0.02 0.04 0.06 0.08");
        assert_eq!(shown(range(Scale::Linear, &[100.0])), "0 20 40 60 80 100");
        assert_eq!(shown(range(Scale::Linear, &[0.0])), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(shown(range(Scale::Linear, &[])), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(range(Scale::Linear, &[80.0]).place(20.0), 0.25);
    }

    #[test]
    fn a_logarithmic_axis_has_few_labels_however_wide_it_is() {
        assert_eq!(shown(range(Scale::Log, &[30.0, 900.0])), "20 50 100 200 500 1000");
        assert_eq!(shown(range(Scale::Log, &[0.3, 4_000.0])), "1 10 100 1000");
        let decade = range(Scale::Log, &[10.0, 1_000.0]);
        assert!((decade.place(100.0) - 0.5).abs() < 1e-9);
        assert_eq!((decade.place(0.0), decade.place(-1.0), decade.place(1e9)), (0.0, 0.0, 1.0));
    }

    #[test]
    fn no_value_breaks_an_axis() {
        for values in [vec![f64::NAN, f64::INFINITY], vec![f64::MIN_POSITIVE, 1e300], vec![5.0, 5.0], vec![-3.0]] {
            for scale in [Scale::Linear, Scale::Log] {
                let range = range(scale, &values);
                let (labelled, bare) = range.ticks();
                assert!(labelled.len() < 1_000 && bare.len() < 10_000, "{range:?}");
                assert!(values.iter().all(|value| (0.0..=1.0).contains(&range.place(*value))), "{range:?}");
            }
        }
    }
}
