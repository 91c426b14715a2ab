//! Which losses mean congestion: not the single ones on a path that shows no queue.

use super::{Acked, Congestion, Lost};
use crate::Rtt;

/// Passes on to the controller inside only the losses that look like congestion.
///
/// Reno and CUBIC answer every loss with a smaller window. On a radio link that loses 2 % for reasons of its own, that
/// holds them at `1.2 / sqrt(0.02)`, some nine datagrams a round trip (Mathis et al. 1997), whatever the link could
/// carry. A queue that overflows shows itself in two other ways: the round-trip time rises while it fills, and when it
/// is too short for that, many packets of a round are lost at once. So a loss is held against the window only when
///
/// - the last round trip took a quarter longer than the shortest, and [`Self::LEAST_QUEUE`] longer, or
/// - more than [`Self::MOST_LOSS`] of the last hundred or so packets were lost, or
/// - nothing came through at all (persistent congestion).
///
/// The first rule is TCP Veno's (Fu and Liew 2003), the second BBR's loss threshold with a wider margin. It is a
/// deviation from RFC 9438, made on purpose: `newreno` is there for who wants the letter.
#[derive(Clone, Debug)]
pub struct Tolerant<C> {
    inner: C,
    /// The share of bytes lost, as a moving mean over some 128 datagrams.
    share: f64,
    datagram: f64,
}

impl<C: Congestion> Tolerant<C> {
    /// More than this share lost is congestion, whatever the delay says.
    pub const MOST_LOSS: f64 = 0.06;
    /// Less than this on top of the shortest round trip is no queue but noise.
    pub const LEAST_QUEUE: std::time::Duration = std::time::Duration::from_millis(2);

    /// Guards `inner`, for datagrams of `datagram` bytes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a datagram is far below 2^52 bytes")]
    pub fn new(inner: C, datagram: u64) -> Self {
        Tolerant { inner, share: 0.0, datagram: datagram.max(1) as f64 }
    }

    /// Moves the mean towards `value` by the weight of `bytes`.
    #[expect(clippy::cast_precision_loss, reason = "bytes of one report are far below 2^52")]
    fn count(&mut self, bytes: u64, value: f64) {
        let datagrams = bytes as f64 / self.datagram;
        self.share = value + (self.share - value) * (-datagrams / 128.0).exp();
    }

    fn is_congestion(&self, lost: &Lost) -> bool {
        let (least, latest) = (lost.rtt.least(), lost.rtt.latest());
        let queued = latest > least + (least / 4).max(Self::LEAST_QUEUE);
        queued || self.share > Self::MOST_LOSS || lost.persistent
    }
}

impl<C: Congestion> Congestion for Tolerant<C> {
    fn on_acked(&mut self, acked: &Acked) {
        self.count(acked.bytes, 0.0);
        self.inner.on_acked(acked);
    }

    fn on_lost(&mut self, lost: &Lost) {
        self.count(lost.bytes, 1.0);
        if self.is_congestion(lost) {
            self.inner.on_lost(lost);
        }
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn rate(&self, rtt: &Rtt) -> Option<u64> {
        self.inner.rate(rtt)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Cubic;
    use super::super::tests::{loss, round};
    use super::*;

    #[test]
    fn single_losses_on_an_empty_path_are_not_held_against_the_window() {
        let mut control = Tolerant::new(Cubic::new(1_000), 1_000);
        for number in 0..6 {
            control.on_lost(&loss(number)); // One in ten, twenty, forty …
            round(&mut control, number);
        }
        assert_eq!(control.window(), 640_000);
    }

    #[test]
    fn a_loss_behind_a_queue_is() {
        let mut control = Tolerant::new(Cubic::new(1_000), 1_000);
        let mut queued = loss(1);
        queued.rtt.add(Duration::from_millis(130), Duration::ZERO);
        control.on_lost(&queued);
        assert_eq!(control.window(), 7_000);
    }

    #[test]
    fn so_are_many_losses_whatever_the_delay() {
        let mut control = Tolerant::new(Cubic::new(1_000), 1_000);
        round(&mut control, 0);
        control.on_lost(&Lost { bytes: 9_000, ..loss(1) });
        assert!(control.window() < 20_000);
    }
}
