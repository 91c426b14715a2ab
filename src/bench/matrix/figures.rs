//! The two figures of system D's report: throughput against clients, and loss against clients.

use labkit::units::show_bytes;
use view::chart::{Figure, Panel, Point, Scale};

use super::plan::Cell;
use super::report::rounds;
use super::results::{Ended, Results};
use super::summary::{Summary, summaries};
use crate::bench::stats::Spread;

/// What a client gets, as more of them fetch at once.
#[must_use]
pub(super) fn throughput(results: &Results) -> Figure {
    Figure {
        title: "Throughput against clients".to_owned(),
        y_label: "throughput of each client (MB/s)".to_owned(),
        y_scale: Scale::Log,
        ..figure(results, |one| point(one.mb_per_s_each, 1.0))
    }
}

/// What a client does not get, as more of them fetch at once.
#[must_use]
pub(super) fn loss(results: &Results) -> Figure {
    Figure {
        title: "Loss against clients".to_owned(),
        y_label: "bytes that did not come (%)".to_owned(),
        y_scale: Scale::Linear,
        ..figure(results, |one| point(one.lost_ppm, 1e-4))
    }
}

fn point(Spread { median, min, max, .. }: Spread, factor: f64) -> Point {
    Point { middle: median * factor, low: min * factor, high: max * factor }
}

/// One panel a size, one step a number of clients, one series a mode.
fn figure(results: &Results, value: impl Fn(&Summary) -> Point) -> Figure {
    let summaries = summaries(results);
    let cells = results.plan.cells();
    let (modes, sizes) = (unique(cells, |cell| cell.mode), unique(cells, |cell| cell.size));
    let mut counts = unique(cells, |cell| cell.clients);
    counts.sort_unstable();
    let at = |cell: Cell| summaries.iter().find(|one| one.cell == cell).map(&value);
    let panel = |size: u64| Panel {
        title: format!("file of {}", show_bytes(size)),
        points: modes
            .iter()
            .map(|&mode| counts.iter().map(|&clients| at(Cell { mode, clients, size })).collect())
            .collect(),
    };
    let mut notes = vec![
        format!(
            "n = {}. Points: medians of the mean of a round's clients; bars: lowest to highest round. MB = 10⁶ bytes.",
            rounds(results)
        ),
        format!("{}.", results.host.line()),
    ];
    if results.ended != Ended::Complete {
        notes.push(format!("Partial: {}.", results.verdict().1));
    }
    Figure {
        x_label: "clients at once".to_owned(),
        x_ticks: counts.iter().map(ToString::to_string).collect(),
        series: modes.iter().map(ToString::to_string).collect(),
        panels: sizes.into_iter().map(panel).collect(),
        notes,
        command: results.command.clone(),
        ..Figure::default()
    }
}

fn unique<T: PartialEq>(cells: &[Cell], of: impl Fn(&Cell) -> T) -> Vec<T> {
    let mut found = Vec::new();
    for value in cells.iter().map(of) {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, row};
    use super::*;

    #[test]
    fn both_figures_say_unit_n_and_command_and_have_a_point_for_each_cell() {
        let rows =
            [(1, 250_000), (2, 500_000)].map(|(round, bytes)| row("classic", round, 1, bytes, 1)).into_iter().collect();
        let results = results(rows);
        for (figure, unit, middle) in [(throughput(&results), "(MB/s)", 0.375), (loss(&results), "(%)", 62.5)] {
            assert_eq!(figure.series, ["classic", "selective-repeat", "tcp"]);
            let point = figure.panels[0].points[0][0].unwrap();
            assert!((point.middle - middle).abs() < 1e-9 && point.low < point.middle && point.middle < point.high);
            assert_eq!(figure.panels[0].points[1..], [vec![None], vec![None]], "not measured");
            let svg = figure.svg();
            for wanted in [unit, "clients at once", "n = 2 rounds.", "$ castlab bench matrix --clients 2", "Linux 6.1"]
            {
                assert!(svg.contains(wanted), "{wanted}: {svg}");
            }
        }
        let stopped = Results { ended: Ended::Interrupted, ..results };
        assert!(loss(&stopped).svg().contains("Partial: stopped before the end"));
    }

    #[test]
    fn clients_stand_in_order_however_they_were_listed() {
        let mut results = results(Vec::new());
        let cell = |clients| Cell { mode: "tcp".parse().unwrap(), clients, size: 5 };
        results.plan = super::super::plan::Plan::new(vec![cell(10), cell(1), cell(5)], 1);
        assert_eq!(throughput(&results).x_ticks, ["1", "5", "10"]);
    }
}
