//! Round-trip time: how long an answer takes, and how long to wait for one.

use std::time::Duration;

/// The estimator of RFC 6298 with the refinements of RFC 9002 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    latest: Duration,
    smoothed: Duration,
    variation: Duration,
    least: Duration,
    samples: u64,
}

impl Rtt {
    /// What is assumed before the first sample: RFC 9002 section 6.2.2, which makes the first time-out about a second.
    pub const INITIAL: Duration = Duration::from_millis(333);
    /// No clock is finer than this: RFC 9002 section 6.1.2, `kGranularity`.
    pub const GRANULARITY: Duration = Duration::from_millis(1);

    /// Before the first sample (RFC 9002 section 5.3).
    #[must_use]
    pub fn new() -> Self {
        Rtt {
            latest: Self::INITIAL,
            smoothed: Self::INITIAL,
            variation: Self::INITIAL / 2,
            least: Duration::ZERO,
            samples: 0,
        }
    }

    /// Takes a sample: an answer came `sample` after the question, of which the peer itself spent `delay`.
    pub fn add(&mut self, sample: Duration, delay: Duration) {
        self.latest = sample;
        self.samples += 1;
        if self.samples == 1 {
            // RFC 6298 section 2.2.
            self.least = sample;
            self.smoothed = sample;
            self.variation = sample / 2;
            return;
        }
        // RFC 9002 section 5.2: the least is taken from the raw sample, so that no claimed delay can lower it.
        self.least = self.least.min(sample);
        // RFC 9002 section 5.3: the peer's delay is taken off, but never so much that the rest is below the least.
        let adjusted = if sample >= self.least.saturating_add(delay) { sample - delay } else { sample };
        // RFC 6298 section 2.3: alpha is 1/8, beta 1/4, and the variation is updated first.
        self.variation = (self.variation * 3 + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// How long to wait for an answer before asking again, when the peer may put its report off by `report_delay`:
    /// RFC 9002 section 6.2.1, before back-off.
    #[must_use]
    pub fn probe_timeout(&self, report_delay: Duration) -> Duration {
        self.smoothed + (self.variation * 4).max(Self::GRANULARITY) + report_delay
    }

    /// How long after its sending a packet is lost, when a later one has arrived: RFC 9002 section 6.1.2, 9/8 of the
    /// round-trip time.
    #[must_use]
    pub fn loss_delay(&self) -> Duration {
        (self.smoothed.max(self.latest) * 9 / 8).max(Self::GRANULARITY)
    }

    /// The last sample.
    #[must_use]
    pub fn latest(&self) -> Duration {
        self.latest
    }

    /// The smoothed value.
    #[must_use]
    pub fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The smallest sample; zero before the first.
    #[must_use]
    pub fn least(&self) -> Duration {
        self.least
    }

    /// Whether there has been a sample.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.samples > 0
    }
}

impl Default for Rtt {
    fn default() -> Self {
        Rtt::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_time_out_is_about_a_second() {
        assert_eq!(Rtt::new().probe_timeout(Duration::ZERO), ms(333) * 3);
    }

    #[test]
    fn the_first_sample_is_believed_and_later_ones_are_weighed() {
        let mut rtt = Rtt::new();
        rtt.add(ms(100), ms(0));
        assert_eq!((rtt.smoothed(), rtt.probe_timeout(ms(0))), (ms(100), ms(300)));
        rtt.add(ms(180), ms(0));
        assert_eq!(rtt.smoothed(), ms(110));
        assert_eq!(rtt.loss_delay(), ms(180) * 9 / 8);
    }

    #[test]
    fn a_claimed_delay_is_taken_off_but_never_below_the_least() {
        let mut rtt = Rtt::new();
        rtt.add(ms(100), ms(0));
        rtt.add(ms(120), ms(20));
        assert_eq!(rtt.smoothed(), ms(100));
        rtt.add(ms(100), ms(90));
        assert_eq!((rtt.smoothed(), rtt.least()), (ms(100), ms(100)), "a lie about 90 ms changes nothing");
    }

    #[test]
    fn no_sample_breaks_the_arithmetic() {
        let mut rtt = Rtt::new();
        for sample in [Duration::ZERO, Duration::from_secs(86_400 * 30), Duration::ZERO, ms(1)] {
            rtt.add(sample, Duration::from_secs(5_000));
            assert!(rtt.probe_timeout(ms(25)) >= ms(26) && rtt.loss_delay() >= ms(1));
        }
    }
}
