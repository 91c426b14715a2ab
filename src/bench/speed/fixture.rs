//! Made-up results for tests.

use super::results::{Measured, Row, Run};

/// A scenario with these contenders, each with the rates of its rounds.
pub(super) fn measured(name: &str, rows: &[(&str, &[f64])]) -> Measured {
    let row = |(contender, rates): &(&str, &[f64])| Row {
        contender: (*contender).to_owned(),
        title: (*contender).to_owned(),
        runs: rates.iter().enumerate().map(|(round, &rate)| run(round, rate)).collect(),
        gave_up: None,
    };
    Measured {
        name: name.to_owned(),
        path: name.to_owned(),
        about: "made up".to_owned(),
        clients: 1,
        bytes: 1_000_000_000,
        peer: rows.last().map(|(contender, _)| (*contender).to_owned()),
        line_bits_per_second: None,
        line_bytes: None,
        rows: rows.iter().map(row).collect(),
    }
}

fn run(round: usize, rate: f64) -> Run {
    Run {
        round,
        elapsed_ns: 1_000_000_000,
        bytes: 1_000_000_000,
        bits_per_second: rate,
        sender_cpu_ns: 200_000_000,
        receiver_cpu_ns: 400_000_000,
        sender_memory_bytes: 10 << 20,
        receiver_memory_bytes: 20 << 20,
        largest_receiver_bytes: 20 << 20,
        ..Run::default()
    }
}
