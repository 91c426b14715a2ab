//! What came of fetching: one row for each file or copy, and a verdict.

use std::net::SocketAddr;
use std::time::Duration;

use arq::{Ecn, Marks};
use labkit::socket::Buffer;
use labkit::units::{show_bytes, show_duration};
use labkit::{Exit, Failure, table, text};
use serde::Serialize;
use serde_json::{Value, json};

use super::fetching::Job;
use crate::listing::hex;
use crate::reliable::port::Tallies;
use crate::report::megabytes_per_second;

/// How many rows and holes people are shown; the JSON has all.
const SHOWN: usize = 50;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who served.
    pub server: SocketAddr,
    /// The mode.
    pub mode: String,
    /// The receive buffer asked for and granted.
    pub receive_buffer: Buffer,
    /// One for each file or copy.
    pub rows: Vec<Row>,
    /// What was done to datagrams on purpose.
    pub network: Network,
    /// From the first hello to the last file.
    pub elapsed: Duration,
}

/// What came of one file or copy.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number, from 1.
    pub number: u64,
    /// What the server calls it.
    pub name: String,
    /// Where it lies.
    pub path: Option<String>,
    /// Its size in bytes, where it is known.
    pub size: Option<u64>,
    /// Its BLAKE3 hash, where it is known.
    pub hash: Option<[u8; 32]>,
    /// Bytes that came over the network.
    pub fetched: u64,
    /// Bytes that were here from an earlier run, and right.
    pub resumed: u64,
    /// How many blocks the server sent more than once; none where the transfer ended before it could say.
    pub sent_again: Option<u64>,
    /// What the server found out about marks on the path (ECN), where it could say.
    pub ecn: Option<Ecn>,
    /// How many blocks came with which.
    pub marks: Marks,
    /// How long datagrams were.
    pub datagram: u16,
    /// From which port it was asked for.
    pub client_port: Option<u16>,
    /// How long the run had lasted when it was begun: connecting, and files before it.
    pub begun: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub result: Result,
}

/// How a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Result {
    /// Every byte is right, synced, and under its name.
    Whole,
    /// Every byte came, is synced and under its name; but nobody asked whether they are the right ones.
    Unverified,
    /// It was there already, every byte.
    Already,
    /// Raw mode: these parts did not come.
    Holes(Vec<Hole>),
    /// It could not be done.
    Failed(Failure),
}

/// Bytes that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// The first.
    pub from: u64,
    /// One after the last.
    pub to: u64,
    /// How many blocks that is.
    pub blocks: u64,
}

/// Datagrams we dropped, doubled, damaged or delayed on purpose, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Datagrams that passed the impaired network, or did not.
    pub datagrams: u64,
    /// Dropped.
    pub lost: u64,
    /// Came twice.
    pub duplicated: u64,
    /// Came with some bits turned over.
    pub corrupted: u64,
    /// Came after later ones.
    pub reordered: u64,
}

/// The last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// A stable name for it.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The exit code.
    #[serde(skip)]
    pub exit: Exit,
}

impl Network {
    pub(super) fn add(&mut self, tallies: Tallies) {
        for tally in [tallies.there, tallies.back] {
            self.datagrams += tally.packets;
            self.lost += tally.lost();
            self.duplicated += tally.duplicated;
            self.corrupted += tally.corrupted;
            self.reordered += tally.reordered;
        }
    }
}

impl Row {
    /// A file that was not even begun.
    pub(super) fn unfetched(job: &Job, failure: Failure) -> Self {
        Row {
            number: job.number,
            name: job.name.to_string(),
            path: None,
            size: None,
            hash: None,
            fetched: 0,
            resumed: 0,
            sent_again: None,
            ecn: None,
            marks: Marks::default(),
            datagram: 0,
            client_port: None,
            begun: Duration::ZERO,
            elapsed: Duration::ZERO,
            result: Result::Failed(failure),
        }
    }

    /// Whether every byte is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.result, Result::Whole | Result::Unverified | Result::Already)
    }

    /// Whether every byte is here, and is known to be the right one.
    fn is_right(&self) -> bool {
        self.is_whole() && self.result != Result::Unverified
    }

    fn ended(&self) -> String {
        match &self.result {
            Result::Whole => "verified".to_owned(),
            Result::Unverified => "not verified".to_owned(),
            Result::Already => "here already".to_owned(),
            Result::Holes(holes) => format!("{} holes", holes.len()),
            Result::Failed(failure) => failure.code.to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        let (result, holes, error) = match &self.result {
            Result::Whole => ("verified", None, None),
            Result::Unverified => ("unverified", None, None),
            Result::Already => ("already", None, None),
            Result::Holes(holes) => ("holes", Some(holes), None),
            Result::Failed(failure) => ("failed", None, Some(failure)),
        };
        let mut row = json!({
            "number": self.number,
            "name": self.name,
            "path": self.path,
            "result": result,
            "size": self.size,
            "blake3": self.hash.map(hex),
            "fetched_bytes": self.fetched,
            "resumed_bytes": self.resumed,
            "blocks_sent_again": self.sent_again,
            "ecn": { "state": self.ecn.map(Ecn::name), "ect0": self.marks.ect0, "ce": self.marks.ce },
            "datagram_bytes": self.datagram,
            "client_port": self.client_port,
            "begun_ns": u64::try_from(self.begun.as_nanos()).unwrap_or(u64::MAX),
            "elapsed_ns": u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX),
        });
        if let Some(holes) = holes {
            row["holes"] = json!(holes);
        }
        if let Some(error) = error {
            row["error"] = json!(error);
        }
        row
    }
}

impl Report {
    /// The last word on all of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (all, whole) = (self.rows.len(), self.rows.iter().filter(|row| row.is_whole()).count());
        let bytes: u64 = self.rows.iter().filter(|row| row.is_whole()).filter_map(|row| row.size).sum();
        if let Some((failure, row)) = self.worst() {
            let name = text::show(row.name.as_bytes(), 200);
            let rest = if all > 1 { format!(" ({whole} of {all} are whole)") } else { String::new() };
            let text = format!("{name}: {}{rest}", failure.message);
            return Verdict { code: failure.code, text, hint: failure.hint.clone(), exit: failure.exit };
        }
        let missing: u64 = self.holes().map(|hole| hole.to - hole.from).sum();
        if missing > 0 {
            let text = format!("{} did not come, and raw mode sends nothing twice", show_bytes(missing));
            let hint = Some("-m selective-repeat fetches what is missing, and only that".to_owned());
            return Verdict { code: "HOLES", text, hint, exit: Exit::Partial };
        }
        let unverified = self.rows.iter().filter(|row| row.result == Result::Unverified).count();
        if unverified > 0 {
            let text = format!(
                "{whole} of {all} came, {}: every byte, but of {unverified} nobody knows whether they are right",
                show_bytes(bytes)
            );
            return Verdict { code: "UNVERIFIED", text, hint: None, exit: Exit::Done };
        }
        let text = match all {
            0 => "the server has no files".to_owned(),
            _ => format!("{whole} of {all} verified, {}: every byte is right", show_bytes(bytes)),
        };
        Verdict { code: "WHOLE", text, hint: None, exit: Exit::Done }
    }

    /// What weighs most: that somebody stopped it, then lateness, then wrong bytes, then whatever came first.
    fn worst(&self) -> Option<(&Failure, &Row)> {
        let failures = self.rows.iter().filter_map(|row| match &row.result {
            Result::Failed(failure) => Some((failure, row)),
            _ => None,
        });
        failures.min_by_key(|(failure, row)| {
            let weight = match failure.exit {
                Exit::Interrupted => 0,
                Exit::Deadline => 1,
                Exit::Integrity => 2,
                _ => 3,
            };
            (weight, row.number)
        })
    }

    fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.rows.iter().flat_map(|row| match &row.result {
            Result::Holes(holes) => holes.as_slice(),
            _ => &[],
        })
    }

    /// What marks told, in words; nothing where none were asked for.
    fn marks(&self) -> Option<String> {
        let mut states: Vec<Ecn> = Vec::new();
        for state in self.rows.iter().filter_map(|row| row.ecn).filter(|&state| state != Ecn::Unused) {
            if !states.contains(&state) {
                states.push(state);
            }
        }
        let states = states.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and ");
        let marks = self.rows.iter().fold(Marks::default(), |sum, row| sum.and(row.marks));
        let marked = format!("{} of {} datagrams came marked", marks.ce, marks.all());
        (!states.is_empty()).then(|| format!("ECN: {states}; {marked}"))
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let headers = ["file", "bytes", "resumed", "seconds", "MB/s", "re-sent", "mode", "ended"];
        let mut table = table::new(&headers);
        for row in self.rows.iter().take(SHOWN) {
            table.add_row([
                row.path.as_ref().map_or_else(|| text::show(row.name.as_bytes(), 60), Clone::clone),
                row.fetched.to_string(),
                row.resumed.to_string(),
                format!("{:.3}", row.elapsed.as_secs_f64()),
                format!("{:.1}", megabytes_per_second(row.fetched, row.elapsed)),
                row.sent_again.map_or_else(|| "?".to_owned(), |again| again.to_string()),
                self.mode.clone(),
                row.ended(),
            ]);
        }
        let mut lines = vec![table.to_string()];
        if self.rows.len() > SHOWN {
            lines.push(format!("({} more are not shown)", self.rows.len() - SHOWN));
        }
        for row in self.rows.iter().take(SHOWN) {
            if let (Some(hash), true) = (row.hash, row.is_right()) {
                lines.push(format!("{}  {}", hex(hash), row.path.as_deref().unwrap_or(&row.name)));
            }
        }
        for hole in self.holes().take(SHOWN) {
            lines.push(format!("missing: bytes {} to {} ({} blocks)", hole.from, hole.to, hole.blocks));
        }
        let fetched: u64 = self.rows.iter().map(|row| row.fetched).sum();
        lines.push(format!(
            "{} in {} ({:.1} MB/s in all); receive buffer: asked {}, granted {}{}",
            show_bytes(fetched),
            show_duration(self.elapsed),
            megabytes_per_second(fetched, self.elapsed),
            show_bytes(self.receive_buffer.asked as u64),
            show_bytes(self.receive_buffer.granted as u64),
            if self.receive_buffer.is_short() {
                format!("; more with: sysctl -w net.core.rmem_max={}", self.receive_buffer.asked)
            } else {
                String::new()
            }
        ));
        lines.extend(self.marks());
        if self.network.datagrams > 0 {
            let Network { datagrams, lost, duplicated, corrupted, reordered } = self.network;
            lines.push(format!(
                "on purpose (--impair), of {datagrams} datagrams: {lost} dropped, {duplicated} doubled, {corrupted} \
                 damaged, {reordered} put out of order"
            ));
        }
        let verdict = self.verdict();
        lines.push(format!("[{}] {}", verdict.code, verdict.text));
        lines.extend(verdict.hint.map(|hint| format!("  try: {hint}")));
        lines.join("\n")
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "server": self.server.to_string(),
            "mode": self.mode,
            "files": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "total": {
                "files": self.rows.len(),
                "whole": self.rows.iter().filter(|row| row.is_whole()).count(),
                "fetched_bytes": self.rows.iter().map(|row| row.fetched).sum::<u64>(),
                "elapsed_ns": u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX),
            },
            "receive_buffer": { "asked": self.receive_buffer.asked, "granted": self.receive_buffer.granted },
            "impaired": self.network,
            "verdict": self.verdict(),
        })
    }
}
