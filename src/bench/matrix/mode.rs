//! How the bytes travel in a run: the modes of the transfer programs, and plain TCP.

use std::fmt;
use std::str::FromStr;

use arq::policy::{Policy, PolicyError};
use serde::{Serialize, Serializer};

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bare datagrams, in the old protocol.
    Classic,
    /// Blocks, by one of the machines of `arq`.
    Blocks(Policy),
    /// Plain TCP, the yardstick.
    Tcp,
}

impl Mode {
    /// Whether every byte must arrive: what is lost elsewhere is that mode's lesson.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        match self {
            Mode::Classic => false,
            Mode::Blocks(policy) => policy.is_reliable(),
            Mode::Tcp => true,
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "classic" => Ok(Mode::Classic),
            "tcp" => Ok(Mode::Tcp),
            _ => text.parse().map(Mode::Blocks).map_err(|error: PolicyError| format!("{error}; and classic, tcp")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Classic => f.write_str("classic"),
            Mode::Blocks(policy) => policy.fmt(f),
            Mode::Tcp => f.write_str("tcp"),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_written_as_it_is_read() {
        for (text, reliable) in [
            ("classic", false),
            ("raw", false),
            ("stop-and-wait", true),
            ("go-back-n:64", true),
            ("selective-repeat", true),
            ("tcp", true),
        ] {
            let mode: Mode = text.parse().unwrap();
            assert_eq!((mode.to_string().as_str(), mode.is_reliable()), (text, reliable));
        }
        assert!("telepathy".parse::<Mode>().unwrap_err().contains("tcp"));
    }
}
