//! The streams of numbered messages, as a table and as JSON: one row a stream.

use std::time::Duration;

use labkit::units::{show_bitrate, show_duration};
use labkit::{table, text};
use serde_json::{Value, json};

use super::hearing::Key;
use crate::Group;
use crate::track::{Row, Tracker};

/// Who it is: the name it gave itself and its host, or its identity where it gave no name.
fn name(row: &Row<Key>) -> String {
    let again = if row.restarted { " (started again)" } else { "" };
    match &row.name {
        Some(name) => format!("{} {}{again}", text::show(name.as_bytes(), 40), row.key.host),
        None => format!("{:08x} {}{again}", row.key.ssrc, row.key.host),
    }
}

/// Payload bits a second, from the first message to the last; none where that is no time.
fn rate(row: &Row<Key>) -> Option<u64> {
    let time = row.last - row.first;
    let bits = u128::from(row.stream.counts().bytes) * 8 * 1_000_000_000;
    if time < Duration::from_millis(1) { None } else { u64::try_from(bits / time.as_nanos()).ok() }
}

/// The first `limit` streams, and how many more there are.
pub(super) fn table(tracker: &Tracker<Key>, limit: usize) -> String {
    let headers = ["stream", "heard", "lost", "late", "again", "before", "away", "tail", "jitter", "rate"];
    let mut table = table::new(&headers);
    let rows = tracker.rows();
    for row in rows.iter().take(limit) {
        let counts = row.stream.counts();
        let before = if row.stream.knows_its_start() { counts.before.to_string() } else { "?".to_owned() };
        let ended = if row.bye || counts.tail > 0 { counts.tail.to_string() } else { "?".to_owned() };
        table.add_row([
            name(row),
            counts.received.to_string(),
            counts.lost.to_string(),
            counts.late.to_string(),
            counts.duplicates.to_string(),
            before,
            counts.away.to_string(),
            ended,
            show_duration(row.stream.jitter()),
            rate(row).map_or_else(|| "?".to_owned(), show_bitrate),
        ]);
    }
    let (more, forgotten) = (rows.len().saturating_sub(limit), tracker.forgotten());
    match (more, forgotten) {
        (0, 0) => format!("{table}\n"),
        _ => format!("{table}\nand {more} more streams in --json; {forgotten} followed no more\n"),
    }
}

/// A row, as JSON.
pub(super) fn to_json(row: &Row<Key>, groups: &[Group]) -> Value {
    let mut object = json!(row.stream.counts());
    object["group"] = json!(groups.get(row.key.group).map(Group::to_string));
    object["host"] = json!(row.key.host);
    object["ssrc"] = json!(row.key.ssrc);
    object["name"] = json!(row.name);
    object["cname"] = json!(row.cname);
    object["bye"] = json!(row.bye);
    object["restarted"] = json!(row.restarted);
    object["jitter_ns"] = json!(u64::try_from(row.stream.jitter().as_nanos()).unwrap_or(u64::MAX));
    object["rate_bits_per_second"] = json!(rate(row));
    object
}
