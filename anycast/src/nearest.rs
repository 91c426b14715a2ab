//! Which replica is nearest: the smallest smoothed connect time, with a look at the others now and then. Pure.

use std::time::Duration;

/// One connection in so many goes to another candidate than the nearest, in turn: what was far may have come near.
const EXPLORE_EVERY: u64 = 16;

/// How much a new measurement counts: one eighth, as for TCP's smoothed round-trip time (RFC 6298 section 2).
const WEIGHT: u32 = 8;

/// What a failed connect counts for: longer than any that works, short enough to be forgiven.
const PENALTY: Duration = Duration::from_secs(10);

/// What was measured so far.
#[derive(Clone, Debug)]
pub struct Nearest {
    estimates: Vec<Option<Duration>>,
    asked: u64,
    explore: usize,
}

impl Nearest {
    /// Nothing is known of `candidates` candidates, numbered from 0.
    #[must_use]
    pub fn new(candidates: usize) -> Self {
        Nearest { estimates: vec![None; candidates], asked: 0, explore: 0 }
    }

    /// The order for the next connection: the nearest first. Candidates never measured come before all others, and each
    /// sixteenth connection tries another one, so that measuring never stops.
    pub fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.estimates.len()).collect();
        // None sorts before every measured time.
        order.sort_by_key(|&index| self.estimates.get(index).copied().flatten());
        let knows_all = self.estimates.iter().all(Option::is_some);
        self.asked += 1;
        if knows_all && self.asked.is_multiple_of(EXPLORE_EVERY) && order.len() > 1 {
            self.explore = self.explore % (order.len() - 1) + 1;
            order.swap(0, self.explore);
        } else if !knows_all {
            // Many may start before the first has come back: they spread over those that nobody has measured yet.
            let unknown = self.estimates.iter().filter(|estimate| estimate.is_none()).count();
            self.explore = (self.explore + 1) % unknown.max(1);
            if let Some(first) = order.get_mut(..unknown) {
                first.rotate_left(self.explore)
            }
        }
        order
    }

    /// Connecting to this candidate took so long.
    pub fn measured(&mut self, candidate: usize, took: Duration) {
        if let Some(estimate) = self.estimates.get_mut(candidate) {
            *estimate = Some(match *estimate {
                Some(before) => (before * (WEIGHT - 1) + took) / WEIGHT,
                None => took,
            });
        }
    }

    /// This candidate could not be reached.
    pub fn failed(&mut self, candidate: usize) {
        if let Some(estimate) = self.estimates.get_mut(candidate) {
            *estimate = Some(PENALTY);
        }
    }

    /// The smoothed connect time of each candidate, where one is known.
    #[must_use]
    pub fn estimates(&self) -> &[Option<Duration>] {
        &self.estimates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs `rounds` connections against candidates with these connect times; how often each was asked.
    fn play(nearest: &mut Nearest, times: &[u32], rounds: usize) -> Vec<usize> {
        let mut asked = vec![0; times.len()];
        for _ in 0..rounds {
            let picked = nearest.order()[0];
            asked[picked] += 1;
            nearest.measured(picked, MS * times[picked]);
        }
        asked
    }

    #[test]
    fn each_is_measured_once_and_then_the_nearest_gets_nearly_all() {
        let mut nearest = Nearest::new(3);
        let asked = play(&mut nearest, &[30, 5, 60], 163);
        assert!(asked[1] >= 145, "{asked:?}");
        assert!(asked[0] >= 2 && asked[2] >= 2, "{asked:?}");
    }

    #[test]
    fn one_that_comes_near_is_found() {
        let mut nearest = Nearest::new(2);
        play(&mut nearest, &[5, 50], 100);
        let asked = play(&mut nearest, &[50, 5], 400);
        assert!(asked[1] > 250, "{asked:?}");
    }

    #[test]
    fn one_that_fails_goes_to_the_end_and_is_forgiven() {
        let mut nearest = Nearest::new(2);
        play(&mut nearest, &[5, 50], 10);
        nearest.failed(0);
        assert_eq!(nearest.order(), [1, 0]);
        let asked = play(&mut nearest, &[5, 50], 2_000);
        assert!(asked[0] > 500, "{asked:?}");
    }

    #[test]
    fn many_that_start_before_anything_is_known_ask_all() {
        let mut nearest = Nearest::new(4);
        let mut firsts: Vec<usize> = (0..4).map(|_| nearest.order()[0]).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2, 3]);
    }
}
