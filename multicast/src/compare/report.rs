//! What a comparison found, for people and for programs.

use std::fmt;
use std::time::Duration;

use events::Outcome;
use labkit::units::{show_bytes, show_duration};
use labkit::{Exit, table};
use serde_json::{Value, json};

use super::receivers::Heard;
use super::{Config, Way};

/// How many receivers the second table shows; all are in the JSON.
const SHOWN: usize = 10;

/// One way, measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub way: Way,
    /// How many messages each receiver was to get.
    pub messages: u64,
    /// How many datagrams the sender put out.
    pub datagrams: u64,
    /// Their payloads' bytes together.
    pub bytes: u64,
    /// From the first message to the last.
    pub elapsed: Duration,
    /// What the sending took of a processor, the kernel's part included.
    pub processor: Duration,
    /// What each receiver heard.
    pub heard_by: Vec<Heard>,
}

impl Row {
    /// Messages heard, all receivers together.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard_by.iter().map(|heard| heard.messages).sum()
    }

    /// Messages not heard, all receivers together.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.heard_by.iter().map(|heard| self.messages.saturating_sub(heard.messages)).sum()
    }

    /// All delays of all receivers.
    fn delays(&self) -> Heard {
        let mut delays: Vec<Duration> = self.heard_by.iter().flat_map(|heard| heard.delays.iter().copied()).collect();
        delays.sort_unstable();
        Heard { messages: self.heard(), delays }
    }

    fn to_json(&self) -> Value {
        let receiver = |heard: &Heard| {
            json!({
                "heard": heard.messages,
                "lost": self.messages.saturating_sub(heard.messages),
                "delay_p50_ns": nanos(heard.percentile(50)),
                "delay_p99_ns": nanos(heard.percentile(99)),
                "delay_max_ns": nanos(heard.percentile(100)),
            })
        };
        json!({
            "cast": self.way.label(),
            "datagrams": self.datagrams,
            "bytes": self.bytes,
            "elapsed_ns": nanos(self.elapsed),
            "processor_ns": nanos(self.processor),
            "heard": self.heard(),
            "lost": self.lost(),
            "receivers": self.heard_by.iter().map(receiver).collect::<Vec<_>>(),
        })
    }
}

/// All the ways that were measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What was asked for.
    pub config: Config,
    /// Whether all of it was done.
    pub complete: bool,
    /// One row a way.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.complete, self.rows.iter().all(|row| row.lost() == 0)) {
            (false, _) => Exit::Interrupted,
            (true, true) => Exit::Done,
            (true, false) => Exit::Partial,
        }
    }

    /// How it ended, for the events.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.exit() {
            Exit::Interrupted => Outcome::Interrupted,
            Exit::Partial => Outcome::Partial,
            _ => Outcome::Complete,
        }
    }

    /// The comparison as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "receivers": self.config.receivers,
            "messages": self.config.messages,
            "length_bytes": self.config.length,
            "interval_ns": nanos(self.config.interval),
            "casts": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "complete": self.complete,
            "verdict": self.verdict(),
        })
    }

    /// What came of it, in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let each: Vec<String> =
            self.rows.iter().map(|row| format!("{} by {}", row.datagrams, row.way.label())).collect();
        let Config { receivers, messages, .. } = self.config;
        if self.rows.is_empty() {
            return "stopped before any way was measured".to_owned();
        }
        let lost: u64 = self.rows.iter().map(Row::lost).sum();
        let lost = if lost == 0 { "none was lost".to_owned() } else { format!("{lost} were lost") };
        let told = format!("{messages} messages to {receivers} receivers took so many datagrams: {}", each.join(", "));
        let stopped = if self.complete { "" } else { "; stopped before all ways were measured" };
        format!("{told}; {lost}{stopped}")
    }

    fn receivers_table(&self) -> String {
        let mut headers = vec!["receiver".to_owned()];
        for row in &self.rows {
            headers.extend([format!("{} lost", row.way.label()), "delay p50".to_owned()]);
        }
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let mut table = table::new(&headers);
        let receivers = usize::from(self.config.receivers);
        for place in 0..receivers.min(SHOWN) {
            let mut cells = vec![(place + 1).to_string()];
            for (row, heard) in self.rows.iter().filter_map(|row| Some((row, row.heard_by.get(place)?))) {
                cells.push(row.messages.saturating_sub(heard.messages).to_string());
                cells.push(show_duration(heard.percentile(50)));
            }
            table.add_row(cells);
        }
        match receivers.saturating_sub(SHOWN) {
            0 => format!("{table}\n"),
            more => format!("{table}\nand {more} more receivers in --json\n"),
        }
    }
}

impl fmt::Display for Comparison {
    /// A table of ways, one of receivers, and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = ["cast", "datagrams", "bytes", "time", "CPU", "heard", "lost", "delay p50", "p99", "max"];
        let mut table = table::new(&headers);
        for row in &self.rows {
            let delays = row.delays();
            table.add_row([
                row.way.label().to_owned(),
                row.datagrams.to_string(),
                show_bytes(row.bytes),
                show_duration(row.elapsed),
                show_duration(row.processor),
                row.heard().to_string(),
                row.lost().to_string(),
                show_duration(delays.percentile(50)),
                show_duration(delays.percentile(99)),
                show_duration(delays.percentile(100)),
            ]);
        }
        write!(f, "{table}\n{}Verdict: {}", self.receivers_table(), self.verdict())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
