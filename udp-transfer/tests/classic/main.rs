//! The classic mode on loopback, each side against itself and against hand-made peers of the original.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both_ours;
mod setup;
mod their_client;
mod their_server;
