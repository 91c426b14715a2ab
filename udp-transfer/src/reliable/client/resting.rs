//! When to leave the socket alone for a moment: what comes one by one, and fast, is cheaper to take in heaps.

use std::time::Duration;

use events::Time;

/// How long what comes is left to gather. The kernel adds some 50 µs to that; a sender's window has room for 2 ms of it.
const REST: Duration = Duration::from_micros(100);
/// A stream is fast when so many datagrams come in four rests.
const MANY: u32 = 32;
const FAST: Duration = Duration::from_micros(400);

/// How many datagrams must fit in the socket's buffer for that.
pub(super) const LEAST_CREDIT: u32 = 128;

/// Watches how fast datagrams come.
///
/// Who waits for a socket is woken by the first datagram, takes what little is there, and sleeps again: with one datagram
/// a packet that is a wake-up for every few, which costs either side more than the datagrams do. Network cards that
/// interrupt each packet have the same trouble and the same cure.
#[derive(Debug)]
pub(super) struct Resting {
    since: Time,
    came: u32,
    is_fast: bool,
}

impl Resting {
    /// From `now` on.
    pub(super) fn new(now: Time) -> Self {
        Resting { since: now, came: 0, is_fast: false }
    }

    /// Notes that `came` datagrams were taken by `now`. Gives how long to rest where none is left, if more come so soon that
    /// it is worth it.
    pub(super) fn after(&mut self, now: Time, came: usize) -> Option<Duration> {
        self.came = self.came.saturating_add(u32::try_from(came).unwrap_or(u32::MAX));
        if self.came >= MANY {
            let expected = FAST.saturating_mul(self.came) / MANY;
            (self.is_fast, self.since, self.came) = (now - self.since <= expected, now, 0);
        }
        (self.is_fast && came > 0).then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 100 looks end in a rest, when each finds what came since the last one, one each `micros`.
    fn rests(micros: u64) -> usize {
        let (mut now, mut resting) = (Time::ZERO, Resting::new(Time::ZERO));
        let (mut taken, mut rests) = (0, 0);
        for _ in 0..100 {
            now += Duration::from_micros(micros);
            let sent = now.as_nanos() / 1_000 / micros;
            if let Some(rest) = resting.after(now, usize::try_from(sent - taken).unwrap()) {
                rests += 1;
                now += rest;
            }
            taken = sent;
        }
        rests
    }

    #[test]
    fn only_a_fast_stream_is_left_to_gather() {
        // A gigabit a second in Ethernet's packets, and faster; half of that, and one block in a round trip.
        assert!([12, 5, 1].into_iter().all(|micros| rests(micros) > 60));
        assert!([24, 100, 25_000].into_iter().all(|micros| rests(micros) == 0));
    }

    #[test]
    fn a_stream_that_became_slow_is_looked_at_at_once() {
        let (mut now, mut resting) = (Time::ZERO, Resting::new(Time::ZERO));
        assert_eq!(resting.after(now, 64), Some(REST));
        for _ in 0..MANY {
            now += Duration::from_millis(1);
            resting.after(now, 1);
        }
        assert_eq!(resting.after(now, 1), None);
        assert_eq!(resting.after(now, 0), None);
    }
}
