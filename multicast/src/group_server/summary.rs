//! What a group server did, and what a call brought back, for people and for programs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use labkit::units::show_duration;
use labkit::{Exit, table};
use serde_json::{Value, json};

use crate::call::{CallResult, Order, Why};
use crate::group_io::{show_name, show_text};

/// One run of a server.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where it listened.
    pub local: SocketAddr,
    /// In which order members saw what was said to all.
    pub order: Order,
    /// For how long.
    pub elapsed: Duration,
    /// How many joined.
    pub joined: u64,
    /// How many of them fell silent, or did not keep up.
    pub lost: u64,
    /// How many addresses sent raw lines.
    pub raw_clients: usize,
    /// Messages from clients to the server alone.
    pub lines: u64,
    /// Messages to all.
    pub casts: u64,
    /// Calls to the group.
    pub calls: u64,
    /// Datagrams that are none of ours, or of nobody here.
    pub foreign: u64,
    /// Answers that were longer than what an address that proved nothing had sent.
    pub withheld: u64,
    /// Whether it was to end by itself and was stopped before.
    pub interrupted: bool,
}

impl Summary {
    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.interrupted { Exit::Interrupted } else { Exit::Done }
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "local": self.local.to_string(),
            "order": self.order.to_string(),
            "elapsed_ns": nanos(self.elapsed),
            "joined": self.joined,
            "lost": self.lost,
            "raw_clients": self.raw_clients,
            "lines": self.lines,
            "casts": self.casts,
            "calls": self.calls,
            "foreign": self.foreign,
            "withheld": self.withheld,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.foreign > 0 {
            writeln!(f, "{} datagrams were none of ours, or of nobody here", self.foreign)?;
        }
        if self.withheld > 0 {
            writeln!(
                f,
                "{} answers were withheld: longer than what that address, which proved nothing, had sent (--classic \
                 sends them)",
                self.withheld
            )?;
        }
        let (members, lost) = (self.joined, self.lost);
        let (lines, casts, calls) = (self.lines, self.casts, self.calls);
        write!(
            f,
            "Verdict: {members} joined, {lost} fell silent, {lines} messages to the server, {casts} to all, {calls} calls, \
             in {}",
            show_duration(self.elapsed)
        )
    }
}

/// What a call brought back, with those who were meant and never came.
#[derive(Clone, Debug)]
pub struct CallSummary {
    /// What the members answered.
    pub result: CallResult,
    /// Names of members that were expected and were not here.
    pub absent: Vec<Vec<u8>>,
    /// How many were wanted at least.
    pub wanted: usize,
}

impl CallSummary {
    /// 0 where all answered, 4 where nobody did, 6 where some did.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let asked = self.result.answers.len() + self.result.missing.len();
        match self.result.answers.len() {
            0 => Exit::NobodyAnswered,
            _ if self.result.missing.is_empty() && self.absent.is_empty() && asked >= self.wanted => Exit::Done,
            _ => Exit::Partial,
        }
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let answers: Vec<Value> = self
            .result
            .answers
            .iter()
            .map(|one| {
                json!({
                    "client": show_name(&one.name),
                    "member": one.member,
                    "answer": String::from_utf8_lossy(&one.text),
                    "elapsed_ns": nanos(one.elapsed),
                })
            })
            .collect();
        let silent = self
            .result
            .missing
            .iter()
            .map(|one| json!({ "client": show_name(&one.name), "member": one.member, "reason": reason(one.why) }));
        let absent = self.absent.iter().map(|name| json!({ "client": show_name(name), "reason": "never joined" }));
        json!({
            "call": String::from_utf8_lossy(&self.result.text),
            "answers": answers,
            "missing": silent.chain(absent).collect::<Vec<_>>(),
            "rounds": self.result.rounds,
            "elapsed_ns": nanos(self.result.elapsed),
        })
    }
}

impl fmt::Display for CallSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table::new(&["client", "answer", "after"]);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(comfy_table::CellAlignment::Left);
        }
        for one in &self.result.answers {
            table.add_row([show_name(&one.name), show_text(&one.text), show_duration(one.elapsed)]);
        }
        for one in &self.result.missing {
            table.add_row([show_name(&one.name), format!("– ({})", reason(one.why)), "–".to_owned()]);
        }
        for name in &self.absent {
            table.add_row([show_name(name), "– (never joined)".to_owned(), "–".to_owned()]);
        }
        writeln!(f, "{table}")?;
        let answered = self.result.answers.len();
        let asked = answered + self.result.missing.len() + self.absent.len();
        write!(f, "Verdict: {answered} of {asked} answered in {}", show_duration(self.result.elapsed))?;
        let missing = self.result.missing.iter().map(|one| &one.name).chain(&self.absent);
        let missing: Vec<String> = missing.map(|name| format!("Client {}", show_name(name))).collect();
        if !missing.is_empty() {
            write!(f, "; missing: {}", missing.join(", "))?;
        }
        Ok(())
    }
}

/// Why there is no answer.
pub(super) fn reason(why: Option<Why>) -> &'static str {
    match why {
        None => "no answer in time",
        Some(why) => why.told(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
