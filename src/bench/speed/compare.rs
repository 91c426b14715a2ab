//! An older result beside this one: what got faster, what slower, and what only looks so.

use std::path::Path;

use labkit::{Exit, Failure, table};

use super::results::{Measured, Results};
use crate::bench::stats::Spread;

/// Reads what `--json` printed.
pub(super) fn read(path: &Path) -> Result<Results, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path.display(), &error))?;
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("{} is no result of castlab bench speed: {error}", path.display());
        Failure::new(Exit::Usage, "NO-RESULT", message).hint("castlab bench speed --json > old.json makes one")
    })
}

/// A row for each contender that both measured.
pub(super) fn table(old: &[Measured], new: &[Measured]) -> String {
    let mut table = table::new(&["path", "who", "before", "now", "change", ""]);
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    for scenario in new {
        let Some(before) = old.iter().find(|old| old.name == scenario.name) else { continue };
        let same = before.bytes == scenario.bytes && before.clients == scenario.clients;
        for row in &scenario.rows {
            let rate = |spread: Option<Spread>| spread.map(|spread| spread.median / 1e9);
            let was = before.row(&row.contender).and_then(|row| row.spread(|run| run.bits_per_second));
            let is = row.spread(|run| run.bits_per_second);
            let Some((was_rate, is_rate)) = rate(was).zip(rate(is)) else { continue };
            let word = if same { was.zip(is).map_or("", |(was, is)| word(was, is)) } else { "other files" };
            table.add_row([
                scenario.name.clone(),
                row.title.clone(),
                format!("{was_rate:.2} Gbit/s"),
                format!("{is_rate:.2} Gbit/s"),
                format!("{:+.0} %", (is_rate / was_rate - 1.0) * 100.0),
                word.to_owned(),
            ]);
        }
    }
    table.to_string()
}

/// Where the ranges meet, the change may be chance.
fn word(was: Spread, is: Spread) -> &'static str {
    match (was.meets(&is), is.median > was.median) {
        (true, _) => "within the spread",
        (false, true) => "faster",
        (false, false) => "slower",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::speed::fixture;

    #[test]
    fn a_change_counts_only_where_the_ranges_do_not_meet() {
        let old = [fixture::measured("lo", &[("castlab", &[4e9, 5e9]), ("nginx", &[10e9, 14e9]), ("gone", &[1e9])])];
        let new = [fixture::measured("lo", &[("castlab", &[8e9, 10e9]), ("nginx", &[13e9, 15e9]), ("new", &[1e9])])];
        let shown = table(&old, &new);
        let line = |who: &str| shown.lines().find(|line| line.contains(who)).unwrap_or_default().to_owned();
        assert!(line("castlab").contains("+100 %") && line("castlab").contains("faster"), "{shown}");
        assert!(line("nginx").contains("+17 %") && line("nginx").contains("within the spread"), "{shown}");
        assert!(!shown.contains("gone") && !shown.contains("new "), "{shown}");
        let shown = table(&new, &old);
        assert!(shown.contains("slower"), "{shown}");
    }

    #[test]
    fn other_files_are_not_compared() {
        let old = [fixture::measured("lo", &[("castlab", &[4e9])])];
        let new = [Measured { bytes: 5, ..fixture::measured("lo", &[("castlab", &[8e9])]) }];
        assert!(table(&old, &new).contains("other files"));
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_way_to_make_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"role\": 7}").unwrap();
        let failure = read(file.path()).unwrap_err();
        assert_eq!((failure.code, failure.exit), ("NO-RESULT", Exit::Usage));
        assert!(failure.hint.unwrap().contains("--json"));
    }
}
