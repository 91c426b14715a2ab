//! A group that answers like a procedure call: the machines, without a socket, a clock or a die of their own.
//!
//! One hub and its members. Everything said to the group passes the hub, which gives it the next *number* and sends it
//! to all; a member asks for the numbers it lacks, and hands out what came by the group's [`Order`]. That is the fixed
//! sequencer of the literature (Défago, Schiper and Urbán 2004, section 4.1, variant unicast–broadcast): one stream
//! of numbers finds every loss, one number per member says how far it is, and the hub forgets what all have.
//!
//! Both machines, [`Hub`] and [`Member`], are driven by the same verbs: `handle` what came, `handle_timeout`, then
//! `poll_transmit` and `poll_event` until `None`, then `poll_timeout` says when to come back. Time is passed in and is
//! never read; secrets and seeds are passed in as well.

pub mod check;
pub mod wire;

mod clock;
mod cookie;
mod courier;
mod history;
mod holdback;
mod hub;
mod hub_config;
mod member;
mod memory;
mod order;
mod question;
mod raw;
mod seat;
mod telling;

pub use clock::VectorClock;
pub use hub::{Destination, Hub, HubEvent, Present};
pub use hub_config::{HubConfig, Secret};
pub use member::{Member, MemberConfig, MemberEvent};
pub use order::Order;
pub use question::{Answer, CallResult, Missing};
pub use telling::{delivered, said};
pub use wire::{Entry, EntryBody, Why};

/// How many members a group has at most: every stamp of the causal order still fits one datagram.
pub const MEMBERS: usize = 64;
/// The longest text a member may say, in bytes: with the longest stamp and name it fits an Ethernet frame.
pub const TEXT: usize = 768;
/// The longest name, in bytes. A name is any bytes.
pub const NAME: usize = 48;
/// How far ahead of its first gap a member keeps what came, in messages.
pub const WINDOW: u64 = 256;
/// How many messages the hub keeps for those who lack them. Less than [`WINDOW`] by what is never refused: one leave a
/// member.
pub const HISTORY: usize = 192;
/// How many messages of one member may be on their way to the hub.
pub const CASTS: usize = 16;
/// How many calls may be open at once, and how many of a hub's latest calls a member keeps the answer of.
pub const CALLS: usize = 16;

/// The number of the hub itself among the origins of messages.
pub const HUB: u32 = 0;

/// What a machine refuses to take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Longer than [`TEXT`].
    #[error("longer than {TEXT} bytes")]
    TooLong,
    /// As much is on its way as may be: try again once some of it has arrived.
    #[error("too much is on its way already")]
    Full,
    /// It is no member now.
    #[error("not in the group")]
    Outside,
    /// Nobody of that number is here.
    #[error("nobody of that number is here")]
    Nobody,
}
