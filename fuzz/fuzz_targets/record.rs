//! Any text is a record of events or not, and a record is read back as it was written.
#![no_main]

use events::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(record) = Record::from_line(text) {
        assert_eq!(Record::from_line(&record.to_line()).ok(), Some(record));
    }
});
