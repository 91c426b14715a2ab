//! What came of a packet, and what came of a transfer.

use std::time::Duration;

use crate::{BlockNumber, CloseReason, PacketNumber};

/// What a machine made of a packet that was handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a block that is not stored is never reported"]
pub enum Verdict {
    /// Write this block's bytes at its offset, then tell the receiver that it is stored. **Store before you report**:
    /// until then no report claims it.
    Store(BlockNumber),
    /// Understood; there is nothing to do.
    Taken,
    /// Thrown away.
    Ignored(Why),
}

/// Why a packet was thrown away. None of these is an error of ours, and none ends a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is not from the peer of this transfer.
    Foreign,
    /// It is of a kind this end never takes, or does not fit the file.
    Misplaced,
    /// The block is here already.
    Duplicate,
    /// The mode keeps only what is in order.
    OutOfOrder,
    /// There is no room to remember one more hole, or one more block that waits for the disk.
    NoRoom,
    /// The transfer has ended.
    Ended,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every block is stored at the receiver.
    Complete,
    /// Raw mode: all was sent, and so many blocks did not come.
    Holes(u64),
    /// It ended before it was done.
    Failed(Failure),
}

/// Why a transfer ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was heard from the peer for the idle limit.
    #[error("nothing was heard from the peer for {} s", .0.as_secs())]
    Silence(Duration),
    /// The peer closed it.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(CloseReason),
    /// We closed it.
    #[error("closed: {0}")]
    Closed(CloseReason),
    /// The peer broke a rule.
    #[error("{0}")]
    Violation(Violation),
}

/// A rule that was broken by a packet which was well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// An optimistic receiver, or none at all (CVE-2025-4820, CVE-2025-4821).
    #[error("packet {0} was reported as received, but never sent")]
    UnsentPacket(PacketNumber),
    /// The report speaks of blocks behind the file's end.
    #[error("block {0} was reported, but the file has no such block")]
    NoSuchBlock(BlockNumber),
    /// The parts of the report contradict one another.
    #[error("a report contradicts itself")]
    Inconsistent,
    /// Reports that leave blocks in doubt for ever, and have others sent again and again.
    #[error("after {0} packets the reports still settle nothing")]
    NothingSettled(u64),
}

impl Outcome {
    /// Whether every block is in place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Outcome::Complete
    }
}
