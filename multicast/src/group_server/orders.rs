//! `group-server check-order FILE…`: what the logs of a run say about its order.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Parser;
use events::Reader;
use labkit::{Exit, Failure, Session};

use crate::call::Order;
use crate::call::check::{Checker, Report};

/// Find in the --events files of a server and its clients what the group's order does not allow
#[derive(Parser, Clone, Debug)]
pub(super) struct CheckOrder {
    /// The files, one of each program
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Judge by this order: none, fifo, causal or total [default: the one the logs say they were made in]
    #[arg(long, env = "CASTLAB_ORDER", hide_env_values = true)]
    order: Option<Order>,
}

impl CheckOrder {
    /// Reads and judges.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else, when nothing was said in any, or when the logs do not say in
    /// which order they were made.
    fn judge(&self) -> Result<Report, Failure> {
        let mut checker = Checker::new();
        for (number, path) in self.files.iter().enumerate() {
            let file = File::open(path).map_err(|error| Failure::io("open", path.display(), &error))?;
            for record in Reader::new(BufReader::new(file)) {
                let record = record.map_err(|error| malformed(path, &error.to_string()))?;
                checker.read(number, &record).map_err(|error| malformed(path, &error.to_string()))?;
            }
        }
        let mut claimed = checker.claimed().iter();
        let order = match (self.order, claimed.next(), claimed.next()) {
            (Some(order), _, _) | (None, Some(&order), None) => order,
            (None, None, _) => {
                return Err(Failure::new(Exit::Setup, "NO-ORDER", "none of these files is of a group's run")
                    .hint("record one with --events FILE, on the server and on each client; or name --order"));
            }
            (None, Some(_), Some(_)) => {
                return Err(Failure::new(Exit::Setup, "NO-ORDER", "these files are of runs in different orders")
                    .hint("give the files of one run, or name --order"));
            }
        };
        let report = checker.judge(order);
        if report.deliveries == 0 {
            return Err(Failure::new(
                Exit::NobodyAnswered,
                "NOTHING-SAID",
                "nothing was said to the group in these files",
            )
            .hint("/group TEXT says something, on the server or a client"));
        }
        Ok(report)
    }

    /// Judges and tells.
    pub(super) fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let report = self.judge()?;
        session.output.result(report.to_string());
        session.output.json(&report.to_json());
        Ok(if report.violations() == 0 { Exit::Done } else { Exit::CheckFailed })
    }
}

fn malformed(path: &std::path::Path, why: &str) -> Failure {
    Failure::new(Exit::Setup, "BAD-EVENTS", format!("cannot read {}: {why}", path.display()))
        .hint("a file written with --events has one JSON record a line")
}
