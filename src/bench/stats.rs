//! What several runs say together: their median and how far they lie apart; and how evenly several clients were served.

use serde::{Deserialize, Serialize};

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of them are not below, half not above.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many there are.
    pub n: usize,
}

impl Spread {
    /// Of these values; none where there are none that are numbers.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: below.midpoint(above), min, max, n: values.len() })
    }

    /// Whether both could be measurements of the same thing: their ranges meet.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// Jain's fairness index of what each of several clients got: 1 when all got the same, 1/n when one got everything.
#[must_use]
pub fn jain(shares: &[f64]) -> Option<f64> {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    #[expect(clippy::cast_precision_loss, reason = "thousands of clients at most")]
    let index = sum * sum / (squares * shares.len() as f64);
    index.is_finite().then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let odd = Spread::of([5.0, 1.0, 3.0]).unwrap();
        assert_eq!(odd, Spread { median: 3.0, min: 1.0, max: 5.0, n: 3 });
        let even = Spread::of([4.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!(even, Spread { median: 3.0, min: 1.0, max: 9.0, n: 4 });
        assert_eq!(Spread::of([7.0]).unwrap().median, 7.0);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None, "what is no number never reaches a result");
    }

    #[test]
    fn ranges_that_meet_say_nothing_changed() {
        let spread = |min, max| Spread { median: min, min, max, n: 3 };
        assert!(spread(1.0, 3.0).meets(&spread(2.0, 4.0)));
        assert!(spread(2.0, 4.0).meets(&spread(1.0, 3.0)));
        assert!(!spread(1.0, 2.0).meets(&spread(2.1, 3.0)));
    }

    #[test]
    fn fairness_is_one_for_equals_and_one_nth_for_a_monopoly() {
        assert_eq!(jain(&[2.0, 2.0, 2.0, 2.0]), Some(1.0));
        assert_eq!(jain(&[8.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[]), None);
        assert_eq!(jain(&[0.0, 0.0]), None);
    }
}
