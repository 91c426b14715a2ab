//! The catalogue: which files a server offers, and the names they may have.

use std::fmt;

use crate::FileId;

/// One file on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How to ask for it.
    pub file: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since the Unix epoch; zero where that is not known.
    pub modified: u64,
    /// BLAKE3 of its content. A file whose hash is not known yet is not on offer.
    pub hash: [u8; 32],
    /// Its name.
    pub name: FileName,
}

/// A name that leads nowhere but into a folder: a relative path of plain components, separated by `/`.
///
/// What a peer sends is only a suggestion. This type keeps out what is dangerous everywhere; which of the rest a file
/// system can hold is for the edge to say, and so is following no links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// Why a text is no name we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FileNameError {
    /// Nothing, or too much of it.
    #[error("a name has 1 to {} bytes, and each part at most 255", FileName::LONGEST)]
    Length,
    /// `/a`, `a//b`, `a/`, `.` or `..`.
    #[error("a name is relative, and has no empty part, no `.` and no `..`")]
    Part,
    /// A line break in a name is a forged line in somebody's log (CVE-2026-53788).
    #[error("a name has no control characters, no backslash and no colon")]
    Character,
}

impl Entry {
    /// How many bytes it takes in a page.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        8 + 8 + 8 + 32 + 2 + self.name.0.len()
    }
}

impl FileName {
    /// The longest name in bytes: one entry of a catalogue fits the smallest datagram.
    pub const LONGEST: usize = 512;

    /// Takes `text` for a name, if it can be one.
    ///
    /// # Errors
    /// When it is empty, too long, or might lead out of the folder it belongs to on any system.
    pub fn new(text: &str) -> Result<Self, FileNameError> {
        if text.is_empty() || text.len() > Self::LONGEST || text.split('/').any(|part| part.len() > 255) {
            return Err(FileNameError::Length);
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(FileNameError::Part);
        }
        // Backslash and colon separate on other systems (`C:`, alternate streams); the rest of the list changes how a
        // name looks without being seen.
        let hidden = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if text.chars().any(|c| c.is_control() || matches!(c, '\\' | ':') || hidden(c)) {
            return Err(FileNameError::Character);
        }
        Ok(FileName(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, outermost folder first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in ["a", "notes.txt", "folder/file", "…/três tristes tigres", "-rf", " ", "a..b", "😀.png"] {
            assert_eq!(FileName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(FileName::new("a/b/c").unwrap().parts().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn names_that_might_lead_out_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\\b",
            "C:a",
            "a\nb",
            "a\0",
            "\u{1b}[2J",
            "a\u{202e}b",
        ] {
            assert!(FileName::new(name).is_err(), "{name:?}");
        }
        assert_eq!(FileName::new(&"a".repeat(256)), Err(FileNameError::Length));
        assert_eq!(FileName::new(&"a/".repeat(300)), Err(FileNameError::Length));
        assert!(FileName::new(&"a".repeat(255)).is_ok());
    }
}
