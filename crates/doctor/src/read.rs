//! Understands what the kernel prints about itself below `/proc/net`. Every reader is total: a line that makes no sense
//! is passed over.

mod counters;
mod groups;
mod sockets;

pub use counters::counter;
pub use groups::{v4_groups, v6_groups};
pub use sockets::sockets;
