//! What a sender is told before it begins.

use crate::congestion::{Choice, Congestion, Fixed};
use crate::{Layout, Peer, Policy, wire};

/// What a [`Sender`](crate::Sender) needs to know.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// To whom it sends.
    pub peer: Peer,
    /// The mode.
    pub policy: Policy,
    /// The file, cut into blocks.
    pub layout: Layout,
    /// How the window is found. Raw mode has none and goes by `rate` alone.
    pub congestion: Choice,
    /// The highest rate, in bits per second of datagrams; none for no limit, which in raw mode is
    /// [`SenderConfig::RAW_RATE`].
    pub rate: Option<u64>,
    /// Whether routers may mark its blocks instead of dropping them (ECN), where the mode and the congestion control
    /// would slow down for it.
    pub ecn: bool,
    /// Where its choices (which packet numbers it leaves out) come from. From the operating system's generator at the
    /// edge, so that no peer can guess them.
    pub seed: u64,
    /// Whether anybody will poll its events; if not, it keeps none.
    pub listened_to: bool,
}

impl SenderConfig {
    /// The rate of raw mode where none is given: 10 Mbit/s, which RFC 8085 section 3.1 would have us not exceed unasked.
    pub const RAW_RATE: u64 = 10_000_000;

    /// One number in about this many is left out.
    const SKIP_ONE_IN: u64 = 500;

    /// The length of a full datagram.
    pub(crate) fn datagram(&self) -> u64 {
        u64::from(self.layout.block()) + wire::BLOCK_OVERHEAD as u64
    }

    /// Who would not slow down for a mark must not ask for marks (RFC 3168 section 5).
    pub(crate) fn heeds_marks(&self) -> bool {
        self.ecn && self.policy.is_reliable() && !matches!(self.congestion, Choice::Fixed { .. })
    }

    pub(crate) fn controller(&self) -> Box<dyn Congestion> {
        if self.policy.is_reliable() {
            self.congestion.build(self.datagram())
        } else {
            Box::new(Fixed::window(u64::MAX))
        }
    }

    /// The highest rate in bytes per second.
    pub(crate) fn highest_rate(&self) -> Option<u64> {
        let rate = self.rate.filter(|&rate| rate > 0);
        let rate = if self.policy.is_reliable() { rate } else { Some(rate.unwrap_or(Self::RAW_RATE)) };
        rate.map(|rate| (rate / 8).max(1))
    }

    /// How many packets until the next number is left out, for the `times`-th time: even over one to twice the mean.
    pub(crate) fn next_skip(&self, times: u64) -> u64 {
        // One round of SplitMix64: all that is asked is that the peer cannot tell from outside.
        let mut mixed = (self.seed ^ times).wrapping_add(times.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        1 + (mixed ^ (mixed >> 31)) % (2 * Self::SKIP_ONE_IN)
    }
}
