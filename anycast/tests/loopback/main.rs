//! Servers and clients on loopback, in one process: bound ports, no sleeps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod hello;
mod holding;
mod hostile;
mod http;
mod picking;
mod setup;
