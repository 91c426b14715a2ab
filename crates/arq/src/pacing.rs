//! Pacing: packets leave evenly instead of in bursts that a queue on the way would have to hold.

use std::time::Duration;

use events::Time;

/// Spreads packets over time (RFC 9002 section 7.7), allowing short bursts.
///
/// It keeps one time: when all packets so far would have left on a perfectly even schedule. A sender may be ahead of that
/// schedule by the allowed burst, and no more. Once it is, it waits until a whole batch may leave: one system call hands
/// over 64 KiB as easily as one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    schedule: Time,
    burst: Duration,
    batch: Duration,
    is_waiting: bool,
    /// Whoever was told to wait came back, perhaps late: what could not leave meanwhile may leave now.
    is_late: bool,
}

/// A burst this long is always allowed: it is what timers can resolve, and what makes batches worth while.
const BURST: Duration = Duration::from_millis(1);
/// How much of the time by which a timer came late is made up for: a busy machine is often some milliseconds late, and at
/// each of them, some of the rate would be lost for good.
const CATCH_UP: Duration = Duration::from_millis(10);
/// How long a batch is saved up for at most. Packets that take longer leave one by one.
const BATCH: Duration = Duration::from_micros(500);
/// No more than this is saved up for a batch: what the kernel takes at once.
const BATCH_BYTES: u64 = 1 << 16;
/// So are this many packets, as in an initial window (RFC 9002 section 7.7).
const BURST_PACKETS: u32 = 10;

impl Pacer {
    pub(crate) fn new() -> Self {
        Pacer { schedule: Time::ZERO, burst: BURST, batch: Duration::ZERO, is_waiting: false, is_late: false }
    }

    /// When the next packet may leave; none when it may leave now.
    pub(crate) fn waits_until(&mut self, now: Time) -> Option<Time> {
        let (ahead, enough) = (self.schedule - now, self.burst.saturating_sub(self.batch));
        let was_waiting = self.is_waiting;
        self.is_waiting = ahead > if was_waiting { enough } else { self.burst };
        self.is_late |= was_waiting && !self.is_waiting;
        self.is_waiting.then(|| now + (ahead - enough))
    }

    /// Something else than pacing holds the next packet back: what is not sent meanwhile is not made up for.
    pub(crate) fn pause(&mut self) {
        (self.is_waiting, self.is_late) = (false, false);
    }

    /// A packet of `bytes` bytes left at `now`, at `rate` bytes a second.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64, rate: u64) {
        let takes = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1));
        let behind = if self.is_late { CATCH_UP } else { Duration::ZERO };
        let since = u64::try_from(behind.as_nanos())
            .map_or(now, |nanos| Time::from_nanos(now.as_nanos().saturating_sub(nanos)));
        self.schedule = self.schedule.max(since) + takes;
        self.is_late &= self.schedule < now;
        self.burst = BURST.max(takes.saturating_mul(BURST_PACKETS - 1));
        let packets = u32::try_from(BATCH_BYTES / bytes.max(1)).unwrap_or(u32::MAX);
        self.batch = if takes < BATCH { BATCH.min(takes.saturating_mul(packets)) } else { Duration::ZERO };
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
    fn at_speed_packets_leave_in_batches_and_in_the_mean_at_the_rate() {
        // 1 472 bytes at a gigabit a second: one each 11.8 microseconds.
        let (mut pacer, mut now) = (Pacer::new(), Time::ZERO);
        let mut batches: Vec<u32> = vec![0];
        for _ in 0..10_000 {
            if let Some(until) = pacer.waits_until(now) {
                now = until;
                batches.push(0);
                assert!(pacer.waits_until(now).is_none(), "who comes when told is not sent away");
            }
            *batches.last_mut().unwrap() += 1;
            pacer.on_sent(now, 1_472, 125_000_000);
        }
        assert!(batches[1..batches.len() - 1].iter().all(|batch| (40..=46).contains(batch)), "{batches:?}");
        let even = 10_000 * 11_776;
        assert!((even - 1_000_000..=even).contains(&now.as_nanos()), "{now}");
    }

    #[test]
    fn who_is_woken_late_makes_up_for_it_and_who_had_nothing_to_send_does_not() {
        // A thousand bytes a tenth of a millisecond, and timers that are four milliseconds late.
        for (pauses, least, most) in [(false, 9_900, 10_100), (true, 2_000, 6_500)] {
            let (mut pacer, mut now, mut sent) = (Pacer::new(), Time::ZERO, 0);
            while now < Time::from_nanos(1_000_000_000) {
                match pacer.waits_until(now) {
                    Some(until) => now = until + Duration::from_millis(4),
                    None => {
                        pacer.on_sent(now, 1_000, 10_000_000);
                        sent += 1;
                    }
                }
                if pauses {
                    pacer.pause();
                }
            }
            assert!((least..=most).contains(&sent), "{sent} packets in a second, pausing: {pauses}");
        }
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
