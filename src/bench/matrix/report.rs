//! The results as tables: for the terminal, as Markdown, and as CSV.

use std::fmt::Write;

use comfy_table::CellAlignment;
use labkit::table;
use labkit::units::show_bytes;
use udp_transfer::report::show_percent;

use super::results::{Ended, Results};
use super::row::Row;
use super::summary::{Summary, summaries};
use crate::bench::stats::Spread;

const HEADERS: [&str; 9] =
    ["size", "clients", "mode", "whole", "MB/s each", "MB/s in all", "of TCP", "lost", "sent/file"];
/// Where the mode stands in it: a name, no number.
const MODE: usize = 2;
const DETAILS: [&str; 12] = [
    "mode",
    "round",
    "client",
    "success",
    "received (B)",
    "lost",
    "seconds",
    "MB/s",
    "sent (B)",
    "again (blocks)",
    "client port",
    "server port",
];

/// One line a cell, for the terminal, and what it means.
#[must_use]
pub(super) fn text(results: &Results) -> String {
    let mut table = table::new(&HEADERS);
    table.column_mut(MODE).into_iter().for_each(|modes| {
        modes.set_cell_alignment(CellAlignment::Left);
    });
    for one in summaries(results) {
        table.add_row(cells(&one));
    }
    let (code, said) = results.verdict();
    format!("{table}\n{}\n{}\n[{code}] {said}", how(results), results.host.line())
}

/// The report: what was measured and how, one line a cell, and every client of every round.
#[must_use]
pub(super) fn markdown(results: &Results) -> String {
    let (code, said) = results.verdict();
    let mut report = String::from("# File transfer: clients × sizes × modes\n\n");
    let mut line = |text: String| {
        report.push_str(&text);
        report.push('\n');
    };
    if results.ended != Ended::Complete {
        line(format!("**Partial: {said}.**\n"));
    }
    line(format!(
        "```console\n$ {}\n```\n\n{}.\n{}. `{code}`: {said}.\n",
        results.command,
        results.host.line(),
        how(results)
    ));
    line("![throughput against clients](throughput.svg)\n\n![loss against clients](loss.svg)\n".to_owned());
    line(row_of(&HEADERS.map(str::to_owned)));
    line(rule(HEADERS.len(), 3));
    summaries(results).iter().for_each(|one| line(row_of(&cells(one))));
    line("\n## Every client of every round".to_owned());
    let mut groups: Vec<(u64, u16)> = results.plan.cells().iter().map(|cell| (cell.size, cell.clients)).collect();
    groups.dedup();
    for (size, clients) in groups {
        let mut rows: Vec<&Row> =
            results.rows.iter().filter(|row| (row.size_bytes, row.clients) == (size, clients)).collect();
        let order = |row: &Row| results.plan.cells().iter().position(|cell| cell.mode == row.mode);
        rows.sort_by_key(|row| (order(row), row.round, row.client));
        line(format!("\n### {}, {clients} {}\n", show_bytes(size), if clients == 1 { "client" } else { "clients" }));
        line(row_of(&DETAILS.map(str::to_owned)));
        line(rule(DETAILS.len(), 1));
        rows.iter().for_each(|row| line(row_of(&details(row))));
    }
    report
}

/// What the columns are, and how often each was measured.
pub(super) fn how(results: &Results) -> String {
    format!(
        "Medians of {} (lowest to highest); MB = 10⁶ bytes; each: the mean of a round's clients; in all: to the last client",
        rounds(results)
    )
}

/// How often each cell was measured, which differs when it was stopped in the midst of a round.
pub(super) fn rounds(results: &Results) -> String {
    let counts: Vec<usize> = summaries(results).iter().map(|one| one.rounds).collect();
    match (counts.iter().min(), counts.iter().max()) {
        (Some(1), Some(1)) => "1 round".to_owned(),
        (Some(least), Some(most)) if least == most => format!("{most} rounds"),
        (Some(least), Some(most)) => format!("{least} to {most} rounds"),
        _ => "0 rounds".to_owned(),
    }
}

fn cells(one: &Summary) -> [String; 9] {
    [
        show_bytes(one.cell.size),
        one.cell.clients.to_string(),
        one.cell.mode.to_string(),
        format!("{}/{}", one.whole, one.fetches),
        spread(one.mb_per_s_each),
        spread(one.mb_per_s_in_all),
        one.of_tcp.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        lost(one.lost_ppm),
        one.sent_per_file_byte.map_or_else(|| "?".to_owned(), |ratio| format!("{ratio:.3}")),
    ]
}

fn details(row: &Row) -> [String; 12] {
    let or_unknown = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let port = |port: Option<u16>| port.map_or_else(|| "?".to_owned(), |port| port.to_string());
    let problem = row.problem.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    [
        row.mode.to_string(),
        row.round.to_string(),
        row.client.to_string(),
        format!("{}{problem}", row.success.name()),
        row.received_bytes.to_string(),
        show_percent(row.lost_ppm()),
        format!("{:.3}", row.seconds()),
        format!("{:.1}", row.mb_per_s()),
        or_unknown(row.sent_bytes),
        row.sent_again_blocks.map_or_else(|| "–".to_owned(), |blocks| blocks.to_string()),
        port(row.client_port),
        port(row.server_port),
    ]
}

fn spread(Spread { median, min, max, .. }: Spread) -> String {
    if min == max { three(median) } else { format!("{} ({}–{})", three(median), three(min), three(max)) }
}

fn lost(Spread { median, min, max, .. }: Spread) -> String {
    if min == max { percent(median) } else { format!("{} ({}–{})", percent(median), percent(min), percent(max)) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "parts per million, from 0 to a million")]
fn percent(ppm: f64) -> String {
    show_percent(ppm.ceil() as u64)
}

/// Three digits, as far as they say anything.
fn three(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn row_of(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// The line below the headers: names stand to the left, numbers to the right.
fn rule(columns: usize, names: usize) -> String {
    (0..columns).fold("|".to_owned(), |rule, column| rule + if column < names { "---|" } else { "---:|" })
}

/// One line for each client of each run, in the order they were measured; units are in the names. What is not known is
/// empty.
#[must_use]
pub(super) fn csv(results: &Results) -> String {
    let mut csv = String::from(
        "mode,clients,size_bytes,round,client,success,received_bytes,lost_bytes,lost_ppm,seconds,mb_per_s,sent_bytes,\
         sent_again_blocks,client_port,server_port,problem\n",
    );
    for row in &results.rows {
        let known = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{:.9},{:.3},{},{},{},{},{}",
            row.mode,
            row.clients,
            row.size_bytes,
            row.round,
            row.client,
            row.success.name(),
            row.received_bytes,
            row.lost_bytes,
            row.lost_ppm(),
            row.seconds(),
            row.mb_per_s(),
            known(row.sent_bytes),
            known(row.sent_again_blocks),
            known(row.client_port.map(u64::from)),
            known(row.server_port.map(u64::from)),
            row.problem.as_deref().unwrap_or_default(),
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, row};
    use super::*;

    fn some() -> Results {
        let mut lost = row("classic", 2, 2, 250_000, 1);
        (lost.problem, lost.server_port, lost.sent_bytes) = (Some("DISK-FULL".into()), None, None);
        results(vec![row("selective-repeat", 1, 1, 1_000_000, 2), row("tcp", 1, 1, 1_000_000, 1), lost])
    }

    #[test]
    fn the_csv_has_as_many_fields_in_every_line() {
        let csv = csv(&some());
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.split(',').count() == 16), "{csv}");
        assert_eq!(lines[1], "selective-repeat,2,1000000,1,1,yes,1000000,0,0,2.000000000,0.500,1000000,,40001,6969,");
        assert_eq!(lines[3], "classic,2,1000000,2,2,in part,250000,750000,750000,1.000000000,0.250,,,40002,,DISK-FULL");
    }

    #[test]
    fn the_markdown_has_every_column_of_system_d_and_every_row() {
        let markdown = markdown(&some());
        for word in DETAILS.iter().chain(&HEADERS) {
            assert!(markdown.contains(&format!("| {word} |")), "{word}: {markdown}");
        }
        assert!(
            markdown.contains(
                "| selective-repeat | 1 | 1 | yes | 1000000 | 0 % | 2.000 | 0.5 | 1000000 | – | 40001 | 6969 |"
            )
        );
        assert!(
            markdown.contains("| 977 KiB | 2 | selective-repeat | 1/1 | 0.50 | 0.50 | 0.50 | 0 % | 1.000 |"),
            "{markdown}"
        );
        assert!(markdown.contains("$ castlab bench matrix --clients 2\n"));
        assert!(!markdown.contains("Partial"));
        let tables = markdown.lines().filter(|line| line.starts_with('|'));
        assert!(tables.clone().count() == 3 + 2 + 3 + 2, "{markdown}");
        assert!(tables.map(|line| line.matches('|').count()).all(|columns| [10, 13].contains(&columns)));
    }

    #[test]
    fn the_guide_shows_the_table_as_it_is_printed() {
        let guide = include_str!("../../../udp-transfer/README.md");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let printed = text(&some());
        let headers = words(printed.lines().nth(1).unwrap());
        assert!(guide.lines().any(|line| words(line) == headers), "{headers:?}");
        let legend = how(&some()).replace("1 round", "3 rounds");
        assert!(guide.contains(&legend), "{legend}");
    }

    #[test]
    fn what_was_stopped_says_so_first() {
        let stopped = Results { ended: Ended::Interrupted, runs: 3, ..some() };
        assert!(markdown(&stopped).contains("**Partial: stopped before the end: 3 of 6 runs were made.**"));
        assert!(text(&stopped).contains("[INTERRUPTED]"));
    }

    #[test]
    fn a_spread_is_shown_where_there_is_one() {
        assert_eq!(spread(Spread { median: 512.4, min: 9.0, max: 1_204.0, n: 3 }), "512 (9.00–1204)");
        assert_eq!(spread(Spread { median: 3.0, min: 3.0, max: 3.0, n: 3 }), "3.00");
        assert_eq!(lost(Spread { median: 0.4, min: 0.0, max: 50_000.0, n: 3 }), "<0.01 % (0 %–5.00 %)");
    }
}
