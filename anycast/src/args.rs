//! What may be typed, and what it means.

mod client;
mod server;

pub use client::ClientArgs;
pub use server::ServerArgs;

/// More connections at once than descriptors a process may ever have.
const MOST_AT_ONCE: usize = 100_000;

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=MOST_AT_ONCE) => Ok(n),
        _ => Err(format!("a number from 1 to {MOST_AT_ONCE}")),
    }
}
