//! CUBIC as in RFC 9438: after a loss the window grows along a cubic curve back to where the loss was, and beyond.

use events::Time;

use super::hystart::{HyStart, Pace};
use super::{Acked, Congestion, Lost, Marked, initial_window, paced};
use crate::Rtt;

/// How steep the curve is (section 5), in datagrams per second cubed.
const C: f64 = 0.4;
/// What is left of the window after a loss (section 4.6).
const BETA: f64 = 0.7;
/// The same after a mark, once slow start is over: RFC 8511 section 3.1. Who marks does so before a queue that is meant to
/// be short, and where half of a short queue were given up for each mark, the line would run empty.
const BETA_MARKED: f64 = 0.85;
/// The smallest window, in datagrams. RFC 9002 section 7.2 recommends two; with four, one loss can still be seen by the
/// packets after it instead of by a time-out, which at 20 or 30 % loss makes all the difference. BBR keeps four as well.
const SMALLEST: f64 = 4.0;

/// Grows by the time since the last loss instead of by round trips, so that long paths are not left behind.
#[derive(Clone, Copy, Debug)]
pub struct Cubic {
    datagram: u64,
    /// In datagrams, like everything here that is a fraction.
    window: f64,
    threshold: f64,
    /// The window at the last loss: where the curve is flat (`W_max`).
    flat: f64,
    /// When the curve begins, and the window then; none until the first packet arrives after a loss.
    epoch: Option<(Time, f64)>,
    /// What a NewReno flow would have by now (`W_est`, section 4.3).
    estimate: f64,
    recovery_start: Option<Time>,
    hystart: HyStart,
}

impl Cubic {
    /// For datagrams of `datagram` bytes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52 bytes")]
    pub fn new(datagram: u64) -> Self {
        let datagram = datagram.max(1);
        Cubic {
            datagram,
            window: initial_window(datagram) as f64 / datagram as f64,
            threshold: f64::INFINITY,
            flat: 0.0,
            epoch: None,
            estimate: 0.0,
            recovery_start: None,
            hystart: HyStart::new(),
        }
    }

    /// The same, from a window that was found otherwise: slow start is over.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52 bytes")]
    pub(crate) fn from(datagram: u64, window: u64) -> Self {
        let new = Cubic::new(datagram);
        let window = (window as f64 / new.datagram as f64).max(SMALLEST);
        Cubic { window, threshold: window, flat: window, ..new }
    }

    /// The same, with another window.
    #[must_use]
    pub(crate) fn moved_to(self, datagram: u64, window: u64) -> Self {
        Cubic { recovery_start: self.recovery_start, ..Cubic::from(datagram, window) }
    }

    fn in_recovery(&self, sent: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent <= start)
    }

    /// What is left of the window is `beta`, once for all that was sent before it.
    fn on_congestion(&mut self, now: Time, sent: Time, beta: f64) {
        if self.in_recovery(sent) {
            return;
        }
        self.recovery_start = Some(now);
        self.hystart = HyStart::new();
        self.epoch = None;
        // Section 4.7, fast convergence: a flow that lost before it was back gives room to others.
        self.flat = if self.window < self.flat { self.window * (1.0 + beta) / 2.0 } else { self.window };
        self.window = (self.window * beta).max(SMALLEST);
        self.threshold = self.window;
    }

    /// Section 4.2 to 4.5: one report's worth of growth in congestion avoidance.
    fn avoid_congestion(&mut self, acked: &Acked, arrived: f64) {
        let (start, began_with) = *self.epoch.get_or_insert_with(|| {
            self.estimate = self.window;
            (acked.now, self.window)
        });
        // K, the time the curve takes to come back to where it is flat (equation 2).
        let k = ((self.flat - began_with).max(0.0) / C).cbrt();
        let flat = self.flat.max(began_with);
        let t = (acked.now - start + acked.rtt.smoothed()).as_secs_f64();
        let curve = C * (t - k).powi(3) + flat;
        // Section 4.2: the target is one round trip ahead, at least the window and at most half as much again.
        let target = curve.clamp(self.window, 1.5 * self.window);

        // Section 4.3: the Reno-friendly region. Its slope makes up for the gentler decrease.
        let alpha = if self.estimate >= self.flat { 1.0 } else { 3.0 * (1.0 - BETA) / (1.0 + BETA) };
        self.estimate += alpha * arrived / self.window;

        self.window += (target - self.window) / self.window * arrived; // Sections 4.4 and 4.5.
        self.window = self.window.max(self.estimate);
    }
}

impl Congestion for Cubic {
    #[expect(clippy::cast_precision_loss, reason = "bytes of one report are far below 2^52")]
    fn on_acked(&mut self, acked: &Acked) {
        if self.in_recovery(acked.sent) || !acked.window_limited {
            return;
        }
        let arrived = acked.bytes as f64 / self.datagram as f64;
        if self.window < self.threshold {
            // Section 4.10 recommends HyStart++ for slow start.
            match self.hystart.on_acked(acked) {
                Pace::Full => self.window += arrived,
                Pace::Quarter => self.window += arrived / 4.0,
                Pace::Over => self.threshold = self.window,
            }
        } else {
            self.avoid_congestion(acked, arrived);
        }
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.on_congestion(lost.now, lost.sent, BETA);
        if lost.persistent {
            self.window = SMALLEST; // Section 4.8, and RFC 9002 section 7.6.2.
            self.recovery_start = None;
            self.epoch = None;
        }
    }

    /// As a loss, but gentler (RFC 8511), and nothing has to be sent again.
    fn on_marked(&mut self, marked: &Marked) {
        let beta = if self.window < self.threshold { BETA } else { BETA_MARKED };
        self.on_congestion(marked.now, marked.sent, beta);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "never negative, and a float too large for the integer saturates"
    )]
    fn window(&self) -> u64 {
        (self.window * self.datagram as f64) as u64
    }

    fn rate(&self, rtt: &Rtt) -> Option<u64> {
        paced(self.window(), rtt, self.window < self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, loss, round, rtt};
    use super::*;

    #[test]
    fn the_curve_comes_back_slowly_and_then_goes_beyond() {
        let mut cubic = Cubic::new(1_000);
        for number in 0..4 {
            round(&mut cubic, number);
        }
        let before = cubic.window();
        assert_eq!(before, 160_000);
        cubic.on_lost(&loss(4));
        assert_eq!(cubic.window(), 112_000);
        let mut curve = Vec::new();
        for number in 5..90 {
            round(&mut cubic, number);
            curve.push(cubic.window());
        }
        assert!(curve.is_sorted());
        // K is the cube root of 48 / 0.4, or 4.9 s: 49 round trips of 100 ms.
        let flat = curve[44..52].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(flat < 1_000, "flat near the old window, but grew by {flat}");
        assert!((155_000..165_000).contains(&curve[46]), "{}", curve[46]);
        assert!(curve[84] > 175_000, "and beyond: {}", curve[84]);
    }

    #[test]
    fn a_small_window_grows_no_slower_than_reno() {
        let mut cubic = Cubic::new(1_000);
        cubic.on_lost(&loss(1));
        let start = cubic.window();
        for number in 2..12 {
            round(&mut cubic, number);
        }
        // Ten round trips at 3 * 0.3 / 1.7 = 0.53 datagrams each, at least until the old window.
        assert!(cubic.window() >= start + 3_000, "{} after {start}", cubic.window());
    }

    #[test]
    fn any_numbers_leave_a_finite_window_of_at_least_four_datagrams() {
        let mut cubic = Cubic::new(1_200);
        for step in 0..2_000_u64 {
            if step % 7 == 0 {
                cubic.on_lost(&Lost { persistent: step % 3 == 0, sent: at(step * 90), ..loss(step) });
            }
            let (bytes, now) = (step * step % 50_000, at(step * step * 1_000));
            let (sent, rtt) = (at(step * 100), rtt(step % 5_000));
            cubic.on_acked(&Acked { now, bytes, sent, in_flight: 0, window_limited: true, rtt, sample: None });
            assert!(cubic.window() >= 4_800 && cubic.window.is_finite());
        }
    }
}
