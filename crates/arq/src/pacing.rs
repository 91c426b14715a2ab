//! Pacing: packets leave evenly instead of in bursts that a queue on the way would have to hold.

use std::time::Duration;

use events::Time;

/// Spreads packets over time (RFC 9002 section 7.7), allowing short bursts.
///
/// It keeps one time: when all packets so far would have left on a perfectly even schedule. A sender may be ahead of that
/// schedule by the allowed burst, and no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    schedule: Time,
    burst: Duration,
}

/// A burst this long is always allowed: it is what timers can resolve, and what makes batches worth while.
const BURST: Duration = Duration::from_millis(1);
/// So are this many packets, as in an initial window (RFC 9002 section 7.7).
const BURST_PACKETS: u32 = 10;

impl Pacer {
    pub(crate) fn new() -> Self {
        Pacer { schedule: Time::ZERO, burst: BURST }
    }

    /// When the next packet may leave; none when it may leave now.
    pub(crate) fn waits_until(&self, now: Time) -> Option<Time> {
        let ahead = self.schedule - now;
        (ahead > self.burst).then(|| now + (ahead - self.burst))
    }

    /// A packet of `bytes` bytes left at `now`, at `rate` bytes a second.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64, rate: u64) {
        let takes = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1));
        self.schedule = self.schedule.max(now) + takes;
        self.burst = BURST.max(takes * (BURST_PACKETS - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_of_ten_packets_leave_evenly() {
        // 1000 bytes at 100 000 bytes a second: one every 10 ms.
        let mut pacer = Pacer::new();
        let mut now = Time::ZERO;
        let mut left = Vec::new();
        for _ in 0..13 {
            now = pacer.waits_until(now).unwrap_or(now);
            left.push(now.as_nanos() / 1_000_000);
            pacer.on_sent(now, 1_000, 100_000);
        }
        assert_eq!(left, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30]);
    }

    #[test]
    fn an_idle_hour_earns_no_more_than_one_burst() {
        let mut pacer = Pacer::new();
        pacer.on_sent(Time::ZERO, 1_000, 100_000);
        let later = Time::ZERO + Duration::from_secs(3_600);
        let burst = (0..100).take_while(|_| {
            let free = pacer.waits_until(later).is_none();
            pacer.on_sent(later, 1_000, 100_000);
            free
        });
        assert_eq!(burst.count(), 10);
    }
}
