//! Text in columns, each as wide as its widest cell.

use crate::terminal::Paint;

/// A table with a head.
#[derive(Debug)]
pub(super) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub(super) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|cell| (*cell).to_owned());
        Self {
            rows: vec![head.collect()],
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let dash = |cell: String| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        };
        self.rows.push(cells.into_iter().map(dash).collect());
    }

    /// The table, with states in their colours.
    pub(super) fn text(&self, paint: Paint) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width - cell.chars().count();
                line += &match (index, &**cell) {
                    (0, cell) => paint.faint(cell),
                    (_, "UP" | "ok" | "yes" | "alive") => paint.good(cell),
                    (_, "DOWN" | "failing" | "no" | "gone") => paint.bad(cell),
                    (_, cell) => cell.to_owned(),
                };
                line += &" ".repeat(padding + 2);
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let mut columns = Columns::new(&["ID", "STATUS"]);
        columns.row(["a".to_owned(), "UP".to_owned()]);
        columns.row(["longer".to_owned(), String::new()]);
        let text = "ID      STATUS\na       UP\nlonger  -\n";
        assert_eq!(columns.text(Paint::NONE), text);
        assert!(columns.text(Paint::ALL).contains("\x1b[32mUP\x1b[0m"));
    }
}
