//! The reliable modes over real sockets: the machines of `arq`, a disk on either side, and time.
//!
//! A [`server`] has one socket and one loop for all its clients; a [`client`] has a socket for each session. Neither
//! allocates, locks or switches tasks for a datagram: blocks are read and written in runs, and a run's datagrams are
//! sent one after the other from one buffer.

pub mod client;
pub mod server;

mod gauge;
mod outgoing;
mod port;

pub use port::Impaired;
pub use server::limits::Limits;
