//! Tables as people read them: columns aligned, quantities to the right.

use unicode_width::UnicodeWidthStr;

/// Marks a heading whose column is aligned to the right.
const RIGHT: char = '>';
const GAP: &str = "  ";

/// A heading of quantities. Use it as `right!("ON HAND")`.
macro_rules! right {
    ($heading:literal) => {
        concat!(">", $heading)
    };
}
pub(crate) use right;

/// Rows under headings.
pub(crate) struct Table {
    headings: Vec<(String, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| match heading.strip_prefix(RIGHT) {
            Some(heading) => (heading.to_owned(), true),
            None => ((*heading).to_owned(), false),
        });
        Self { headings: headings.collect(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        assert_eq!(N, self.headings.len(), "a cell for each heading");
        self.rows.push(cells.map(str::to_owned).into());
    }

    /// The table; only its headings if it has no rows.
    pub(crate) fn text(&self) -> String {
        // A column that nobody fills is left out: most stock has no lots.
        let is_shown: Vec<bool> = (0..self.headings.len())
            .map(|column| self.rows.is_empty() || self.rows.iter().any(|row| !row[column].is_empty()))
            .collect();
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].width());
                cells.chain([self.headings[column].0.width()]).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        let headings: Vec<String> = self.headings.iter().map(|(heading, _)| heading.clone()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate().filter(|(column, _)| is_shown[*column]) {
                if !line.is_empty() {
                    line.push_str(GAP);
                }
                let space = " ".repeat(widths[column] - cell.width());
                let is_right = self.headings[column].1;
                line.push_str(&if is_right { space + cell } else { cell.clone() + &space });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The table under a title, or nothing if it has no rows.
    pub(crate) fn text_if_any(&self, title: &str) -> String {
        if self.rows.is_empty() { String::new() } else { format!("{title}\n{}", self.text()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_stand_to_the_right_and_wide_letters_count_twice() {
        let mut table = Table::new(&["SITE", "NAME", "LOT", right!("ON HAND")]);
        table.row(["ICN", "인천", "", "8"]);
        table.row(["GMP", "Gimpo", "", "1200"]);
        assert_eq!(table.text(), "SITE  NAME   ON HAND\nICN   인천         8\nGMP   Gimpo     1200\n");
    }
}
