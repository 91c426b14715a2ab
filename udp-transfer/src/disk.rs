//! The disk at both ends of a reliable transfer: what a server [offers](offer), and where a client [writes](part).
//!
//! Everything here blocks, and knows neither sockets nor packets; the network's edge calls it from threads that may
//! wait. Names are relative paths ([`arq::catalogue::FileName`]), and each of their parts is opened from the handle of
//! the folder before it, following no link: whoever changes the tree meanwhile can make that fail, not lead it out.

use std::ops::ControlFlow;

pub mod offer;
pub mod part;

mod hashing;
mod identity;
mod walk;

/// Told how many more bytes are hashed, about once a MiB; may say to stop.
pub type Progress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// A [`Progress`] nobody looks at.
pub fn unwatched(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A name or path as it may be shown.
fn shown(name: impl AsRef<std::path::Path>) -> String {
    use std::os::unix::ffi::OsStrExt;
    labkit::text::show(name.as_ref().as_os_str().as_bytes(), 4096)
}
