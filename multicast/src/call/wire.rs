//! The datagrams of a group: what they say, and the one way each is written.
//!
//! Every datagram begins with [`MAGIC`], whose first two bytes no UTF-8 text begins with: so a raw line of system E and
//! a datagram of a member never look alike on the one port they share. All numbers are big-endian; the last four bytes are
//! the CRC32C of all others. Any bytes decode
//! to a value or a reason; exactly one encoding of each value is accepted.

mod codec;
mod cursor;
mod fields;

use std::net::SocketAddr;
use std::time::Duration;

use super::Order;

pub(crate) use codec::what_of;
pub use codec::{decode, is_framed, seal};
pub use fields::Held;

/// What every datagram begins with; the last byte is the version.
pub const MAGIC: [u8; 4] = [0xc6, b'G', b'C', 1];
/// The length of every [`Datagram::Join`]: padded, so that no answer to one that has proved nothing is longer.
pub const JOIN: usize = 128;
/// The longest datagram there is, in bytes.
pub const LONGEST: usize = 1_472;

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// To the hub: let me in.
    Join {
        /// A number the member chose at random; answers carry it.
        client: u64,
        /// How it wishes to be called: at most [`super::NAME`] bytes of any kind.
        name: Vec<u8>,
        /// What the hub gave to be sent back, once it has.
        cookie: Option<Cookie>,
    },
    /// To a stranger: send this back, so that I know you receive where you say.
    Retry {
        /// Of the join.
        client: u64,
        /// To be sent back.
        cookie: Cookie,
    },
    /// To a new member.
    Welcome(Welcome),
    /// To one who cannot be let in.
    Refuse {
        /// Of the join.
        client: u64,
    },
    /// Between the hub and one member.
    Seat(Seat, Body),
    /// From the hub to all members, by as many copies as the network needs.
    Group {
        /// Which run of which hub; told to members only.
        session: u64,
        /// What.
        body: GroupBody,
    },
}

/// Who of the group a datagram is from or to, with what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The member's number, from 1 up.
    pub member: u32,
    /// A number only the hub and this member know.
    pub key: u64,
}

/// Proof that its bearer receives at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// When it was made, by the hub's clock, in nanoseconds.
    pub issued: u64,
    /// The hub's seal on that, the address and the client.
    pub mac: [u8; 16],
}

/// No group has said more than this when somebody comes: beyond it, numbers would run out.
pub const MOST_SAID: u64 = 1 << 62;

/// What a new member needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Of the join.
    pub client: u64,
    /// Its seat.
    pub seat: Seat,
    /// Which run of which hub.
    pub session: u64,
    /// Messages up to this number were said before it came, and are none of its business: at most [`MOST_SAID`].
    pub base: u64,
    /// In which order to hand out messages.
    pub order: Order,
    /// Where the hub sends what it says to all, where that is a multicast group.
    pub group: Option<SocketAddr>,
    /// How often to report, at the least: a millisecond or more.
    pub heartbeat: Duration,
    /// After how long without a word the other counts as gone: a heartbeat or more.
    pub silence: Duration,
}

/// What the hub and one member say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// To the hub: I am here, and this is what I hold. Heartbeat, acknowledgement and request for repair in one.
    Report(Held),
    /// To the hub: say this to all.
    Cast {
        /// Counts this member's messages, from 1.
        seq: u32,
        /// What its speaker had seen, in the causal order.
        stamp: Vec<(u32, u32)>,
        /// The message.
        text: Vec<u8>,
    },
    /// Either way: a line for the other alone, repeated until acknowledged.
    Line {
        /// Counts the lines of this direction, from 1.
        seq: u32,
        /// The line.
        text: Vec<u8>,
    },
    /// Either way: line `seq` has come.
    LineAck {
        /// Which.
        seq: u32,
    },
    /// To the hub: my answer to a call.
    Answer {
        /// Which call.
        call: u64,
        /// The answer.
        text: Vec<u8>,
    },
    /// To the hub: I go.
    Leave,
    /// To a member: I am here.
    Beat {
        /// The number of the newest message.
        newest: u64,
        /// How many messages of this member have a number.
        admitted: u32,
    },
    /// To a member: you have no seat here.
    Gone {
        /// Why not.
        why: Why,
        /// The number of the newest message; zero where the hub does not know the seat.
        newest: u64,
    },
}

/// What the hub says to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBody {
    /// A message, or a change of who is here, in its place among all.
    Entry(Entry),
    /// A question that every member answers.
    Call {
        /// Counts the calls of this session, from 1.
        call: u64,
        /// For how long an answer is still wanted.
        within: Duration,
        /// The question.
        text: Vec<u8>,
    },
}

/// One thing said to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place among all, from 1.
    pub number: u64,
    /// Who said it: a member's number, or [`super::HUB`].
    pub origin: u32,
    /// Counts what this origin said, from 1.
    pub seq: u32,
    /// What its speaker had seen of others since its previous one, in the causal order: origin and count, ascending.
    pub stamp: Vec<(u32, u32)>,
    /// The name of whom it is about: its speaker, or who came or went.
    pub name: Vec<u8>,
    /// What.
    pub body: EntryBody,
}

/// What can be said to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// A message.
    Cast(Vec<u8>),
    /// This member came.
    Join(u32),
    /// This member went.
    Leave(u32, Why),
}

impl EntryBody {
    /// Its name in events.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            EntryBody::Cast(_) => "cast",
            EntryBody::Join(_) => "join",
            EntryBody::Leave(..) => "leave",
        }
    }

    /// Whom it is about, where it is no message.
    #[must_use]
    pub fn about(&self) -> Option<u32> {
        match self {
            EntryBody::Cast(_) => None,
            EntryBody::Join(member) | EntryBody::Leave(member, _) => Some(*member),
        }
    }

    /// The message, empty where it is none.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        match self {
            EntryBody::Cast(text) => text,
            EntryBody::Join(_) | EntryBody::Leave(..) => &[],
        }
    }
}

/// Why somebody is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It left.
    Left,
    /// Nothing was heard of it for too long.
    Silent,
    /// It was heard, and did not take what was said to all.
    Stuck,
    /// The hub ends.
    Closed,
    /// The hub knows no such seat.
    Unknown,
}

impl Why {
    /// Every reason.
    pub const ALL: [Why; 5] = [Why::Left, Why::Silent, Why::Stuck, Why::Closed, Why::Unknown];

    /// For people.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Why::Left => "left",
            Why::Silent => "is silent",
            Why::Stuck => "does not keep up",
            Why::Closed => "the server ends",
            Why::Unknown => "the server does not know us",
        }
    }
}

/// Why bytes are no datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It does not begin as ours do.
    #[error("not of this protocol")]
    Foreign,
    /// Its checksum is not that of its bytes.
    #[error("damaged on the way")]
    Damaged,
    /// It ends in the middle of a field.
    #[error("too short")]
    TooShort,
    /// Something stands behind its end.
    #[error("too long")]
    TooLong,
    /// A field has a value that none of ours has.
    #[error("bad {0}")]
    BadField(&'static str),
}

#[cfg(test)]
mod tests;
