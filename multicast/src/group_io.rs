//! What both programs of a group share at the edge: a socket with a bad network before it, and what people type.

pub(crate) mod gate;
pub(crate) mod seldom;
pub(crate) mod template;
pub(crate) mod typed;

use std::io;
use std::time::Duration;

use labkit::text;
use tokio::sync::mpsc;

/// The longest a name is shown, in characters.
const NAME_SHOWN: usize = 60;
/// The longest a text is shown, in characters.
const TEXT_SHOWN: usize = 4_000;

/// A name from a peer, safe to show.
pub(crate) fn show_name(name: &[u8]) -> String {
    text::show(name, NAME_SHOWN)
}

/// A text from a peer, safe to show.
pub(crate) fn show_text(text: &[u8]) -> String {
    text::show(text, TEXT_SHOWN)
}

/// A length as events carry it.
pub(crate) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The next line somebody types or a script holds; never one, where nobody does.
pub(crate) async fn next_line(lines: &mut Option<mpsc::Receiver<io::Result<Vec<u8>>>>) -> Option<io::Result<Vec<u8>>> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// Over after `duration`; never, where there is none.
pub(crate) async fn wait(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
