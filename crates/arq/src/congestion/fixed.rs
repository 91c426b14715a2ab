//! No congestion control: a window or a rate somebody chose.

use super::{Acked, Congestion, Lost, Marked};
use crate::Rtt;

/// A window, and perhaps a rate, that nothing changes.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    window: u64,
    rate: Option<u64>,
}

impl Fixed {
    /// A window of so many bytes, unpaced.
    #[must_use]
    pub const fn window(window: u64) -> Self {
        Fixed { window, rate: None }
    }

    /// A rate in bytes a second, with no window.
    #[must_use]
    pub const fn rate(rate: u64) -> Self {
        Fixed { window: u64::MAX, rate: Some(rate) }
    }
}

impl Congestion for Fixed {
    fn on_acked(&mut self, _: &Acked) {}

    fn on_lost(&mut self, _: &Lost) {}

    fn on_marked(&mut self, _: &Marked) {}

    fn window(&self) -> u64 {
        self.window
    }

    fn rate(&self, _: &Rtt) -> Option<u64> {
        self.rate
    }
}
