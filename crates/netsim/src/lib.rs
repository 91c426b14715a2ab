//! A network in memory: packets go in with a time, and come out later, changed, twice, or never.
//!
//! A [`Link`] is one direction of a path. It has no clock, no socket and no randomness of its own: time is passed in, and
//! every choice comes from one seed, so that a run can be repeated exactly. What it does to packets is an
//! [`Impairment`], written in the small language of `--impair`:
//!
//! ```
//! use std::time::Duration;
//! use events::Time;
//! use netsim::{Cause, Fate, Impairment, Link};
//!
//! let impairment: Impairment = "delay=20ms,drop=block:1".parse()?;
//! let mut link = Link::new(impairment, 7);
//! assert!(link.handle(Time::ZERO, "block", 1200, "block 0").arrives());
//! assert_eq!(link.handle(Time::ZERO, "block", 1200, "block 1"), Fate::Lost(Cause::Exact));
//!
//! let later = link.poll_timeout().expect("one packet is on its way");
//! assert_eq!(later, Time::ZERO + Duration::from_millis(20));
//! assert_eq!(link.poll(later).map(|arrival| arrival.packet), Some("block 0"));
//! assert_eq!(link.poll_timeout(), None);
//! # Ok::<(), netsim::ImpairmentError>(())
//! ```
//!
//! Packets are opaque: the simulator moves encoded datagrams, a socket wrapper whatever it likes. Each packet's
//! [`Fate`] is told when it is handed in, so that the losses we made are counted apart from the network's.

mod fate;
mod impairment;
mod language;
mod link;
mod random;
mod units;

pub use fate::{Cause, Damage, Fate, Rewritten, Tally};
pub use impairment::{Blackout, Burst, Chance, Drop, Impairment, Marking, Reorder};
pub use language::ImpairmentError;
pub use link::{Arrival, Link};
pub use random::Random;
