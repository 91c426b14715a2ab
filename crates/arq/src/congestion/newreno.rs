//! NewReno as in RFC 9002 section 7 and its appendix B: the reference, written to the letter.

use events::Time;

use super::{Acked, Congestion, Lost, Marked, initial_window, minimum_window, paced};
use crate::Rtt;

/// Doubles in slow start, adds a datagram a round trip after it, halves at a loss.
#[derive(Clone, Copy, Debug)]
pub struct NewReno {
    datagram: u64,
    window: u64,
    threshold: u64,
    /// Losses of packets sent before this belong to a congestion event that has been answered (section 7.3.2).
    recovery_start: Option<Time>,
    /// Bytes that arrived in congestion avoidance and have not yet made the window grow.
    counted: u64,
}

impl NewReno {
    /// For datagrams of `datagram` bytes.
    #[must_use]
    pub fn new(datagram: u64) -> Self {
        let window = initial_window(datagram);
        NewReno { datagram, window, threshold: u64::MAX, recovery_start: None, counted: 0 }
    }

    fn in_recovery(&self, sent: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent <= start)
    }

    /// Appendix B.6: once for all that was sent before it.
    fn on_congestion(&mut self, now: Time, sent: Time) {
        if !self.in_recovery(sent) {
            self.recovery_start = Some(now);
            self.threshold = (self.window / 2).max(minimum_window(self.datagram));
            self.window = self.threshold;
            self.counted = 0;
        }
    }
}

impl Congestion for NewReno {
    fn on_acked(&mut self, acked: &Acked) {
        if self.in_recovery(acked.sent) || !acked.window_limited {
            return;
        }
        if self.window < self.threshold {
            self.window += acked.bytes; // Section 7.3.1.
            return;
        }
        self.counted += acked.bytes; // Section 7.3.3: one datagram for each window that arrived.
        if self.counted >= self.window {
            self.counted -= self.window;
            self.window += self.datagram;
        }
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.on_congestion(lost.now, lost.sent);
        if lost.persistent {
            self.window = minimum_window(self.datagram); // Section 7.6.2.
            self.recovery_start = None;
        }
    }

    /// Section 7.1 and appendix B.7: as a loss, but nothing has to be sent again.
    fn on_marked(&mut self, marked: &Marked) {
        self.on_congestion(marked.now, marked.sent);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn rate(&self, rtt: &Rtt) -> Option<u64> {
        paced(self.window, rtt, self.window < self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{loss, round};
    use super::*;

    #[test]
    fn the_classic_curve() {
        let mut reno = NewReno::new(1_000);
        let mut curve = vec![reno.window() / 1_000];
        for number in 0..8 {
            if number == 4 {
                reno.on_lost(&loss(number));
                reno.on_lost(&loss(number)); // A second loss of the same round trip changes nothing.
                curve.push(reno.window() / 1_000);
            }
            round(&mut reno, number);
            curve.push(reno.window() / 1_000);
        }
        // The round in which the loss was found was sent before it: it brings no growth.
        assert_eq!(curve, [10, 20, 40, 80, 160, 80, 80, 81, 82, 83]);
    }

    #[test]
    fn persistent_congestion_starts_from_the_smallest_window() {
        let mut reno = NewReno::new(1_000);
        round(&mut reno, 0);
        reno.on_lost(&Lost { persistent: true, ..loss(1) });
        assert_eq!(reno.window(), 2_000);
        round(&mut reno, 2);
        assert_eq!(reno.window(), 4_000, "slow start up to the threshold");
    }

    #[test]
    fn a_window_nobody_fills_does_not_grow() {
        let mut reno = NewReno::new(1_000);
        reno.on_acked(&Acked {
            now: Time::ZERO,
            bytes: 1_000,
            sent: Time::ZERO,
            in_flight: 1_000,
            window_limited: false,
            rtt: Rtt::new(),
            sample: None,
        });
        assert_eq!(reno.window(), 10_000);
    }
}
