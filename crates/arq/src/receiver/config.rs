//! What a receiver is told before it begins.

use std::time::Duration;

use crate::congestion::Choice;
use crate::{FileId, Layout, Peer, Policy, RangeSet};

/// What a [`Receiver`](crate::Receiver) needs to know.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Whom it asks.
    pub peer: Peer,
    /// The mode.
    pub policy: Policy,
    /// The file, cut into blocks.
    pub layout: Layout,
    /// Which file of the catalogue.
    pub file: FileId,
    /// The hash it had in the catalogue.
    pub hash: [u8; 32],
    /// The rate to ask for, in bits per second; zero leaves it to the sender.
    pub rate: u64,
    /// The congestion control to ask for; none leaves it to the sender, as a window that never changes does.
    pub congestion: Option<Choice>,
    /// Whether it is told how routers marked what comes (ECN).
    pub ecn: bool,
    /// The blocks that are here already, and right: a transfer that resumes begins with some.
    pub held: RangeSet,
    /// How many blocks may be on the way, or wait for the disk, at once.
    pub credit: u32,
    /// The round-trip time the handshake took, where it is known.
    pub rtt: Option<Duration>,
    /// Whether anybody will poll its events; if not, it keeps none.
    pub listened_to: bool,
}

impl ReceiverConfig {
    /// The credit where nothing speaks for another: some 2 MB of ordinary datagrams.
    pub const CREDIT: u32 = 2_048;

    /// How long to wait for the sender's first packet before asking again: three round trips, and a second when the
    /// round trip is not known (RFC 6298 section 2.1).
    pub(crate) fn open_again(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(50);
        const MOST: Duration = Duration::from_secs(1);
        self.rtt.map_or(MOST, |rtt| (rtt * 3).max(LEAST).min(MOST.max(rtt * 2)))
    }
}
