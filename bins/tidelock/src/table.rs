//! Aligned columns.

use std::fmt;

/// Rows under a header. The last column is not padded, so that lines have no trailing blanks.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Blanks between two columns.
const GAP: usize = 2;

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Empty cells print as `-`; control characters, which may come from file names of others, as `?`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.header.len(), "a cell for each column");
        self.rows
            .push(cells.iter().map(|cell| clean(cell)).collect());
    }
}

/// One printable line: control characters become `?`, nothing becomes `-`.
pub(crate) fn clean(text: &str) -> String {
    if text.is_empty() {
        return "-".into();
    }
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = self.header.iter().map(|name| name.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        write_row(f, &widths, self.header.iter().copied())?;
        self.rows
            .iter()
            .try_for_each(|row| write_row(f, &widths, row.iter().map(String::as_str)))
    }
}

fn write_row<'a>(
    f: &mut fmt::Formatter<'_>,
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    let last = widths.len().saturating_sub(1);
    for (column, (cell, width)) in cells.zip(widths).enumerate() {
        if column == last {
            write!(f, "{cell}")?;
        } else {
            write!(f, "{cell:<width$}{:GAP$}", "")?;
        }
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&["NAME", "AGE", "ID"]);
        table.row(["web".into(), "3s".into(), "spiffe://td/web".into()]);
        table.row(["a-long-name".into(), String::new(), "x".into()]);
        assert_eq!(
            table.to_string(),
            "NAME         AGE  ID\n\
             web          3s   spiffe://td/web\n\
             a-long-name  -    x\n"
        );
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(Table::new(&["A", "B"]).to_string(), "A  B\n");
    }

    #[test]
    fn control_characters_of_others_never_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a?[31mb?c");
    }

    #[test]
    fn widths_count_characters_not_bytes() {
        let mut table = Table::new(&["N", "X"]);
        table.row(["é".into(), "1".into()]);
        assert_eq!(table.to_string(), "N  X\né  1\n");
    }
}
