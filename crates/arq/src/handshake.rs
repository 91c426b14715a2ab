//! The handshake: a client proves that it is where it says it is, before a server remembers anything of it.
//!
//! ```text
//! client                                     server
//! hello, padded to a datagram         ->            keeps nothing
//!                                     <-     retry with a cookie, far shorter
//! hello with the cookie, padded again ->            the address is proven
//!                                     <-     accept, padded to a datagram
//! ```

mod client;
mod door;

pub use client::{Client, ClientConfig, Session, Unanswered};
pub use door::{Answer, Door};
