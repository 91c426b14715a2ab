//! What a sender sent, for people and for programs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use labkit::units::{show_bytes, show_duration};
use labkit::{Exit, table};
use serde_json::{Value, json};

use super::Framing;
use crate::tally::Counts;
use crate::{Group, Reach};

/// One run of a sender.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The group it sent to.
    pub group: Group,
    /// The name of the interface it sent through.
    pub interface: String,
    /// The address it sent from.
    pub source: SocketAddr,
    /// How far.
    pub reach: Reach,
    /// Where its random bytes came from.
    pub seed: u64,
    /// With numbers, or without.
    pub framing: Framing,
    /// Its identity in this run, where messages were numbered.
    pub ssrc: Option<u32>,
    /// What it sent.
    pub counts: Counts,
    /// How long it took, delay included.
    pub elapsed: Duration,
    /// Whether everything it was to send was sent.
    pub complete: bool,
    /// Whether it was to send until stopped.
    pub endless: bool,
    /// Whether a signal ended it.
    pub interrupted: bool,
}

impl Sent {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if !self.complete && !self.endless && self.interrupted { Exit::Interrupted } else { Exit::Done }
    }

    /// The summary as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let elapsed_ns = u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX);
        json!({
            "group": self.group.to_string(),
            "interface": self.interface,
            "source": self.source,
            "ttl": self.reach.ttl,
            "loopback": self.reach.loopback,
            "seed": self.seed,
            "framing": self.framing,
            "ssrc": self.ssrc,
            "datagrams": self.counts.all().datagrams,
            "bytes": self.counts.all().bytes,
            "text": self.counts.text,
            "json": self.counts.json,
            "binary": self.counts.binary,
            "elapsed_ns": elapsed_ns,
            "complete": self.complete || self.endless,
            "interrupted": self.interrupted,
            "verdict": self.verdict(),
        })
    }

    /// What came of it, in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let datagrams = self.counts.all().datagrams;
        let how = if self.exit() == Exit::Interrupted { "; stopped before the end" } else { "" };
        let plural = if datagrams == 1 { "" } else { "s" };
        format!(
            "{datagrams} datagram{plural} handed to the network in {}{how}; a sender never learns who hears",
            show_duration(self.elapsed)
        )
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table::new(&["sent", "datagrams", "bytes"]);
        let Counts { text, json, binary } = self.counts;
        for (kind, count) in [("text", text), ("JSON", json), ("binary", binary), ("all", self.counts.all())] {
            table.add_row([kind.to_owned(), count.datagrams.to_string(), show_bytes(count.bytes)]);
        }
        write!(f, "{table}\nVerdict: {}", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(complete: bool, endless: bool, interrupted: bool) -> Sent {
        Sent {
            group: Group::parse("224.1.1.1").unwrap(),
            interface: "lo".into(),
            source: ([127, 0, 0, 1], 40_000).into(),
            reach: Reach::default(),
            seed: 7,
            framing: Framing::Raw,
            ssrc: None,
            counts: Counts::default(),
            elapsed: Duration::from_secs(2),
            complete,
            endless,
            interrupted,
        }
    }

    #[test]
    fn only_an_unfinished_list_that_a_signal_cut_short_is_an_interruption() {
        assert_eq!(sent(true, false, false).exit(), Exit::Done);
        assert_eq!(sent(false, false, true).exit(), Exit::Interrupted);
        assert_eq!(sent(false, true, true).exit(), Exit::Done, "it was to send until stopped");
        assert_eq!(sent(false, false, false).exit(), Exit::Done, "the reader of its output went away");
    }

    #[test]
    fn the_summary_counts_by_kind() {
        let shown = sent(true, false, false).to_string();
        for word in ["text", "JSON", "binary", "all", "Verdict: 0 datagrams handed to the network in 2.00 s;"] {
            assert!(shown.contains(word), "{shown}");
        }
    }
}
