//! All rounds of a cell in one line: medians, and how far the rounds lie apart.

use serde::Serialize;

use super::plan::Cell;
use super::results::Results;
use super::row::{Row, Success};
use crate::bench::matrix::mode::Mode;
use crate::bench::stats::Spread;

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Which.
    #[serde(flatten)]
    pub cell: Cell,
    /// How many rounds were measured.
    pub rounds: usize,
    /// How many clients in all, and how many of them got the whole file.
    pub fetches: usize,
    /// See [`Summary::fetches`].
    pub whole: usize,
    /// What a client got, on the mean of a round's clients.
    pub mb_per_s_each: Spread,
    /// What all clients got together, to when the last one had what it got.
    pub mb_per_s_in_all: Spread,
    /// The slowest client.
    pub seconds: Spread,
    /// The lost share, in parts per million.
    pub lost_ppm: Spread,
    /// Bytes sent for each byte of the files: above 1 when things are sent again. None where the server does not know.
    pub sent_per_file_byte: Option<f64>,
    /// The median of `mb_per_s_in_all`, as a ratio to that of plain TCP; none where that was not measured.
    pub of_tcp: Option<f64>,
}

/// One line for each cell that was measured, in the order of the plan.
#[must_use]
pub(super) fn summaries(results: &Results) -> Vec<Summary> {
    let mut all: Vec<Summary> = results.plan.cells().iter().filter_map(|&cell| summary(cell, results)).collect();
    let yardsticks: Vec<(Cell, f64)> =
        all.iter().filter(|one| one.cell.mode == Mode::Tcp).map(|one| (one.cell, one.mb_per_s_in_all.median)).collect();
    for one in &mut all {
        let same = |tcp: &Cell| (tcp.clients, tcp.size) == (one.cell.clients, one.cell.size);
        let yardstick = yardsticks.iter().find(|(tcp, _)| same(tcp)).map(|(_, rate)| *rate);
        one.of_tcp = yardstick.filter(|rate| *rate > 0.0).map(|rate| one.mb_per_s_in_all.median / rate);
    }
    all
}

fn summary(cell: Cell, results: &Results) -> Option<Summary> {
    let rows: Vec<&Row> = results.rows.iter().filter(|row| row.is_of(cell)).collect();
    let mut rounds: Vec<u16> = rows.iter().map(|row| row.round).collect();
    rounds.dedup();
    let by_round: Vec<Vec<&Row>> =
        rounds.iter().map(|round| rows.iter().copied().filter(|row| row.round == *round).collect()).collect();
    let spread = |value: fn(&[&Row]) -> f64| Spread::of(by_round.iter().map(|rows| value(rows)));
    let sent: Option<u64> = rows.iter().map(|row| row.sent_bytes).sum();
    let file_bytes = rows.iter().map(|row| row.size_bytes).sum::<u64>();
    Some(Summary {
        cell,
        rounds: rounds.len(),
        fetches: rows.len(),
        whole: rows.iter().filter(|row| row.success == Success::Yes).count(),
        mb_per_s_each: spread(|rows| mean(rows.iter().map(|row| row.mb_per_s())))?,
        mb_per_s_in_all: spread(in_all)?,
        seconds: spread(slowest)?,
        lost_ppm: spread(|rows| mean(rows.iter().map(|row| float(row.lost_ppm()))))?,
        sent_per_file_byte: sent.filter(|_| file_bytes > 0).map(|sent| float(sent) / float(file_bytes)),
        of_tcp: None,
    })
}

fn slowest(rows: &[&Row]) -> f64 {
    rows.iter().map(|row| row.seconds()).fold(0.0, f64::max)
}

fn in_all(rows: &[&Row]) -> f64 {
    let bytes: u64 = rows.iter().map(|row| row.received_bytes).sum();
    let seconds = slowest(rows);
    if seconds > 0.0 { float(bytes) / 1e6 / seconds } else { 0.0 }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 { 0.0 } else { values.sum::<f64>() / float(count as u64) }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Row {
    fn is_of(&self, cell: Cell) -> bool {
        (self.mode, self.clients, self.size_bytes) == (cell.mode, cell.clients, cell.size)
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, row};
    use super::*;

    #[test]
    fn clients_of_a_round_are_put_together_before_rounds_are() {
        // Two clients of 1 MB: 1 s and 2 s, then 2 s and 4 s.
        let rows = [(1, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 4)]
            .map(|(round, client, seconds)| row("selective-repeat", round, client, 1_000_000, seconds));
        let tcp = [(1, 1, 1), (1, 2, 1)].map(|(round, client, seconds)| row("tcp", round, client, 1_000_000, seconds));
        let all = summaries(&results(rows.into_iter().chain(tcp).collect()));
        let one = all.iter().find(|one| one.cell.mode != Mode::Tcp).unwrap();
        assert_eq!((one.rounds, one.fetches, one.whole), (2, 4, 4));
        assert_eq!(one.seconds, Spread { median: 3.0, min: 2.0, max: 4.0, n: 2 });
        assert_eq!(one.mb_per_s_in_all, Spread { median: 0.75, min: 0.5, max: 1.0, n: 2 });
        assert_eq!(one.mb_per_s_each.max, 0.75);
        assert_eq!(one.of_tcp, Some(0.375), "of the 2 MB/s of TCP");
        assert_eq!(one.sent_per_file_byte, Some(1.0));
    }

    #[test]
    fn what_was_not_measured_has_no_line_and_what_lost_says_how_much() {
        let mut lost = row("classic", 1, 1, 250_000, 1);
        lost.sent_bytes = None;
        let all = summaries(&results(vec![lost]));
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].lost_ppm.median, all[0].whole), (750_000.0, 0));
        assert_eq!((all[0].sent_per_file_byte, all[0].of_tcp), (None, None));
    }
}
