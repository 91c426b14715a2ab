//! How a program ends: its exit code and, when it could not go on, what was tried, on what, and what to do next.

use std::fmt;
use std::io;

use serde::Serialize;

/// The exit codes, the same in every binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done and verified (0).
    Done,
    /// It ran, and a check failed (1).
    CheckFailed,
    /// The arguments make no sense (2).
    Usage,
    /// It could not be set up: bind, join, resolve, permission (3).
    Setup,
    /// Nobody answered (4).
    NobodyAnswered,
    /// A deadline passed first (5).
    Deadline,
    /// Some of it was done (6).
    Partial,
    /// The bytes are not the right ones (7).
    Integrity,
    /// Somebody stopped it (130).
    Interrupted,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::CheckFailed => 1,
            Exit::Usage => 2,
            Exit::Setup => 3,
            Exit::NobodyAnswered => 4,
            Exit::Deadline => 5,
            Exit::Partial => 6,
            Exit::Integrity => 7,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a program could not go on. Shown as text, or as `{"error": …}` with `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The exit code it leads to.
    #[serde(skip)]
    pub exit: Exit,
    /// A stable name for this kind of failure, such as `PORT-IN-USE`.
    pub code: &'static str,
    /// What was tried, on which address or file, and what went wrong.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with no advice yet.
    #[must_use]
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Failure { exit, code, message: message.into(), hint: None }
    }

    /// Arguments that make no sense together.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, "USAGE", message)
    }

    /// The same failure with a word on what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// The same failure, ending the program another way.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Self {
        Failure { exit, ..self }
    }

    /// What the operating system refused: `operation` as in "cannot bind", `on` an address or file.
    #[must_use]
    pub fn io(operation: &str, on: impl fmt::Display, error: &io::Error) -> Self {
        let (code, hint) = advice(error);
        Failure {
            exit: Exit::Setup,
            code,
            message: format!("cannot {operation} {on}: {error}"),
            hint: hint.map(str::to_owned),
        }
    }
}

/// A stable code for an operating system error, and what usually helps.
fn advice(error: &io::Error) -> (&'static str, Option<&'static str>) {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::AddrInUse => {
            ("PORT-IN-USE", Some("another program holds that port: `ss -tulpn` names it; or choose another port"))
        }
        Kind::AddrNotAvailable => {
            ("ADDRESS-NOT-HERE", Some("no interface of this machine has that address: `ip address` lists them"))
        }
        Kind::PermissionDenied => (
            "PERMISSION",
            Some("ports below 1024 and some folders need more rights: choose a higher port or another folder"),
        ),
        Kind::NetworkUnreachable | Kind::HostUnreachable => {
            ("NO-ROUTE", Some("no route leads there: `ip route` lists the routes; name an interface with `-I`"))
        }
        Kind::ConnectionRefused => {
            ("REFUSED", Some("the host answers, but nobody listens on that port: is the server running?"))
        }
        Kind::TimedOut => {
            ("TIMED-OUT", Some("no answer came: a firewall may be dropping the packets, or the host is down"))
        }
        Kind::NotFound => ("NOT-FOUND", Some("check the spelling; paths are relative to the folder you are in")),
        Kind::StorageFull | Kind::QuotaExceeded => ("DISK-FULL", Some("make room, or write to another folder")),
        Kind::ReadOnlyFilesystem => ("READ-ONLY", Some("write to another folder")),
        Kind::NotADirectory => ("NOT-A-FOLDER", Some("a folder is wanted here")),
        Kind::IsADirectory => ("IS-A-FOLDER", Some("a file is wanted here")),
        _ => ("IO", None),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  try: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_published_ones() {
        let all = [
            (Exit::Done, 0),
            (Exit::CheckFailed, 1),
            (Exit::Usage, 2),
            (Exit::Setup, 3),
            (Exit::NobodyAnswered, 4),
            (Exit::Deadline, 5),
            (Exit::Partial, 6),
            (Exit::Integrity, 7),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn a_failure_names_the_operation_the_address_and_the_next_step() {
        let failure = Failure::io("bind UDP", "127.0.0.1:5007", &io::Error::from(io::ErrorKind::AddrInUse));
        let shown = failure.to_string();
        assert!(shown.starts_with("error[PORT-IN-USE]: cannot bind UDP 127.0.0.1:5007: "), "{shown}");
        assert!(shown.contains("\n  try: "), "{shown}");
        let json = serde_json::to_value(&failure).unwrap();
        assert_eq!(json["code"], "PORT-IN-USE");
        assert!(json.get("exit").is_none());
    }
}
