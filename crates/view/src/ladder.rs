//! The ladder: who sent what to whom and when, as a time-sequence diagram in text.
//!
//! ```text
//!        ms  sender                                        receiver
//!       0.0    │                             ╭──────── open ──┤
//!      10.0    │◀────────────────────────────╯                │
//!              ├── block 0 ─────╮                             │
//!              ├── block 1 ─────┼──✗                          │
//!      20.0    │                ╰────────────────────────────▶│
//! ```
//!
//! Time runs downwards, one line for each thing that happened. A message leaves one end, waits in a lane of its own while
//! other things happen, and arrives at the other end; one that was lost ends mid-way, at a `✗`.
//!
//! The reader needs five fields of a record: time, node, peer, what and number. Where the same thing was sent twice and
//! arrived once, it decides by what was told as dropped, and else by the shortest time any message has taken.

mod drawing;
mod matching;

#[cfg(test)]
mod tests;

use std::fmt;

use events::Record;

use drawing::draw;
use matching::{Step, match_up};

/// How many messages may be under way one way at once: each takes a lane, and with more no terminal shows a line.
pub const MOST_LANES: usize = 64;

/// How many names are told where there are too many.
const NAMES_TOLD: usize = 8;

/// Draws the records of two ends. What they say is drawn as it is: whoever reads them from strangers makes it harmless.
///
/// # Errors
/// When there are not two ends to draw, or too much is under way at once.
pub fn ladder(records: &[Record]) -> Result<String, LadderError> {
    let ends = ends(records)?;
    let steps: Vec<Step> = match_up(records, &ends);
    draw(&steps, &ends).ok_or(LadderError::TooWide)
}

/// Why there is no ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LadderError {
    /// Nothing was sent or received.
    NothingHappened,
    /// More than two ends took part: which two to draw has to be chosen first.
    TooMany(Vec<String>),
    /// More than [`MOST_LANES`] messages are under way one way at once.
    TooWide,
}

impl fmt::Display for LadderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LadderError::NothingHappened => f.write_str("no message was sent or received"),
            LadderError::TooMany(names) => {
                let told = names.iter().take(NAMES_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if names.len() > NAMES_TOLD { ", …" } else { "" };
                write!(f, "a ladder has two ends, and here are {}: {told}{more}", names.len())
            }
            LadderError::TooWide => {
                write!(f, "more than {MOST_LANES} messages are under way at once: no terminal shows such a diagram")
            }
        }
    }
}

impl std::error::Error for LadderError {}

/// The two ends, in the order in which they spoke of themselves; the peer of the only one where there is but one. A name
/// that begins with `sender` or `server` stands on the left.
fn ends(records: &[Record]) -> Result<[String; 2], LadderError> {
    let mut names: Vec<String> = Vec::new();
    let mut peers: Vec<String> = Vec::new();
    for record in records {
        if let Some(peer) = matching::peer(&record.event) {
            if !names.contains(&record.node) {
                names.push(record.node.clone());
            }
            if !peers.contains(&peer.to_owned()) {
                peers.push(peer.to_owned());
            }
        }
    }
    let is_left = |name: &String| name.starts_with("sender") || name.starts_with("server");
    let [left, right] = match (names.as_slice(), peers.as_slice()) {
        ([], _) => return Err(LadderError::NothingHappened),
        ([one, other], _) => [one.clone(), other.clone()],
        ([one], [peer]) => [one.clone(), peer.clone()],
        ([_], several) => return Err(LadderError::TooMany(several.to_vec())),
        (several, _) => return Err(LadderError::TooMany(several.to_vec())),
    };
    Ok(if is_left(&right) && !is_left(&left) { [right, left] } else { [left, right] })
}
