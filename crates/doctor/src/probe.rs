//! Two copies of the doctor on two machines: who hears whom, by unicast and by multicast, each way.
//!
//! Every datagram has the same 64 bytes, causes at most one other, and never a larger one:
//!
//! ```text
//!   hello  ──▶ group        every round: here I am
//!   answer ──▶ who said it  I heard you by multicast
//!   ask    ──▶ who answered do you hear me by unicast?
//!   reply  ──▶ who asked    I do
//! ```
//!
//! Each but the hello also says how many of the other's datagrams came, so that both ends tell the same figures.

mod prober;
mod wire;

use core::net::IpAddr;

use serde::Serialize;

pub use prober::{By, Config, Destination, Prober, Transmit};
pub use wire::{BadMessage, Kind, LENGTH, Message, Name};

/// How much of what was sent one way was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Path {
    /// How many were sent, from the first that was heard to the last; where none was heard, all.
    pub sent: u32,
    /// How many were heard.
    pub heard: u32,
}

/// What passed between us and one other copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Its address.
    pub address: IpAddr,
    /// The name it gives itself.
    pub name: String,
    /// Ours to the group, heard there.
    pub multicast_to: Path,
    /// Its to the group, heard here.
    pub multicast_from: Path,
    /// Ours to it alone.
    pub unicast_to: Path,
    /// Its to us alone.
    pub unicast_from: Path,
}

impl Path {
    /// Whether anything came through.
    #[must_use]
    pub fn works(self) -> bool {
        self.heard > 0
    }

    /// How many of a hundred were lost.
    #[must_use]
    pub fn loss_percent(self) -> u32 {
        let lost = u64::from(self.sent.saturating_sub(self.heard)) * 100;
        lost.checked_div(self.sent.into()).and_then(|percent| u32::try_from(percent).ok()).unwrap_or(0)
    }
}
