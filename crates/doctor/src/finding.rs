//! What a rule found: a stable code, what was seen, what it means, and one command to try.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// With this, what was asked for does not work.
    Fault,
    /// It works here and now, and will not everywhere or for long.
    Warning,
    /// Good to know where something else is wrong.
    Note,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name of the cause, such as `MC-IFACE`; each has a row in `multicast/DOCTOR.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, on which interface, address or file.
    pub seen: String,
    /// What it means for messages to the group.
    pub means: String,
    /// One command to try.
    #[serde(rename = "try")]
    pub attempt: String,
}

impl Finding {
    /// A fault; [`Finding::warning`] and [`Finding::note`] make it less.
    #[must_use]
    pub fn new(
        code: &'static str,
        seen: impl Into<String>,
        means: impl Into<String>,
        attempt: impl Into<String>,
    ) -> Self {
        Finding { code, severity: Severity::Fault, seen: seen.into(), means: means.into(), attempt: attempt.into() }
    }

    /// The same, as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Finding { severity: Severity::Warning, ..self }
    }

    /// The same, as a note.
    #[must_use]
    pub fn note(self) -> Self {
        Finding { severity: Severity::Note, ..self }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Fault => "fault",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

impl fmt::Display for Finding {
    /// Three lines: seen, meaning, command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", self.severity, self.code, self.seen)?;
        writeln!(f, "  means: {}", self.means)?;
        write!(f, "  try: {}", self.attempt)
    }
}
