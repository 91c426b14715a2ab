//! HyStart++ as in RFC 9406: leaving slow start when the round-trip time rises, before the queue overflows.

use std::time::Duration;

use events::Time;

use super::Acked;

/// Watches round after round of slow start for a rising round-trip time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HyStart {
    /// A round ends when a packet that was sent after its start has arrived.
    round_start: Time,
    least_before: Duration,
    least_now: Duration,
    samples: u32,
    /// Conservative slow start: how many rounds of it, and the round-trip time below which it was a false alarm.
    conservative: Option<(u32, Duration)>,
}

/// How fast slow start may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The window grows by what arrives.
    Full,
    /// By a quarter of it.
    Quarter,
    /// Slow start is over.
    Over,
}

/// RFC 9406 section 4.3.
const LEAST_RISE: Duration = Duration::from_millis(4);
const MOST_RISE: Duration = Duration::from_millis(16);
const ENOUGH_SAMPLES: u32 = 8;
const CONSERVATIVE_ROUNDS: u32 = 5;

impl HyStart {
    pub(crate) fn new() -> Self {
        HyStart {
            round_start: Time::ZERO,
            least_before: Duration::MAX,
            least_now: Duration::MAX,
            samples: 0,
            conservative: None,
        }
    }

    /// A report came in slow start.
    pub(crate) fn on_acked(&mut self, acked: &Acked) -> Pace {
        if acked.sent >= self.round_start {
            self.round_start = acked.now;
            self.least_before = self.least_now;
            self.least_now = Duration::MAX;
            self.samples = 0;
            if let Some((rounds, _)) = &mut self.conservative {
                *rounds += 1;
            }
        }
        self.least_now = self.least_now.min(acked.rtt.latest());
        self.samples += 1;
        let judged = self.samples >= ENOUGH_SAMPLES && self.least_before < Duration::MAX;
        match self.conservative {
            None if judged => {
                let rise = (self.least_before / 8).clamp(LEAST_RISE, MOST_RISE);
                if self.least_now >= self.least_before + rise {
                    self.conservative = Some((0, self.least_now));
                }
            }
            Some((_, baseline)) if judged && self.least_now < baseline => self.conservative = None,
            None | Some(_) => {}
        }
        match self.conservative {
            None => Pace::Full,
            Some((rounds, _)) if rounds < CONSERVATIVE_ROUNDS => Pace::Quarter,
            Some(_) => Pace::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, rtt};
    use super::*;

    /// One round of ten reports with this round-trip time; the pace after the last.
    fn round(hystart: &mut HyStart, number: u64, millis: u64) -> Pace {
        let mut pace = Pace::Full;
        for _ in 0..10 {
            let (now, sent) = (at(200 * (number + 1)), at(200 * number));
            let acked =
                Acked { now, bytes: 1_000, sent, in_flight: 0, window_limited: true, rtt: rtt(millis), sample: None };
            pace = hystart.on_acked(&acked);
        }
        pace
    }

    #[test]
    fn a_rising_round_trip_slows_down_and_then_ends_slow_start() {
        let mut hystart = HyStart::new();
        assert_eq!([round(&mut hystart, 0, 100), round(&mut hystart, 1, 100)], [Pace::Full; 2]);
        assert_eq!(round(&mut hystart, 2, 120), Pace::Quarter);
        assert_eq!((3..7).map(|n| round(&mut hystart, n, 130)).collect::<Vec<_>>(), [Pace::Quarter; 4]);
        assert_eq!(round(&mut hystart, 7, 130), Pace::Over);
    }

    #[test]
    fn a_false_alarm_is_taken_back() {
        let mut hystart = HyStart::new();
        round(&mut hystart, 0, 100);
        assert_eq!(round(&mut hystart, 1, 120), Pace::Quarter);
        assert_eq!(round(&mut hystart, 2, 100), Pace::Full);
    }
}
