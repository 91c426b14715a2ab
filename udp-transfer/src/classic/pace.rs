//! When the next datagram is due at a given rate, and how much of something may happen in a second.

use std::num::NonZeroU64;
use std::time::Duration;

use events::Time;

/// How much lateness is made good in one go. What a slept-over thread owes beyond it is forgiven: sent all at once, it
/// would overflow the very buffers that pacing is there to spare.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Says when each datagram may go, so that the rate is never exceeded for longer than 10 ms.
#[derive(Clone, Debug)]
pub struct Pacer {
    rate: NonZeroU64,
    next: Time,
}

impl Pacer {
    /// Paces from `now` on, at `rate` bit/s of payload.
    #[must_use]
    pub fn new(rate: NonZeroU64, now: Time) -> Self {
        Pacer { rate, next: now }
    }

    /// How long the next datagram has to wait, at `now`.
    #[must_use]
    pub fn wait(&self, now: Time) -> Duration {
        self.next.since(now)
    }

    /// Notes that a datagram of `bytes` goes at `now`.
    pub fn sent(&mut self, bytes: usize, now: Time) {
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.rate.get());
        let owed = now.since(self.next);
        let start = self.next + owed.saturating_sub(CATCH_UP);
        self.next = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    }
}

/// The rate in bytes per second of `bytes` in `elapsed`; zero when no time passed.
#[must_use]
pub fn bytes_per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = (u128::from(bytes) * 1_000_000_000).checked_div(elapsed.as_nanos()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// At most so many of something a second.
#[derive(Clone, Debug)]
pub struct Allowance {
    per_second: u32,
    second: Time,
    used: u32,
}

impl Allowance {
    /// Allows `per_second`.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Allowance { per_second, second: Time::ZERO, used: 0 }
    }

    /// Whether one more may happen at `now`; takes it.
    pub fn take(&mut self, now: Time) -> bool {
        if now.since(self.second) >= Duration::from_secs(1) {
            (self.second, self.used) = (now, 0);
        }
        let is_allowed = self.used < self.per_second;
        self.used += u32::from(is_allowed);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_fresh_every_second() {
        let (mut allowance, start) = (Allowance::new(2), Time::from_nanos(5_000_000_000));
        let taken: Vec<bool> = (0..4).map(|n| allowance.take(start + Duration::from_millis(n))).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(!allowance.take(start + Duration::from_millis(999)));
        assert!(allowance.take(start + Duration::from_secs(1)));
    }

    /// At 8 Mbit/s a datagram of 1,000 bytes takes 1 ms.
    fn pacer() -> (Pacer, Time) {
        let start = Time::from_nanos(1 << 60);
        (Pacer::new(NonZeroU64::new(8_000_000).unwrap(), start), start)
    }

    #[test]
    fn the_first_goes_at_once_and_each_waits_for_the_one_before() {
        let (mut pacer, start) = pacer();
        let mut now = start;
        for _ in 0..1_000 {
            now += pacer.wait(now);
            pacer.sent(1_000, now);
        }
        assert_eq!(pacer.next.since(start), Duration::from_secs(1), "a megabyte a second");
    }

    #[test]
    fn a_little_lateness_is_made_good_and_much_is_forgiven() {
        let (mut pacer, start) = pacer();
        pacer.sent(1_000, start);
        pacer.sent(1_000, start + Duration::from_millis(5));
        assert_eq!(pacer.next, start + Duration::from_millis(2), "4 ms late: all of it is owed");
        pacer.sent(1_000, start + Duration::from_secs(1));
        let burst = (0..1_000).take_while(|_| {
            let free = pacer.wait(start + Duration::from_secs(1)).is_zero();
            pacer.sent(1_000, start + Duration::from_secs(1));
            free
        });
        assert_eq!(burst.count(), 10, "not the 998 that a second would have held");
    }

    #[test]
    fn the_slowest_rate_saturates_instead_of_wrapping() {
        let mut pacer = Pacer::new(NonZeroU64::MIN, Time::ZERO);
        pacer.sent(usize::MAX, Time::ZERO);
        assert_eq!(pacer.next, Time::MAX);
    }

    #[test]
    fn bytes_per_second_of_any_size_and_time() {
        assert_eq!(bytes_per_second(5 << 30, Duration::from_secs(5)), 1 << 30);
        assert_eq!(bytes_per_second(7, Duration::ZERO), 0);
        assert_eq!(bytes_per_second(u64::MAX, Duration::from_nanos(1)), u64::MAX);
    }
}
