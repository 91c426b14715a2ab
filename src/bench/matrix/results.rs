//! Everything that was measured, where, and how it ended.

use labkit::{Exit, Failure};
use serde_json::{Value, json};

use super::args::Args;
use super::plan::Plan;
use super::row::{Row, Success};
use super::summary::summaries;

/// Everything that was measured.
#[derive(Clone, Debug)]
pub(super) struct Results {
    /// The command that measures it again.
    pub command: String,
    /// Where.
    pub host: Host,
    /// What was to be measured.
    pub plan: Plan,
    /// What each client got, in the order it was measured.
    pub rows: Vec<Row>,
    /// How many runs were made.
    pub runs: usize,
    /// How it ended.
    pub ended: Ended,
}

/// The machine, as far as it changes the figures.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// How many processors may be used.
    pub processors: usize,
    /// Whether the files lay in memory.
    pub in_memory: bool,
    /// Whether the programs ran by commands of the user's, in containers, say.
    pub elsewhere: bool,
    /// Whether this is a build for debugging, whose speeds are none.
    pub debug: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every run was made.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// It could not go on.
    Failed(Failure),
}

impl Host {
    /// This machine.
    #[must_use]
    pub(super) fn here(args: &Args, in_memory: bool) -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Host {
            kernel: labkit::text::show(kernel.trim().as_bytes(), 60),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            in_memory,
            elsewhere: args.is_elsewhere(),
            debug: cfg!(debug_assertions),
        }
    }

    /// In one line.
    #[must_use]
    pub(super) fn line(&self) -> String {
        let Host { kernel, processors, in_memory, elsewhere, debug } = self;
        format!(
            "Linux {kernel}, {processors} processors, {}; files {}{}",
            if *elsewhere { "programs elsewhere (--server-via, --client-via)" } else { "loopback" },
            if *in_memory { "in memory (tmpfs)" } else { "on a disk" },
            if *debug { "; DEBUG BUILD: these are no speeds" } else { "" }
        )
    }
}

impl Results {
    /// Clients that did not get in a reliable mode what they must get in it.
    fn broken(&self) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.mode.is_reliable() && row.success != Success::Yes).collect()
    }

    /// How it ends the program.
    #[must_use]
    pub(super) fn exit(&self) -> Exit {
        match &self.ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::Failed(failure) => failure.exit,
            Ended::Complete if self.broken().is_empty() => Exit::Done,
            Ended::Complete => Exit::CheckFailed,
        }
    }

    /// The last word: a stable code, and what it means.
    #[must_use]
    pub(super) fn verdict(&self) -> (&'static str, String) {
        let planned = self.plan.runs().len();
        let made = format!("{} of {planned} runs were made", self.runs);
        let broken = self.broken();
        match (&self.ended, broken.first()) {
            (Ended::Interrupted, _) => ("INTERRUPTED", format!("stopped before the end: {made}")),
            (Ended::Failed(failure), _) => (failure.code, format!("{made}; then: {}", failure.message)),
            (Ended::Complete, Some(row)) => {
                let problem = row.problem.as_ref().map(|code| format!(", {code}")).unwrap_or_default();
                let text = format!(
                    "{} transfers in modes that lose nothing did not end with the source's bytes; the first: {} to client {} \
                     of {}, round {} ({}{problem})",
                    broken.len(),
                    row.mode,
                    row.client,
                    row.clients,
                    row.round,
                    row.success.name()
                );
                ("NOT-WHOLE", text)
            }
            (Ended::Complete, None) => {
                let reliable = self.rows.iter().filter(|row| row.mode.is_reliable()).count();
                ("MEASURED", format!("{made}; {reliable} of {reliable} transfers in modes that lose nothing are whole"))
            }
        }
    }

    /// Everything, for programs: `udp-transfer/matrix.schema.json` says what each word means.
    #[must_use]
    pub(super) fn to_json(&self, role: &str) -> Value {
        let (code, text) = self.verdict();
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let mut value = json!(row);
                value["lost_ppm"] = row.lost_ppm().into();
                value["mb_per_s"] = row.mb_per_s().into();
                value
            })
            .collect();
        json!({
            "role": role,
            "version": labkit::program::VERSION,
            "command": self.command,
            "host": {
                "kernel": self.host.kernel,
                "processors": self.host.processors,
                "in_memory": self.host.in_memory,
                "elsewhere": self.host.elsewhere,
                "debug_build": self.host.debug,
            },
            "rounds": self.plan.rounds(),
            "runs": { "planned": self.plan.runs().len(), "made": self.runs },
            "complete": self.ended == Ended::Complete,
            "cells": summaries(self),
            "rows": rows,
            "verdict": { "code": code, "text": text },
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::{Cell, Run};
    use super::*;
    use crate::bench::received::Compared;

    pub(in super::super) fn row(mode: &str, round: u16, client: u16, bytes: u64, seconds: u64) -> Row {
        let cell = Cell { mode: mode.parse().unwrap(), clients: 2, size: 1_000_000 };
        let mut row = Row::new(cell, Run { cell: 0, round }, client);
        row.received(bytes);
        row.judge(if bytes == row.size_bytes { Compared::Same } else { Compared::Parts });
        row.elapsed_ns = seconds * 1_000_000_000;
        (row.client_port, row.server_port, row.sent_bytes) = (Some(40_000 + client), Some(6_969), Some(1_000_000));
        row
    }

    pub(in super::super) fn results(rows: Vec<Row>) -> Results {
        let modes = ["classic", "selective-repeat", "tcp"];
        let cells = modes.map(|mode| Cell { mode: mode.parse().unwrap(), clients: 2, size: 1_000_000 });
        let host = Host { kernel: "6.1".into(), processors: 2, in_memory: true, elsewhere: false, debug: false };
        let (command, plan) = ("castlab bench matrix --clients 2".into(), Plan::new(cells.to_vec(), 2));
        Results { command, host, plan, rows, runs: 6, ended: Ended::Complete }
    }

    #[test]
    fn only_what_promises_every_byte_must_keep_it() {
        let lossy = results(vec![row("classic", 1, 1, 5, 1), row("tcp", 1, 1, 1_000_000, 1)]);
        assert_eq!((lossy.exit(), lossy.verdict().0), (Exit::Done, "MEASURED"));
        let broken = results(vec![row("tcp", 2, 1, 5, 1)]);
        assert_eq!((broken.exit(), broken.verdict().0), (Exit::CheckFailed, "NOT-WHOLE"));
        assert!(broken.verdict().1.contains("tcp to client 1 of 2, round 2 (in part)"), "{:?}", broken.verdict());
    }

    #[test]
    fn what_was_stopped_says_how_far_it_came() {
        let stopped = Results { runs: 1, ended: Ended::Interrupted, ..results(Vec::new()) };
        assert_eq!((stopped.exit(), stopped.verdict().0), (Exit::Interrupted, "INTERRUPTED"));
        assert!(stopped.verdict().1.contains("1 of 6 runs"));
        let failure = Failure::new(Exit::Setup, "PROGRAM", "cannot run x");
        let failed = Results { ended: Ended::Failed(failure), ..stopped };
        assert_eq!((failed.exit(), failed.verdict().0), (Exit::Setup, "PROGRAM"));
    }

    #[test]
    fn the_json_is_what_its_schema_says() {
        let schema: Value = serde_json::from_str(include_str!("../../../udp-transfer/matrix.schema.json")).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let mut lost = row("classic", 1, 1, 5, 1);
        (lost.problem, lost.compared, lost.client_port) = (Some("X".into()), None, None);
        for results in [results(vec![lost, row("tcp", 1, 1, 1_000_000, 1)]), results(Vec::new())] {
            let json = results.to_json("castlab");
            let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        let mut wrong = results(vec![row("tcp", 1, 1, 5, 1)]).to_json("castlab");
        wrong["rows"][0]["success"] = "perhaps".into();
        assert!(!schema.is_valid(&wrong));
    }
}
