//! How unevenly messages arrive: the interarrival jitter of RFC 3550 section 6.4.1, in the arithmetic of appendix A.8.

use std::time::Duration;

use events::Time;

use crate::rtp::{CLOCK_RATE, ticks};

/// The running estimate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jitter {
    /// How long the last message took, on two clocks that are not set alike: only differences mean something.
    transit: Option<u32>,
    /// The estimate in ticks, times 16 so that rounding does not pile up.
    scaled: u32,
}

impl Jitter {
    /// A message sent at `timestamp`, in ticks, came at `now`.
    pub(super) fn hear(&mut self, timestamp: u32, now: Time) {
        let transit = ticks(now).wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            // Whichever clock ran ahead: the shorter way round, so that a wrap of the timestamp is no jump.
            let difference = transit.wrapping_sub(last).min(last.wrapping_sub(transit));
            // A clock that was set shows as one huge difference; an hour's worth is no jitter.
            if difference < CLOCK_RATE * 3600 {
                self.scaled = self.scaled.saturating_add(difference).saturating_sub((self.scaled + 8) >> 4);
            }
        }
    }

    /// The estimate.
    pub(super) fn value(self) -> Duration {
        Duration::from_nanos(u64::from(self.scaled >> 4) * 1_000_000_000 / u64::from(CLOCK_RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages a millisecond (90 ticks) apart that take `delays` ticks.
    fn jitter(delays: impl IntoIterator<Item = u64>, first: u32) -> u32 {
        let mut jitter = Jitter::default();
        for (number, delay) in (0..).zip(delays) {
            let sent = 90 * number;
            let at = Time::from_nanos((sent + delay) * 1_000_000_000 / 90_000 + 1);
            jitter.hear(first.wrapping_add(u32::try_from(sent).unwrap()), at);
        }
        jitter.scaled >> 4
    }

    #[test]
    fn an_even_delay_is_no_jitter_whatever_it_is() {
        assert_eq!(jitter([0; 100], 0), 0);
        assert_eq!(jitter([90_000; 100], 77), 0);
        assert_eq!(jitter([5; 100], u32::MAX - 400), 0, "nor is a wrap of the timestamp");
    }

    #[test]
    fn a_delay_that_alternates_tends_to_its_step() {
        assert!((158..=160).contains(&jitter((0..1000).map(|n| 160 * (n % 2)), 3)));
    }
}
