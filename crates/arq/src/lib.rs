//! Reliable transfer of files over datagrams, as pure machines: no sockets, no clock, no disk.
//!
//! A file is a run of equal blocks, one block a datagram. A [`Sender`] says which block goes when; a [`Receiver`] says
//! which block to store, and reports how things stand; what both do in each of the textbook's modes is a [`Policy`].
//! Whoever owns a socket, a disk and a clock drives them, in real time or in virtual time:
//!
//! - `handle(now, from, packet) -> Verdict`, `handle_timeout(now)`: what goes in;
//! - `poll_transmit(now) -> Option<Outgoing>`, `poll_event()`: what comes out;
//! - `poll_timeout() -> Option<Time>`, `outcome()`: when to come back, and how it ended.
//!
//! Three invariants have names, and are used by name in code and review:
//!
//! - **Drain before you feed**: after every `handle` or `handle_timeout`, `poll_transmit` until it gives none,
//!   `poll_event` until it gives none, then read `outcome` and `poll_timeout`; only then feed again.
//! - **Store before you report**: no report claims a block that the disk has not taken.
//! - **Deaf events**: dropping every event changes nothing.
//!
//! The whole of a transfer, with nothing between the two ends:
//!
//! ```
//! use arq::{congestion::Choice, FileId, Layout, Peer, Policy, RangeSet};
//! use arq::{Outcome, Receiver, ReceiverConfig, Sender, SenderConfig, Verdict};
//! use events::Time;
//!
//! let (peer, policy, layout) = (Peer(0), Policy::SELECTIVE_REPEAT, Layout::new(5_000, 1_000));
//! let mut now = Time::ZERO;
//! let mut sender = Sender::new(
//!     now,
//!     SenderConfig { peer, policy, layout, congestion: Choice::Cubic, rate: None, ecn: true, seed: 1, listened_to: false },
//! );
//! let (file, hash, held) = (FileId(1), [0; 32], RangeSet::new());
//! let mut receiver = Receiver::new(
//!     now,
//!     ReceiverConfig {
//!         peer, policy, layout, file, hash, held,
//!         rate: 0, congestion: None, ecn: true, credit: 64, rtt: None, listened_to: false,
//!     },
//! );
//! while sender.outcome().is_none() || receiver.outcome().is_none() {
//!     while let Some(outgoing) = receiver.poll_transmit(now) {
//!         let _ = sender.handle(now, peer, &outgoing.packet);
//!     }
//!     while let Some(outgoing) = sender.poll_transmit(now) {
//!         if let Verdict::Store(block) = receiver.handle(now, peer, &outgoing.packet) {
//!             // Here the block's bytes go to `layout.offset(block)`.
//!             receiver.stored(now, block);
//!         }
//!     }
//!     now = [sender.poll_timeout(), receiver.poll_timeout()].into_iter().flatten().min().unwrap_or(now);
//!     sender.handle_timeout(now);
//!     receiver.handle_timeout(now);
//! }
//! assert_eq!(receiver.outcome(), Some(Outcome::Complete));
//! assert_eq!(sender.counts(), (5, 0));
//! ```
//!
//! To read it in one sitting: [`Policy`], [`Report`], `receiver.rs`, `sender.rs`, `flight.rs`, `sender/recovery.rs`, then
//! [`wire`].

pub mod catalogue;
pub mod chunks;
pub mod congestion;
pub mod handshake;
pub mod limits;
pub mod policy;
pub mod wire;

mod ask;
mod delivery;
mod ecn;
mod flight;
mod layout;
mod number;
mod outcome;
mod pacing;
mod packet;
mod ranges;
mod receiver;
mod report;
mod rtt;
mod sender;
mod told;

pub use ask::{Ask, NoReply};
pub use ecn::{Codepoint, Ecn, Marks};
pub use layout::Layout;
pub use number::{BlockNumber, FileId, Flow, PacketNumber, Peer, SessionId};
pub use outcome::{Failure, Outcome, Verdict, Violation, Why};
pub use packet::{Body, CloseReason, Open, Outgoing, Packet};
pub use policy::{Policy, PolicyError};
pub use ranges::{BlockRange, Full, RangeSet};
pub use receiver::{Receiver, ReceiverConfig};
pub use report::Report;
pub use rtt::Rtt;
pub use sender::{Sender, SenderConfig};
pub use told::{About, Told};
