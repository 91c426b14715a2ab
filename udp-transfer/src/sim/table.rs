//! The table of the lecture: each mode over more and more loss.

use std::fmt;
use std::time::Duration;

use arq::Policy;
use netsim::{Chance, Impairment};

use super::Scenario;

/// What each mode costs at each loss, as a mean over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The rows, in the order of the modes, and of the losses within a mode.
    pub rows: Vec<Row>,
}

/// One mode at one loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The mode.
    pub policy: Policy,
    /// The chance with which a datagram is lost, each way.
    pub loss: Chance,
    /// How many runs the means are over.
    pub runs: u64,
    /// How many of them brought a whole file.
    pub whole: u64,
    /// Virtual time per block.
    pub time_per_block: Duration,
    /// Datagrams with blocks, per block of the file.
    pub sent_per_block: f64,
    /// All datagrams, both ways, per block of the file.
    pub datagrams_per_block: f64,
}

impl Table {
    /// Runs `scenario` in each mode at each loss, with seeds from its own on.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of datagrams are far below 2^52")]
    pub fn of(scenario: &Scenario, policies: &[Policy], losses: &[Chance], runs: u64) -> Self {
        let mut rows = Vec::new();
        for &policy in policies {
            for &loss in losses {
                let (mut whole, mut time, mut sent, mut datagrams) = (0, Duration::ZERO, 0, 0);
                for seed in scenario.seed..scenario.seed + runs {
                    let lossy = |link: &Impairment| Impairment { loss, ..link.clone() };
                    let (forward, backward) = (lossy(&scenario.forward), lossy(&scenario.backward));
                    let run = Scenario { policy, seed, forward, backward, ..scenario.clone() }.run();
                    whole += u64::from(run.is_whole());
                    time += run.last_stored;
                    sent += run.blocks_sent;
                    datagrams += run.datagrams;
                }
                let blocks = (runs * scenario.blocks).max(1);
                let time_per_block = Duration::from_nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / blocks);
                let per_block = |count: u64| count as f64 / blocks as f64;
                let (sent_per_block, datagrams_per_block) = (per_block(sent), per_block(datagrams));
                rows.push(Row { policy, loss, runs, whole, time_per_block, sent_per_block, datagrams_per_block });
            }
        }
        Table { rows }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:>6} {:>9} {:>14} {:>12} {:>12}",
            "mode", "loss", "whole", "ms per block", "sent/block", "all/block"
        )?;
        for row in &self.rows {
            let whole = format!("{}/{}", row.whole, row.runs);
            writeln!(
                f,
                "{:<18} {:>6} {:>9} {:>14.3} {:>12.3} {:>12.3}",
                row.policy.to_string(),
                row.loss.to_string(),
                whole,
                row.time_per_block.as_secs_f64() * 1e3,
                row.sent_per_block,
                row.datagrams_per_block
            )?;
        }
        Ok(())
    }
}
