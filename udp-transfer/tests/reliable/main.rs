//! The reliable modes over real sockets: loopback, port 0, no sleeps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod early;
mod faults;
mod hand;
mod hostile;
mod setup;
mod whole;
