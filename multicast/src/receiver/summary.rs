//! What a receiver heard, for people and for programs.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use events::{Outcome, Time};
use labkit::socket::Buffer;
use labkit::units::{show_bytes, show_duration};
use labkit::{Exit, Failure, table};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::Group;
use crate::tally::{Row, Tally};

/// How many sources the table shows; all are in the JSON.
const TABLE_ROWS: usize = 50;

/// Why a receiver left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The time it was given is over.
    Duration,
    /// It heard as many messages as it was to hear.
    Count,
    /// It was asked to.
    Stopped,
}

/// One stay in a group.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The group.
    pub group: Group,
    /// The names of the interfaces it was joined on.
    pub interfaces: Vec<String>,
    /// The receive buffer.
    pub buffer: Buffer,
    /// Whether it was told when to be content.
    pub has_goal: bool,
    /// How many messages it was to hear, where that was said.
    pub wanted: Option<NonZeroU64>,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// When it joined.
    pub joined: Time,
    /// How long it stayed.
    pub elapsed: Duration,
    /// Why it left.
    pub ended: Ended,
    /// Who was heard.
    pub tally: Tally,
    /// Why nobody was heard, where nobody was.
    pub silence: Option<Failure>,
}

impl Summary {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.ended, self.has_goal) {
            (Ended::Count, _) => Exit::Done,
            (Ended::Stopped, true) if self.interrupted => Exit::Interrupted,
            (Ended::Stopped, _) => Exit::Done,
            (Ended::Duration, _) if self.silence.is_some() => Exit::NobodyAnswered,
            (Ended::Duration, _) if self.wanted.is_some() => Exit::Partial,
            (Ended::Duration, _) => Exit::Done,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.exit() {
            Exit::Interrupted => Outcome::Interrupted,
            Exit::NobodyAnswered => Outcome::Failed,
            Exit::Partial => Outcome::Partial,
            _ => Outcome::Complete,
        }
    }

    /// The summary as one JSON object. Times of sources count from the joining.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let total = self.tally.total();
        let mut object = json!({
            "group": self.group.to_string(),
            "interfaces": self.interfaces,
            "receive_buffer": { "asked_bytes": self.buffer.asked, "granted_bytes": self.buffer.granted },
            "ended": self.ended,
            "interrupted": self.interrupted,
            "elapsed_ns": nanos(self.elapsed),
            "messages": total.all().datagrams,
            "bytes": total.all().bytes,
            "text": total.text,
            "json": total.json,
            "binary": total.binary,
            "sources": self.tally.rows().iter().map(|row| Source { row, joined: self.joined }).collect::<Vec<_>>(),
            "sources_forgotten": self.tally.forgotten(),
            "verdict": self.verdict(),
        });
        if let (Some(silence), true) = (&self.silence, self.exit() == Exit::NobodyAnswered) {
            object["error"] = json!(silence);
        }
        object
    }

    /// What came of it, in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let (messages, time) = (self.tally.total().all().datagrams, show_duration(self.elapsed));
        let sources = u64::try_from(self.tally.sources()).unwrap_or(u64::MAX).saturating_add(self.tally.forgotten());
        match (&self.silence, self.wanted) {
            (Some(silence), _) => format!("in {time} {} [{}]", silence.message, silence.code),
            (None, Some(wanted)) if messages < wanted.get() => {
                format!("{messages} of {wanted} messages heard, from {} in {time}", count(sources, "source"))
            }
            _ => format!("{} heard, from {} in {time}", count(messages, "message"), count(sources, "source")),
        }
    }

    fn table(&self) -> String {
        let mut table = table::new(&["source", "messages", "text", "JSON", "binary", "bytes", "first", "last"]);
        let rows = self.tally.rows();
        for Row { source, counts, first, last, .. } in rows.iter().take(TABLE_ROWS) {
            table.add_row([
                source.to_string(),
                counts.all().datagrams.to_string(),
                counts.text.datagrams.to_string(),
                counts.json.datagrams.to_string(),
                counts.binary.datagrams.to_string(),
                show_bytes(counts.all().bytes),
                show_duration(*first - self.joined),
                show_duration(*last - self.joined),
            ]);
        }
        let more = rows.len().saturating_sub(TABLE_ROWS);
        let forgotten = self.tally.forgotten();
        let note = match (more, forgotten) {
            (0, 0) => String::new(),
            _ => format!("and {more} more sources in --json; {forgotten} forgotten to make room\n"),
        };
        format!("{table}\n{note}")
    }
}

impl fmt::Display for Summary {
    /// A table of sources, where there are any, and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tally.sources() > 0 {
            f.write_str(&self.table())?;
        }
        write!(f, "Verdict: {}", self.verdict())?;
        match self.silence.as_ref().and_then(|silence| silence.hint.as_ref()) {
            Some(hint) => write!(f, "\n  try: {hint}"),
            None => Ok(()),
        }
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A row of the table, as JSON.
struct Source<'a> {
    row: &'a Row,
    joined: Time,
}

impl Serialize for Source<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat {
            source: SocketAddr,
            messages: u64,
            bytes: u64,
            text: u64,
            json: u64,
            binary: u64,
            first_ns: u64,
            last_ns: u64,
        }
        let Row { source, counts, first, last, .. } = self.row;
        Flat {
            source: *source,
            messages: counts.all().datagrams,
            bytes: counts.all().bytes,
            text: counts.text.datagrams,
            json: counts.json.datagrams,
            binary: counts.binary.datagrams,
            first_ns: nanos(*first - self.joined),
            last_ns: nanos(*last - self.joined),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Kind;

    fn summary(messages: u16, ended: Ended) -> Summary {
        let group = Group::parse("224.1.1.1").unwrap();
        let mut tally = Tally::new(100);
        for port in 1..=messages {
            let _ = tally.hear(([127, 0, 0, 1], port).into(), Kind::Text, 10, Time::from_nanos(1_500_000_000));
        }
        Summary {
            silence: (messages == 0).then(|| crate::silence::explain(&group, &[], &[])),
            group,
            interfaces: vec!["lo".into()],
            buffer: Buffer { asked: 2, granted: 1 },
            has_goal: ended != Ended::Stopped,
            wanted: None,
            interrupted: ended == Ended::Stopped,
            joined: Time::from_nanos(1_000_000_000),
            elapsed: Duration::from_secs(10),
            ended,
            tally,
        }
    }

    #[test]
    fn the_exit_code_tells_how_it_went() {
        let ended = |messages, ended, has_goal, wanted| {
            let summary = Summary { has_goal, wanted: NonZeroU64::new(wanted), ..summary(messages, ended) };
            (summary.exit(), summary.outcome())
        };
        assert_eq!(ended(1, Ended::Duration, true, 0), (Exit::Done, Outcome::Complete));
        assert_eq!(ended(0, Ended::Duration, true, 0), (Exit::NobodyAnswered, Outcome::Failed));
        assert_eq!(ended(1, Ended::Duration, true, 3), (Exit::Partial, Outcome::Partial));
        assert_eq!(ended(3, Ended::Count, true, 3), (Exit::Done, Outcome::Complete));
        assert_eq!(ended(1, Ended::Stopped, true, 0), (Exit::Interrupted, Outcome::Interrupted));
        assert_eq!(ended(0, Ended::Stopped, false, 0), (Exit::Done, Outcome::Complete));
    }

    #[test]
    fn the_table_has_a_row_a_source_and_a_bound() {
        let shown = summary(60, Ended::Duration).to_string();
        assert!(shown.contains("127.0.0.1:50 ") && !shown.contains("127.0.0.1:51 "), "{shown}");
        assert!(shown.contains("and 10 more sources"), "{shown}");
        assert!(shown.ends_with("Verdict: 60 messages heard, from 60 sources in 10.0 s"), "{shown}");
    }

    #[test]
    fn silence_is_a_verdict_with_a_code_and_something_to_try() {
        let summary = summary(0, Ended::Duration);
        let shown = summary.to_string();
        assert!(shown.starts_with("Verdict: in 10.0 s nobody was heard on 224.1.1.1:5007"), "{shown}");
        assert!(shown.contains("\n  try: "), "{shown}");
        let json = summary.to_json();
        assert!(json["error"]["code"].as_str().unwrap().starts_with("MC-"), "{json}");
    }

    #[test]
    fn json_counts_a_source_from_the_joining() {
        let json = summary(1, Ended::Duration).to_json();
        assert_eq!(json["sources"][0]["first_ns"], 500_000_000);
        assert_eq!((&json["messages"], &json["text"]["bytes"]), (&json!(1), &json!(10)));
        assert_eq!(json["receive_buffer"]["granted_bytes"], 1);
        assert!(json.get("error").is_none());
    }
}
