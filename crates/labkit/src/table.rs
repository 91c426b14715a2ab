//! Result tables: one look for all of them.

use comfy_table::{CellAlignment, Table, presets};

/// A table with these headers; columns from the second on are numbers and stand to the right.
#[must_use]
pub fn new(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(headers.to_vec());
    table.discover_columns();
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_to_the_left_and_numbers_to_the_right() {
        let mut table = super::new(&["who", "answers"]);
        table.add_row(["server1", "7"]);
        assert!(table.lines().any(|line| line.contains("server1         7")), "{table}");
    }
}
