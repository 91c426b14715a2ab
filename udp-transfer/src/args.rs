//! What may be typed, and what it means.

mod client;
mod server;
mod sim;

pub use client::ClientArgs;
pub use server::ServerArgs;
pub use sim::SimArgs;
