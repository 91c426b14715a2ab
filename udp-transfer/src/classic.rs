//! The classic protocol: text commands, and a file as bare datagrams with no numbers, no acknowledgements and no end.
//!
//! What it teaches is what it lacks. It is spoken to the letter, so that a client of the original can fetch from
//! [`server`] and [`client`] can fetch from a server of the original. One command is ours, `SIZE`, because without it
//! nobody can say what was lost; a server that does not know it is served as well.

pub mod client;
pub mod command;
pub mod configurations;
pub mod menu;
pub mod pace;
pub mod server;

mod asking;
mod receiving;
mod sending;
mod sub_client;

pub use sending::Sent;
