//! A file's name as it travels the network: parsed once into a type that cannot lead out of its folder.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The longest name, in bytes: what Linux file systems take (`NAME_MAX`).
const LONGEST: usize = 255;

/// The name of a file directly in a folder: no path, no separator, no `..`, nothing a terminal or a line protocol could
/// trip over. Opening it is still done relative to the folder's handle and without following links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FileName(String);

/// Why a text is no file name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a file name is empty")]
    Empty,
    /// More bytes than a file system takes.
    #[error("a file name has at most {LONGEST} bytes")]
    TooLong,
    /// `.` or `..`.
    #[error("'.' and '..' are folders")]
    Folder,
    /// `/`, or `\`, which separates on other systems.
    #[error("a file name has no path in it")]
    Separator,
    /// A line break, an escape, a NUL.
    #[error("a file name has no control characters")]
    Control,
    /// White space at an end, which a line protocol cannot carry.
    #[error("a file name neither begins nor ends with white space")]
    Margin,
}

impl FileName {
    /// Reads a name.
    ///
    /// # Errors
    /// When the text is a path, a folder, empty, over 255 bytes, or has characters no line of text can carry.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Folder),
            _ if text.len() > LONGEST => Err(NameError::TooLong),
            _ if text.contains(['/', '\\']) => Err(NameError::Separator),
            _ if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) => {
                Err(NameError::Control)
            }
            _ if text.trim() != text => Err(NameError::Margin),
            name => Ok(FileName(name.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot: `mp4` of `video.mp4`; none of `README`, `.profile` or `odd.`.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        match self.0.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => Some(extension),
            _ => None,
        }
    }
}

impl FromStr for FileName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        FileName::parse(text)
    }
}

impl fmt::Display for FileName {
    /// Safe to show: what could fool a terminal is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&labkit::text::show(self.0.as_bytes(), LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_are_names() {
        for name in ["a", "video 100MB.mp4", "Grüße ✓.txt", ".profile", "...", "a:b", "-rf", "~", "CON", "a..b"] {
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
        }
        assert!(FileName::parse(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Folder),
            ("..", NameError::Folder),
            ("../etc/passwd", NameError::Separator),
            ("/etc/passwd", NameError::Separator),
            ("a/b", NameError::Separator),
            ("a/", NameError::Separator),
            ("..\\windows", NameError::Separator),
            ("C:\\windows", NameError::Separator),
            ("\\\\host\\share", NameError::Separator),
            ("a\0.txt", NameError::Control),
            ("a\nb", NameError::Control),
            ("a\rb", NameError::Control),
            ("\x1b[2J", NameError::Control),
            ("a\u{7f}", NameError::Control),
            ("a\u{85}b", NameError::Control),
            ("a\u{2028}b", NameError::Control),
            (" ", NameError::Margin),
            (" a", NameError::Margin),
            (".. ", NameError::Margin),
        ] {
            assert_eq!(FileName::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(FileName::parse(&"x".repeat(256)), Err(NameError::TooLong));
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        for (name, extension) in [
            ("video.mp4", Some("mp4")),
            ("a.tar.gz", Some("gz")),
            ("README", None),
            (".profile", None),
            ("odd.", None),
            ("a. b", Some(" b")),
        ] {
            assert_eq!(FileName::parse(name).unwrap().extension(), extension, "{name}");
        }
    }

    #[test]
    fn a_name_that_turns_text_around_is_shown_escaped() {
        assert_eq!(FileName::parse("a\u{202e}gpj.exe").unwrap().to_string(), "a\\u{202e}gpj.exe");
    }

    proptest! {
        #[test]
        fn any_text_is_a_plain_name_or_a_reason(text in ".*") {
            if let Ok(name) = FileName::parse(&text) {
                let path = std::path::Path::new(name.as_str());
                let parts: Vec<_> = path.components().collect();
                prop_assert!(matches!(parts[..], [std::path::Component::Normal(_)]), "{parts:?}");
            }
        }
    }
}
