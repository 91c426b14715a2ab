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

use super::hearing::{Foreign, Key};
use super::losses::{Advice, Losses};
use super::stay::Absence;
use super::streams;
use crate::Group;
use crate::tally::{Row, Tally};
use crate::track::Tracker;

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
    /// Its script or a command said so.
    Script,
}

/// One stay in a group.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The groups.
    pub groups: Vec<Group>,
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
    /// The streams of numbered messages.
    pub tracker: Tracker<Key>,
    /// What did not come, by cause.
    pub losses: Losses,
    /// How many datagrams `--impair` dropped, messages or not.
    pub impaired: u64,
    /// What came and was no message for us.
    pub foreign: Foreign,
    /// When it was away, and what that cost.
    pub absences: Vec<Absence>,
    /// Why nobody was heard, where nobody was.
    pub silence: Option<Failure>,
}

impl Summary {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.ended, self.has_goal) {
            (Ended::Count | Ended::Script, _) => Exit::Done,
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
            "group": self.groups.first().map(Group::to_string),
            "groups": self.groups.iter().map(Group::to_string).collect::<Vec<_>>(),
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
            "streams": self.tracker.rows().iter().map(|row| streams::to_json(row, &self.groups)).collect::<Vec<_>>(),
            "streams_forgotten": self.tracker.forgotten(),
            "counts": self.tracker.total(),
            "losses": self.losses,
            "foreign": self.foreign,
            "absences": self.absences.iter().map(|absence| self.absence_to_json(absence)).collect::<Vec<_>>(),
            "verdict": self.verdict(),
        });
        if let Some(advice) = self.advice() {
            object["advice"] = json!(advice);
        }
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
            _ => format!(
                "{} heard, from {} in {time}{}",
                count(messages, "message"),
                count(sources, "source"),
                self.what_is_missing()
            ),
        }
    }

    /// What numbered messages tell of those that did not come; nothing where none was numbered.
    fn what_is_missing(&self) -> String {
        if self.tracker.is_empty() {
            return String::new();
        }
        let Losses { before_joining, while_away, .. } = self.losses;
        let mut told = match self.losses.missing() {
            0 => "; none missing".to_owned(),
            missing => format!("; {missing} missing ({})", self.losses.causes()),
        };
        for (number, what) in [(before_joining, "sent before we joined"), (while_away, "while away")] {
            if number > 0 {
                told.push_str(&format!("; {number} {what}"));
            }
        }
        told
    }

    /// The first cause of what is missing, and one command to try.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        self.losses.advice(self.buffer, self.interfaces.first().map_or("eth0", String::as_str))
    }

    /// Figures for the events, counts all of them.
    pub(super) fn figures(&self) -> Vec<(&'static str, u64)> {
        if self.tracker.is_empty() {
            return Vec::new();
        }
        let (counts, losses) = (self.tracker.total(), self.losses);
        vec![
            ("lost_network", losses.network),
            ("lost_receive_buffer", losses.receive_buffer),
            ("lost_impaired", losses.impaired),
            ("missed_before_joining", losses.before_joining),
            ("missed_while_away", losses.while_away),
            ("late", counts.late),
            ("duplicates", counts.duplicates),
        ]
    }

    fn absence_to_json(&self, absence: &Absence) -> Value {
        json!({
            "group": self.groups.get(absence.group).map(Group::to_string),
            "why": absence.why,
            "from_ns": nanos(absence.from - self.joined),
            "to_ns": absence.to.map(|to| nanos(to - self.joined)),
            "missed": absence.missed,
        })
    }

    /// One line for each time away.
    fn absences(&self) -> String {
        let mut told = String::new();
        for absence in &self.absences {
            let Absence { group, from, to, why, missed } = absence;
            let group = self.groups.get(*group).map(Group::to_string).unwrap_or_default();
            let from = show_duration(*from - self.joined);
            told.push_str(&match to {
                Some(to) => {
                    let to = show_duration(*to - self.joined);
                    format!("Away from {group} from {from} to {to} ({why}): {} missed\n", count(*missed, "message"))
                }
                None => format!("Away from {group} from {from} on ({why}): what was sent since, nobody told us\n"),
            });
        }
        told
    }

    /// One line for what came and was no message, where there was any.
    fn foreigners(&self) -> String {
        let Foreign { formats, strangers, reports } = self.foreign;
        let told = [
            (formats, "of another format"),
            (strangers, "from sources not asked for"),
            (reports, "on the port of reports, and none"),
        ];
        let told: Vec<String> =
            told.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
        if told.is_empty() { String::new() } else { format!("Passed over: {}\n", told.join(", ")) }
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
        let all_numbered = self.tracker.total().received == self.tally.total().all().datagrams;
        if self.tally.sources() > 0 && !all_numbered {
            f.write_str(&self.table())?;
        }
        if !self.tracker.is_empty() {
            f.write_str(&streams::table(&self.tracker, TABLE_ROWS))?;
        }
        f.write_str(&self.absences())?;
        f.write_str(&self.foreigners())?;
        write!(f, "Verdict: {}", self.verdict())?;
        match (self.silence.as_ref().and_then(|silence| silence.hint.as_ref()), self.advice()) {
            (Some(hint), _) => write!(f, "\n  try: {hint}"),
            (None, Some(Advice { code, command })) => write!(f, " [{code}]\n  try: {command}"),
            (None, None) => Ok(()),
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
            groups: vec![group],
            tracker: Tracker::new(9),
            losses: Losses::default(),
            impaired: 0,
            foreign: Foreign::default(),
            absences: Vec::new(),
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
