//! How far it is, on stderr: a bar on a terminal, elsewhere a plain line every few seconds.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use events::Time;
use indicatif::{ProgressBar, ProgressStyle};
use labkit::units::show_bytes;
use labkit::{Common, Session};

use super::plan::{Cell, Estimate, Plan, Run, about};

/// Lines come no more often than this.
const INTERVAL: Duration = Duration::from_secs(3);

/// Tells how far it is.
pub(super) struct Progress {
    estimate: Estimate,
    runs: Vec<Run>,
    cells: Vec<Cell>,
    show: Show,
    told: Option<Time>,
}

enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    pub(super) fn new(plan: &Plan, estimate: Estimate, common: &Common) -> Self {
        let runs = plan.runs();
        let show = match (common.quiet || common.no_progress, std::io::stderr().is_terminal()) {
            (true, _) => Show::Nothing,
            (false, false) => Show::Lines,
            (false, true) => {
                let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}").expect("a well-formed template");
                Show::Bar(ProgressBar::new(runs.len() as u64).with_style(style))
            }
        };
        Progress { estimate, runs, cells: plan.cells().to_vec(), show, told: None }
    }

    /// The next run begins.
    pub(super) fn begin(&mut self, which: usize, session: &Session) {
        let line = self.line(which);
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                bar.set_position(which as u64);
                bar.set_message(line);
            }
            Show::Lines => {
                let now = session.clock.now();
                if self.told.is_none_or(|told| now >= told + INTERVAL) {
                    self.told = Some(now);
                    // Nobody may be reading.
                    let _ = writeln!(std::io::stderr(), "[{}/{}] {line}", which + 1, self.runs.len());
                }
            }
        }
    }

    /// It took so long.
    pub(super) fn end(&mut self, which: usize, took: Duration) {
        if let Some(run) = self.runs.get(which) {
            self.estimate.learn(run.cell, took);
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }

    fn line(&self, which: usize) -> String {
        let (Some(run), rest) = (self.runs.get(which), self.runs.get(which..).unwrap_or_default()) else {
            return String::new();
        };
        let left = about(self.estimate.of(rest));
        let Some(Cell { mode, clients, size }) = self.cells.get(run.cell) else { return String::new() };
        format!("round {}: {mode}, {clients} × {}; about {left} left", run.round, show_bytes(*size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_runs_now_and_how_long_the_rest_takes() {
        let cell = Cell { mode: "tcp".parse().unwrap(), clients: 5, size: 10 << 20 };
        let plan = Plan::new(vec![cell], 3);
        let estimate = Estimate::new(&plan, Duration::from_secs(1), 1);
        let quiet = Common { quiet: true, ..Common::default() };
        let mut progress = Progress::new(&plan, estimate, &quiet);
        progress.end(0, Duration::from_secs(40));
        assert_eq!(progress.line(1), "round 2: tcp, 5 × 10.0 MiB; about 1 min 20 s left");
        assert_eq!(progress.line(9), "");
    }
}
