//! The numbers of the protocol, each of its own type so that none is taken for another.

use std::fmt;

/// Which block of a file: its first is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(pub u64);

/// Which datagram of one direction of a transfer: the first is 1, and no number is ever used twice.
///
/// A block that is sent again travels under a new packet number, so that an answer always tells which sending it
/// answers (Karn's problem, RFC 6298 section 3, does not arise), and a lost re-sending is noticed like a lost sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(pub u64);

/// Which peer, as numbered by whoever owns the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u32);

/// One end's name for a session: 64 random bits, chosen by the end that receives under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Which transfer or request within a session, chosen by the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(pub u32);

/// Which file of a catalogue, chosen by the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

impl PacketNumber {
    /// The number no packet has: "none has come yet".
    pub const NONE: PacketNumber = PacketNumber(0);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        PacketNumber(self.0.saturating_add(1))
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
