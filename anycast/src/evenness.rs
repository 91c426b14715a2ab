//! Are the shares as even as chance would make them? Pearson's chi-square test. Pure.

use statrs::function::gamma::gamma_ur;

/// Fewer answers than this for each replica, and the test says nothing (the usual rule of thumb).
const LEAST_EXPECTED: f64 = 5.0;

/// Below this, chance is not believed: it would be this uneven once in a thousand runs.
const TOO_UNEVEN: f64 = 0.001;

/// Above this, somebody is keeping count: chance would be this even once in a thousand runs.
const TOO_EVEN: f64 = 0.999;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Evenness {
    /// Pearson's statistic: the sum of (count - expected)² / expected.
    pub chi_square: f64,
    /// Its degrees of freedom: one less than there are replicas.
    pub degrees: usize,
    /// How likely chance alone is at least as uneven, from 0 to 1.
    pub p: f64,
}

/// What to think of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As even as chance would make it.
    Chance,
    /// More uneven than chance: some replica is preferred.
    Uneven,
    /// More even than chance: somebody takes turns.
    Regular,
}

impl Evenness {
    /// What to think of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.p {
            p if p < TOO_UNEVEN => Verdict::Uneven,
            p if p > TOO_EVEN => Verdict::Regular,
            _ => Verdict::Chance,
        }
    }
}

/// Tests these counts against equal shares; `None` where there are fewer than two, or too few answers to say.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn of(counts: &[u64]) -> Option<Evenness> {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    if counts.len() < 2 || expected < LEAST_EXPECTED {
        return None;
    }
    let chi_square: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    let degrees = counts.len() - 1;
    // The upper tail of the chi-square distribution is a regularized incomplete gamma function (NIST handbook 1.3.6.6.6).
    let p = if chi_square > 0.0 { gamma_ur(degrees as f64 / 2.0, chi_square / 2.0) } else { 1.0 };
    Some(Evenness { chi_square, degrees, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_textbook_values_come_out() {
        // Critical values of the upper tail, NIST handbook table 1.3.6.7.4: 5 % at 9.488 with 4 degrees of freedom. Counts
        // of 20±d in the first two of five give d²/10.
        let d = 9.488_f64.mul_add(10.0, 0.0).sqrt();
        let p = gamma_ur(2.0, d * d / 20.0);
        assert!((p - 0.05).abs() < 1e-4, "{p}");
        let evenness = of(&[44, 56]).unwrap();
        assert!((evenness.chi_square - 1.44).abs() < 1e-9 && (evenness.p - 0.2301).abs() < 1e-3, "{evenness:?}");
    }

    #[test]
    fn one_replica_for_all_is_uneven_taking_turns_is_regular_and_dice_are_chance() {
        assert_eq!(of(&[300, 0, 0]).unwrap().verdict(), Verdict::Uneven);
        assert_eq!(of(&[100, 100, 100]).unwrap().verdict(), Verdict::Regular);
        assert_eq!(of(&[93, 112, 95]).unwrap().verdict(), Verdict::Chance);
    }

    #[test]
    fn too_few_answers_say_nothing() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[1_000]), None);
        assert_eq!(of(&[4, 5]), None);
        assert!(of(&[5, 5]).is_some());
    }
}
