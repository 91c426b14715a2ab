//! What was measured, in the form that `--json` prints and `--compare` reads.

use serde::{Deserialize, Serialize};

use super::super::stats::Spread;

/// Everything a benchmark gives.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) role: String,
    pub(super) version: String,
    /// `complete`, `interrupted`, or `failed` when a run failed.
    pub(super) outcome: String,
    pub(super) command: String,
    pub(super) machine: Machine,
    pub(super) elapsed_ns: u64,
    pub(super) scenarios: Vec<Measured>,
    pub(super) targets: Vec<Verdict>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) failures: Vec<Problem>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processors: u32,
    pub(super) kernel: String,
}

/// A scenario and what its contenders reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) about: String,
    pub(super) clients: u16,
    pub(super) bytes: u64,
    /// The contender the others are compared with; none where it is the line.
    pub(super) peer: Option<String>,
    /// The bottleneck in bit/s, and what is on its way when it is full.
    pub(super) line_bits_per_second: Option<f64>,
    pub(super) line_bytes: Option<u64>,
    pub(super) rows: Vec<Row>,
}

/// A contender in a scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) contender: String,
    pub(super) title: String,
    pub(super) runs: Vec<Run>,
    /// Why it was given up, where it was.
    pub(super) gave_up: Option<String>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) round: usize,
    /// From the first start to the last exit.
    pub(super) elapsed_ns: u64,
    /// Of the files, that arrived.
    pub(super) bytes: u64,
    pub(super) bits_per_second: f64,
    pub(super) sender_cpu_ns: u64,
    pub(super) receiver_cpu_ns: u64,
    /// The most at once; zero where it was over before anybody looked.
    pub(super) sender_memory_bytes: u64,
    pub(super) receiver_memory_bytes: u64,
    /// Of the largest process that fetched.
    pub(super) largest_receiver_bytes: u64,
    /// Of all processors, what others used meanwhile.
    pub(super) others: f64,
    /// Of what was sent, where that is not all.
    pub(super) arrived: Option<f64>,
    /// Jain's index over the clients.
    pub(super) fairness: Option<f64>,
    /// The slowest client's time over the median client's.
    pub(super) slowest: Option<f64>,
    /// Bytes that waited before the bottleneck: 95 of 100 packets found no more; and the most.
    pub(super) queue_bytes: Option<u64>,
    pub(super) longest_queue_bytes: Option<u64>,
    /// Of what passed the bottleneck, when a TCP flow was beside it.
    pub(super) share: Option<f64>,
}

/// Whether a figure was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) scenario: String,
    pub(super) contender: String,
    pub(super) wanted: String,
    pub(super) found: String,
    /// None where it was not measured.
    pub(super) reached: Option<bool>,
}

/// What was not measured, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Skipped {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) scenario: String,
    pub(super) contender: String,
    pub(super) round: usize,
    pub(super) message: String,
}

impl Measured {
    pub(super) fn row(&self, contender: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contender == contender)
    }

    /// How much of `peer`'s rate a contender reached, round by round: what changed on the machine between rounds changed
    /// for both.
    pub(super) fn ratio(&self, contender: &str, peer: &str, of: impl Fn(&Run) -> f64) -> Option<Spread> {
        let (own, other) = (self.row(contender)?, self.row(peer)?);
        Spread::of(own.runs.iter().filter_map(|run| {
            let beside = other.runs.iter().find(|other| other.round == run.round)?;
            Some(of(run) / of(beside))
        }))
    }
}

impl Row {
    pub(super) fn spread(&self, of: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs.iter().map(of))
    }

    /// Of what only some runs have.
    pub(super) fn spread_of(&self, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(of))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
impl Run {
    /// Seconds of processor time for each 10^9 bytes that arrived: of the sender, and of the receiver.
    pub(super) fn cpu_per_gb(&self) -> (f64, f64) {
        let of = |nanos: u64| if self.bytes == 0 { 0.0 } else { nanos as f64 / self.bytes as f64 };
        (of(self.sender_cpu_ns), of(self.receiver_cpu_ns))
    }

    /// Of both together.
    pub(super) fn cpu_in_all(&self) -> f64 {
        let (sender, receiver) = self.cpu_per_gb();
        sender + receiver
    }

    pub(super) fn memory(&self) -> (f64, f64) {
        (self.sender_memory_bytes as f64, self.receiver_memory_bytes as f64)
    }
}
