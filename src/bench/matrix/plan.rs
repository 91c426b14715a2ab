//! What is measured in which order, and how long the rest will take.

use std::time::Duration;

use serde::Serialize;

use super::mode::Mode;

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// How the bytes travel.
    pub mode: Mode,
    /// How many clients at once.
    pub clients: u16,
    /// How large the file is.
    #[serde(rename = "size_bytes")]
    pub size: u64,
}

/// One measurement of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which cell, in the plan's list.
    pub cell: usize,
    /// Which round, counted from 1.
    pub round: u16,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Plan {
    cells: Vec<Cell>,
    rounds: u16,
}

impl Plan {
    /// Each of these cells once a round.
    #[must_use]
    pub fn new(cells: Vec<Cell>, rounds: u16) -> Self {
        Plan { cells, rounds }
    }

    /// The cells.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// How often each is measured.
    #[must_use]
    pub fn rounds(&self) -> u16 {
        self.rounds
    }

    /// The runs, in order. Rounds are interleaved, so that what else the machine does meets every cell alike; every
    /// other round goes backwards, so that a machine that becomes slower does not favour what comes first.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for round in 1..=self.rounds {
            let mut order: Vec<usize> = (0..self.cells.len()).collect();
            if round % 2 == 0 {
                order.reverse();
            }
            runs.extend(order.into_iter().map(|cell| Run { cell, round }));
        }
        runs
    }
}

/// Guesses how long runs take: from earlier rounds of the same cell, before that from other cells of its mode.
#[derive(Debug)]
pub(super) struct Estimate {
    cells: Vec<Cell>,
    /// What each would take if nothing were known.
    guesses: Vec<f64>,
    /// How often each was measured, and how long that took in all.
    measured: Vec<(u32, f64)>,
}

/// Starting and stopping programs, in seconds; and how many bytes a second a middling machine carries.
const OVERHEAD: f64 = 0.3;
const FAST: f64 = 5e8;
const STOP_AND_WAIT: f64 = 5e7;

impl Estimate {
    /// Knows nothing yet, but how long classic clients wait for nothing, and the pace of raw transfers in bit/s.
    #[must_use]
    pub(super) fn new(plan: &Plan, silence: Duration, raw_bitrate: u64) -> Self {
        let guess = |cell: &Cell| {
            let all = float(cell.size) * f64::from(cell.clients);
            OVERHEAD
                + match cell.mode {
                    Mode::Classic => silence.as_secs_f64() + all / FAST,
                    Mode::Blocks(policy) if !policy.is_reliable() => {
                        (float(cell.size) * 8.0 / float(raw_bitrate.max(1))).max(all / FAST)
                    }
                    Mode::Blocks(arq::policy::Policy::STOP_AND_WAIT) => all / STOP_AND_WAIT,
                    Mode::Blocks(_) | Mode::Tcp => all / FAST,
                }
        };
        let guesses = plan.cells.iter().map(guess).collect();
        Estimate { cells: plan.cells.clone(), guesses, measured: vec![(0, 0.0); plan.cells.len()] }
    }

    /// A run of a cell took so long.
    pub(super) fn learn(&mut self, cell: usize, took: Duration) {
        if let Some((count, all)) = self.measured.get_mut(cell) {
            *count += 1;
            *all += took.as_secs_f64();
        }
    }

    /// How long these runs will take.
    #[must_use]
    pub(super) fn of(&self, runs: &[Run]) -> Duration {
        let seconds: f64 = runs.iter().map(|run| self.of_cell(run.cell)).sum();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    fn of_cell(&self, cell: usize) -> f64 {
        let (Some(&(count, all)), Some(guess), Some(about)) =
            (self.measured.get(cell), self.guesses.get(cell), self.cells.get(cell))
        else {
            return 0.0;
        };
        if count > 0 {
            return all / f64::from(count);
        }
        // As wrong as the guesses about the same mode were, or about all.
        let same = self.error(|other| other.mode == about.mode);
        guess * same.or_else(|| self.error(|_| true)).unwrap_or(1.0)
    }

    /// What was measured of these cells, as a ratio to what was guessed.
    fn error(&self, which: impl Fn(&Cell) -> bool) -> Option<f64> {
        let (mut took, mut guessed) = (0.0, 0.0);
        for ((cell, guess), (count, all)) in self.cells.iter().zip(&self.guesses).zip(&self.measured) {
            if which(cell) {
                took += all;
                guessed += guess * f64::from(*count);
            }
        }
        (guessed > 0.0).then(|| took / guessed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(number: u64) -> f64 {
    number as f64
}

/// About how long, as people say it: `40 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub(super) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let cell = |mode: &str, clients| Cell { mode: mode.parse().unwrap(), clients, size: 1 << 20 };
        Plan::new(vec![cell("tcp", 1), cell("raw", 1), cell("tcp", 5)], 2)
    }

    #[test]
    fn every_cell_is_in_every_round_once_and_every_other_round_goes_backwards() {
        let runs: Vec<(usize, u16)> = plan().runs().iter().map(|run| (run.cell, run.round)).collect();
        assert_eq!(runs, [(0, 1), (1, 1), (2, 1), (2, 2), (1, 2), (0, 2)]);
    }

    #[test]
    fn what_was_measured_replaces_what_was_guessed() {
        let plan = plan();
        let mut estimate = Estimate::new(&plan, Duration::from_secs(1), 1_000_000_000);
        let before = estimate.of(&plan.runs());
        assert!(before > Duration::from_secs(1) && before < Duration::from_secs(10), "{before:?}");
        let run = |cell| Run { cell, round: 1 };
        let (guess, others) = (estimate.of(&[run(0)]), estimate.of(&[run(2)]));
        estimate.learn(0, guess * 4);
        assert_eq!(estimate.of(&[run(0)]), guess * 4, "the same cell");
        let other = estimate.of(&[run(2)]).as_secs_f64() / others.as_secs_f64();
        assert!((other - 4.0).abs() < 0.01, "another of the same mode is as much slower: {other}");
        assert!(estimate.of(&[]).is_zero() && estimate.of(&[run(99)]).is_zero());
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (millis, said) in [(1, "1 s"), (59_001, "1 min 0 s"), (200_000, "3 min 20 s"), (7_500_000, "2 h 5 min")] {
            assert_eq!(about(Duration::from_millis(millis)), said);
        }
    }
}
