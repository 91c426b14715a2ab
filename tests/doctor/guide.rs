//! What `multicast/DOCTOR.md` shows, to be compared with what is printed: numbers and the width of tables aside.

use std::path::Path;

/// The guide.
pub(crate) fn text() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("multicast/DOCTOR.md")).unwrap()
}

/// Whether the guide shows `printed`.
pub(crate) fn shows(printed: &str) -> bool {
    let guide = text();
    let mut blocks =
        guide.split("```text\n").skip(1).filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block));
    blocks.any(|block| shape(block) == shape(printed))
}

/// Every number but 0 as `#`; runs of space and rule as one space; without the note that the test itself may run in a
/// container.
pub(crate) fn shape(text: &str) -> String {
    let (mut lines, mut skipped) = (Vec::new(), 0);
    for line in text.trim().lines() {
        if line.starts_with("note[MC-DOCKER-BRIDGE]") {
            skipped = 3;
        }
        if skipped > 0 {
            skipped -= 1;
            continue;
        }
        let words = line.split([' ', '─', '═']).filter(|word| !word.is_empty()).map(without_numbers);
        lines.push(words.collect::<Vec<_>>().join(" ").replace(", # note", ""));
    }
    lines.join("\n")
}

fn without_numbers(word: &str) -> String {
    if word == "0" {
        return word.to_owned();
    }
    let mut shaped = String::new();
    for character in word.chars() {
        match character {
            '0'..='9' if shaped.ends_with('#') => {}
            '0'..='9' => shaped.push('#'),
            other => shaped.push(other),
        }
    }
    shaped
}
