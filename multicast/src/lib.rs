//! LAB 2: a group. Sources send to it and never know who listens; receivers join it and leave it as they please.
//!
//! Both programs are here as functions, so that they run inside a test or a demo as well:
//!
//! ```no_run
//! # use std::num::NonZeroU64;
//! # use multicast::{Group, receiver, sender};
//! # async fn example(session: &labkit::Session) -> Result<(), labkit::Failure> {
//! let group = Group::new("224.1.1.1".parse().unwrap(), 5007)?;
//! let lo: labkit::interface::Choice = "lo".parse().unwrap();
//!
//! // Joined once `join` returns: what is sent from here on is heard.
//! let config = receiver::Config { interface: lo.clone(), count: NonZeroU64::new(3), ..receiver::Config::new(group.clone()) };
//! let receiver = receiver::Receiver::join(&config, session.inner("multicast-receiver", "receiver1"))?;
//!
//! let config = sender::Config { interface: Some(lo), ..sender::Config::classic(group, "sender1") };
//! let sender = sender::Sender::open(config, session.inner("multicast-sender", "sender1"))?;
//!
//! let (heard, sent) = tokio::join!(receiver.run(), sender.run());
//! assert_eq!(heard?.tally.total().all().datagrams, sent?.counts.all().datagrams);
//! # Ok(())
//! # }
//! ```

pub mod block;
pub mod call;
pub mod compare;
pub mod group_client;
pub mod group_server;
pub mod payload;
pub mod receiver;
pub mod rtcp;
pub mod rtp;
pub mod sender;
pub mod silence;
pub mod tally;
pub mod track;

mod group;
mod group_io;
mod membership;
mod outgoing;

pub use group::Group;
pub use membership::{Change, Membership};
pub use outgoing::{Outgoing, Reach};
