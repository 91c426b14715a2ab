//! What is said and handed out, as events: what the checker reads back.

use events::Event;
use labkit::text;

use super::Entry;

/// Message `seq` of `origin` was said, and in which flow to tell it.
#[must_use]
pub fn said(origin: u32, seq: u32, what: &str, bytes: usize) -> (u64, Event) {
    let (peer, number) = ("group".to_owned(), Some(u64::from(seq)));
    (origin.into(), Event::Sent { peer, what: what.to_owned(), number, bytes: length(bytes) })
}

/// A message was handed out, and in which flow to tell it.
#[must_use]
pub fn delivered(entry: &Entry) -> (u64, Event) {
    let event = Event::Delivered {
        peer: text::show(&entry.name, 60),
        what: entry.body.what().to_owned(),
        number: entry.seq.into(),
        bytes: length(entry.body.text().len()),
        position: Some(entry.number),
        about: entry.body.about().map(u64::from),
    };
    (entry.origin.into(), event)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
