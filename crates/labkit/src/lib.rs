//! The edges every castlab binary shares, written once: what the user may type, where output goes, what time it is,
//! which sockets and interfaces there are, how a program ends and with which exit code.
//!
//! A binary is a [`Program`]: arguments and one `async fn run`. [`program::main`] parses the arguments, sets up a
//! [`Session`] (output, events, clock, shutdown) and turns what `run` returns into the exit code and, where it failed,
//! into one clear error.

pub mod batch;
pub mod exit;
pub mod flags;
pub mod interface;
pub mod program;
pub mod socket;
pub mod table;
pub mod target;
pub mod text;
pub mod units;

mod clock;
mod output;
mod recorder;
mod shutdown;
mod udp;

pub use clock::Clock;
pub use exit::{Exit, Failure};
pub use flags::Common;
pub use output::Output;
pub use program::{Program, Session};
pub use recorder::Recorder;
pub use shutdown::Shutdown;
pub use udp::Udp;
