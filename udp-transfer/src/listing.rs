//! The catalogue as people and programs read it.

use events::Time;
use labkit::units::show_bytes;
use labkit::{table, text};
use serde_json::{Value, json};

use crate::reliable::client::Listed;

/// A table: size, time of the last change, hash as `b3sum` prints it, name.
#[must_use]
pub fn text(listed: &Listed) -> String {
    let mut table = table::new(&["file", "bytes", "modified (UTC)", "BLAKE3"]);
    for entry in &listed.entries {
        table.add_row([
            text::show(entry.name.as_str().as_bytes(), 512),
            entry.size.to_string(),
            utc(Time::from_nanos(entry.modified)),
            hex(entry.hash),
        ]);
    }
    let bytes = listed.entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
    let summary = format!("{} files, {}", listed.entries.len(), show_bytes(bytes));
    if listed.entries.is_empty() { summary } else { format!("{table}\n{summary}") }
}

/// The same for programs; names as they are.
#[must_use]
pub fn json(listed: &Listed) -> Value {
    let files = listed.entries.iter().map(|entry| {
        json!({
            "name": entry.name.as_str(),
            "size": entry.size,
            "modified_ns": entry.modified,
            "blake3": hex(entry.hash),
        })
    });
    json!({ "server": listed.server.to_string(), "files": files.collect::<Vec<_>>() })
}

pub(crate) fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `2026-11-21 04:08:32`: days to a date after Howard Hinnant's `civil_from_days`.
fn utc(time: Time) -> String {
    let seconds = time.as_nanos() / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_234_112, "2026-11-21 04:08:32"),
            (4_107_542_399, "2100-02-28 23:59:59"),
        ] {
            assert_eq!(utc(Time::from_nanos(seconds * 1_000_000_000)), shown);
        }
    }
}
