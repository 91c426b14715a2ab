//! The results as people read them: one table, the figures to reach, and what was left out.

use comfy_table::CellAlignment;
use labkit::{Session, table};

use super::results::{Measured, Results, Row, Run};
use crate::bench::quiet::DISTURBED;
use crate::bench::stats::Spread;

const MEBIBYTE: f64 = 1_048_576.0;

/// Prints everything.
pub(super) fn tell(results: &Results, session: &Session) {
    session.output.json(results);
    if results.scenarios.iter().any(|one| one.rows.iter().any(|row| !row.runs.is_empty() || row.gave_up.is_some())) {
        session.output.result(measurements(&results.scenarios));
        session.output.result(LEGEND);
    }
    for line in notes(results) {
        session.output.result(line);
    }
    if !results.targets.is_empty() {
        session.output.result(format!("\n{}", targets(results)));
    }
    session.output.result(format!("\n{}", verdict(results)));
}

const LEGEND: &str = "\
  Gbit/s: the median of the runs and their range; whole files by the time from start to exit, iperf3 by its own word.
  ×: of the peer of the scenario (1.00), round by round; where a share of the line stands, it is marked %.
  CPU: seconds of the processes for each 10^9 bytes, sender + receiver. MiB: the most at once, sender / receiver.";

/// One row for each contender in each scenario.
pub(super) fn measurements(scenarios: &[Measured]) -> String {
    let mut table = table::new(&["path", "clients", "who", "Gbit/s", "range", "×", "CPU s/GB", "MiB", "n"]);
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for scenario in scenarios {
        for (number, row) in scenario.rows.iter().enumerate() {
            let (path, clients) =
                if number == 0 { (scenario.name.clone(), scenario.clients.to_string()) } else { Default::default() };
            let [rate, range, ratio, cpu, memory, runs] = cells(scenario, row);
            table.add_row([path, clients, row.title.clone(), rate, range, ratio, cpu, memory, runs]);
        }
    }
    table.to_string()
}

fn cells(scenario: &Measured, row: &Row) -> [String; 6] {
    let Some(rate) = row.spread(|run| run.bits_per_second / 1e9) else {
        let why = row.gave_up.clone().unwrap_or_else(|| "not measured".to_owned());
        return ["–".to_owned(), why, String::new(), String::new(), String::new(), "0".to_owned()];
    };
    let median = |of: &dyn Fn(&Run) -> f64| row.spread(of).map_or(0.0, |spread| spread.median);
    let (sender, receiver) = (median(&|run| run.cpu_per_gb().0), median(&|run| run.cpu_per_gb().1));
    let cpu = if sender + receiver > 0.0 { format!("{sender:.2} + {receiver:.2}") } else { String::new() };
    let (serving, fetching) = (median(&|run| run.memory().0 / MEBIBYTE), median(&|run| run.memory().1 / MEBIBYTE));
    let memory = if serving + fetching > 0.0 { format!("{serving:.0} / {fetching:.0}") } else { String::new() };
    [
        gigabits(rate.median),
        format!("{}–{}", gigabits(rate.min), gigabits(rate.max)),
        ratio(scenario, row),
        cpu,
        memory,
        { rate.n.to_string() },
    ]
}

fn ratio(scenario: &Measured, row: &Row) -> String {
    if let Some(share) = row.spread_of(|run| run.share) {
        return format!("{:.0} %", share.median * 100.0);
    }
    match (&scenario.peer, scenario.line_bits_per_second) {
        (Some(peer), _) => {
            let ratio = scenario.ratio(&row.contender, peer, |run| run.bits_per_second);
            ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
        }
        (None, Some(line)) => {
            let share = row.spread(|run| run.bits_per_second / line * 100.0);
            share.map_or_else(String::new, |share| format!("{:.0} %", share.median))
        }
        (None, None) => String::new(),
    }
}

/// With three digits, whatever the size.
fn gigabits(rate: f64) -> String {
    match rate {
        rate if rate < 0.01 => format!("{rate:.4}"),
        rate if rate < 1.0 => format!("{rate:.3}"),
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate => format!("{rate:.1}"),
    }
}

/// What else was found: losses, fairness, queues, and who disturbed.
fn notes(results: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    for scenario in &results.scenarios {
        for row in &scenario.rows {
            let mut note = |text: String| notes.push(format!("  {}, {}: {text}", scenario.name, row.title));
            if let Some(arrived) = row.spread_of(|run| run.arrived).filter(|arrived| arrived.min < 1.0) {
                note(format!("{} % of what was sent arrived; the rate is the sender's", percent(arrived)));
            }
            if let Some(fairness) = row.spread_of(|run| run.fairness) {
                note(format!("Jain's fairness {:.3} ({:.3}–{:.3})", fairness.median, fairness.min, fairness.max));
            }
            if let Some(slowest) = row.spread_of(|run| run.slowest).filter(|_| scenario.clients > 100) {
                note(format!("the slowest client took {:.2} × the time of the median one", slowest.median));
            }
            let most = row.spread_of(|run| share(run.longest_queue_bytes?, scenario.line_bytes?));
            if let Some((queue, most)) = row.spread_of(|run| share(run.queue_bytes?, scenario.line_bytes?)).zip(most) {
                let (queue, most) = (percent(queue), percent(most));
                note(format!("{queue} % of a bandwidth-delay product waited before 95 % of packets, {most} % at most"));
            }
        }
    }
    let disturbed = |row: &Row| row.runs.iter().filter(|run| run.others > DISTURBED).count();
    let all = results.scenarios.iter().flat_map(|one| &one.rows);
    let (disturbed, runs) = all.fold((0, 0), |(some, all), row| (some + disturbed(row), all + row.runs.len()));
    if disturbed > 0 {
        let limit = DISTURBED * 100.0;
        notes.push(format!("  in {disturbed} of {runs} runs others used more than {limit:.0} % of the machine"));
    }
    notes.extend(results.skipped.iter().map(|skipped| {
        let hint = skipped.hint.as_ref().map_or_else(String::new, |hint| format!("; try: {hint}"));
        format!("  SKIPPED {}: {}{hint}", skipped.what, skipped.why)
    }));
    notes.extend(
        results.failures.iter().map(|one| {
            format!("  FAILED {}, {}, round {}: {}", one.scenario, one.contender, one.round + 1, one.message)
        }),
    );
    notes
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn share(part: u64, all: u64) -> Option<f64> {
    Some(part as f64 / all as f64)
}

fn percent(spread: Spread) -> String {
    format!("{:.0} ({:.0}–{:.0})", spread.median * 100.0, spread.min * 100.0, spread.max * 100.0)
}

/// Which figures were reached.
fn targets(results: &Results) -> String {
    let mut table = table::new(&["figure to reach", "who", "at", "found", ""]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for one in &results.targets {
        let reached = match one.reached {
            Some(true) => "reached",
            Some(false) => "missed",
            None => "?",
        };
        table.add_row([&one.wanted, &one.contender, &one.scenario, &one.found, reached]);
    }
    table.to_string()
}

/// The last line.
fn verdict(results: &Results) -> String {
    let count = |reached| results.targets.iter().filter(|one| one.reached == reached).count();
    let (reached, missed, open) = (count(Some(true)), count(Some(false)), count(None));
    let open = if open > 0 { format!(", {open} not measured") } else { String::new() };
    let what = if results.targets.is_empty() {
        "no figure to reach was among these".to_owned()
    } else {
        format!("{reached} of {} figures reached, {missed} missed{open}", results.targets.len())
    };
    let skipped = match results.skipped.len() {
        0 => String::new(),
        some => format!("; {some} skipped"),
    };
    let failed = match results.failures.len() {
        0 => String::new(),
        some => format!("; {some} runs failed"),
    };
    let cut = if results.outcome == "interrupted" { " (interrupted)" } else { "" };
    let runs: usize = results.scenarios.iter().flat_map(|one| &one.rows).map(|row| row.runs.len()).sum();
    format!("{runs} runs: {what}{skipped}{failed}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::fixture;
    use crate::bench::speed::results::{Problem, Skipped};

    #[test]
    fn a_row_tells_median_range_ratio_and_cost() {
        let lo = fixture::measured("lo", &[("castlab", &[9e9, 12e9, 10e9]), ("nginx", &[10e9, 10e9, 10e9])]);
        let shown = measurements(&[lo]);
        let row = shown.lines().find(|line| line.contains("castlab")).unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        let expected =
            ["│", "lo", "1", "castlab", "10.0", "9.00–12.0", "1.00", "0.20", "+", "0.40", "10", "/", "20", "3", "│"];
        assert_eq!(words, expected);
        let peer = shown.lines().find(|line| line.contains("nginx")).unwrap();
        assert!(peer.starts_with("│ ") && !peer.contains("lo "), "the path stands once: {peer}");
    }

    #[test]
    fn against_a_line_the_share_of_it_stands() {
        let mut far = fixture::measured("relay-loss", &[("castlab", &[0.93e9])]);
        far.peer = None;
        far.line_bits_per_second = Some(1e9);
        far.rows[0].gave_up = None;
        assert!(measurements(&[far]).contains("93 %"));
    }

    #[test]
    fn who_gave_nothing_is_shown_with_the_reason() {
        let mut far = fixture::measured("relay-loss", &[("castlab", &[])]);
        far.rows[0].gave_up = Some("not done in 20 s".to_owned());
        assert!(measurements(&[far]).contains("not done in 20 s"));
    }

    #[test]
    fn what_was_skipped_or_failed_or_disturbed_is_said() {
        let mut lo = fixture::measured("lo", &[("castlab", &[9e9])]);
        lo.rows[0].runs[0].others = 0.4;
        lo.rows[0].runs[0].arrived = Some(0.66);
        let skipped = Skipped { what: "path veth".into(), why: "no root".into(), hint: Some("be root".into()) };
        let failure = Problem { scenario: "lo".into(), contender: "nginx".into(), round: 1, message: "gone".into() };
        let results = Results {
            scenarios: vec![lo],
            skipped: vec![skipped],
            failures: vec![failure],
            outcome: "interrupted".into(),
            ..Results::default()
        };
        let notes = notes(&results).join("\n");
        for expected in [
            "66 (66–66) % of what was sent arrived",
            "in 1 of 1 runs others used more than 10 % of the machine",
            "SKIPPED path veth: no root; try: be root",
            "FAILED lo, nginx, round 2: gone",
        ] {
            assert!(notes.contains(expected), "{notes}");
        }
        let verdict = verdict(&results);
        assert_eq!(verdict, "1 runs: no figure to reach was among these; 1 skipped; 1 runs failed (interrupted)");
    }
}
