//! What the two ends of a transfer say to each other, as values: without ids, checksums, or a byte of the file.

use crate::congestion::Choice;
use crate::{BlockNumber, Codepoint, Ecn, FileId, PacketNumber, Peer, Policy, Report};

/// One datagram of a transfer, as the machines see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number, never used before in its direction.
    pub number: PacketNumber,
    /// What it says.
    pub body: Body,
    /// Whether routers may mark it, or one has.
    pub ecn: Codepoint,
}

impl Packet {
    /// One that no router may mark.
    #[must_use]
    pub const fn plain(number: PacketNumber, body: Body) -> Self {
        Packet { number, body, ecn: Codepoint::NotEct }
    }
}

/// What a datagram of a transfer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Receiver to sender: begin. Repeated until the first block comes.
    Open(Open),
    /// Sender to receiver: one block, of so many bytes. The bytes themselves travel beside this value.
    Block(BlockNumber, u16),
    /// Receiver to sender: how things stand.
    Report(Report),
    /// Sender to receiver: I will send no more.
    Done {
        /// How many blocks were sent again.
        again: u64,
        /// Whether the receiver's last word has been heard. If not, this asks for it.
        heard: bool,
        /// What became of its marks.
        ecn: Ecn,
    },
    /// Either way: it ends here, and why.
    Close(CloseReason),
}

/// How a receiver asks for a file. Its report says what it holds already: a non-empty one *is* resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which file.
    pub file: FileId,
    /// The hash the file had when it was listed; with another one now, the sender closes as [`CloseReason::Changed`].
    pub hash: [u8; 32],
    /// The mode.
    pub policy: Policy,
    /// The rate asked for, in bits per second; zero leaves it to the sender.
    pub rate: u64,
    /// The congestion control asked for; none leaves it to the sender. A window that never changes cannot be asked for:
    /// the path between is not the receiver's alone.
    pub congestion: Option<Choice>,
    /// Whether the receiver is told how routers marked what comes; if not, nothing is to be marked.
    pub ecn: bool,
    /// How things stand.
    pub report: Report,
}

/// Why one end closes a transfer before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseReason {
    /// Somebody stopped it.
    Stopped = 1,
    /// There is no such file.
    NotFound = 2,
    /// The file is not, or no longer, what was listed.
    Changed = 3,
    /// The file could not be read or written.
    Storage = 4,
    /// A limit says no; later it may say yes.
    Busy = 5,
    /// The other end broke the rules of the protocol.
    Protocol = 6,
    /// The other end is silent, or too slow.
    Silence = 7,
    /// The server is going away.
    ShuttingDown = 8,
}

/// A packet to be sent. For a block, whoever sends it reads the bytes; for all others, this is all there is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a packet that is not sent was still counted as sent"]
pub struct Outgoing {
    /// To whom.
    pub to: Peer,
    /// What.
    pub packet: Packet,
}

impl Body {
    /// The kind's name in events, ladders and `drop=` rules.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Body::Open(_) => "open",
            Body::Block(..) => "block",
            Body::Report(_) => "report",
            Body::Done { .. } => "done",
            Body::Close(_) => "close",
        }
    }

    /// Which one of its kind: a block's number, the floor of a report.
    #[must_use]
    pub const fn ordinal(&self) -> Option<u64> {
        match self {
            Body::Block(block, _) => Some(block.0),
            Body::Report(report) => Some(report.floor.0),
            Body::Open(_) | Body::Done { .. } | Body::Close(_) => None,
        }
    }
}

impl CloseReason {
    /// Every reason there is.
    pub const ALL: [CloseReason; 8] = [
        CloseReason::Stopped,
        CloseReason::NotFound,
        CloseReason::Changed,
        CloseReason::Storage,
        CloseReason::Busy,
        CloseReason::Protocol,
        CloseReason::Silence,
        CloseReason::ShuttingDown,
    ];

    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason a code stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CloseReason::Stopped => "stopped by the user",
            CloseReason::NotFound => "no such file",
            CloseReason::Changed => "the file has changed since it was listed",
            CloseReason::Storage => "the file could not be read or written",
            CloseReason::Busy => "too busy: try again later",
            CloseReason::Protocol => "the rules of the protocol were broken",
            CloseReason::Silence => "nothing was heard for too long",
            CloseReason::ShuttingDown => "the server is shutting down",
        })
    }
}
