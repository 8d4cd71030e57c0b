//! Tables, for a terminal and for a page.

use serde::{Deserialize, Serialize};

use crate::plot::escape;

/// Rows of texts under headings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Headings; none for rows of a name and a value.
    pub columns: Vec<Column>,
    /// Cells from left to right.
    pub rows: Vec<Vec<String>>,
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Where its cells stand.
    #[serde(default)]
    pub align: Align,
}

/// Where the text of a cell stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// At the left: words.
    #[default]
    Left,
    /// At the right: numbers.
    Right,
}

impl Table {
    /// An empty table; a heading that ends in `>` is of numbers.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        let column = |heading: &str| match heading.strip_suffix('>') {
            Some(name) => Column { name: name.to_owned(), align: Align::Right },
            None => Column { name: heading.to_owned(), align: Align::Left },
        };
        Self { columns: headings.map(column).into(), rows: Vec::new() }
    }

    /// Names and values.
    pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let rows = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
        Self { columns: Vec::new(), rows: rows.collect() }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.into());
    }

    /// Lines with aligned columns, two spaces apart.
    pub fn text(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let with_headings =
            || Some(&headings).filter(|row| !row.is_empty()).into_iter().chain(&self.rows);
        let count = with_headings().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = with_headings().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        let mut text = String::new();
        for row in with_headings() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let width = widths[column];
                match self.columns.get(column).map(|column| column.align) {
                    Some(Align::Right) => line.push_str(&format!("{gap}{cell:>width$}")),
                    Some(Align::Left) | None => line.push_str(&format!("{gap}{cell:<width$}")),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Comma-separated values (RFC 4180), with a line of headings.
    pub fn csv(&self) -> String {
        let headings = self.columns.iter().map(|column| column.name.clone()).collect();
        let rows = std::iter::once(&headings).chain(&self.rows).filter(|row| !row.is_empty());
        rows.map(|row| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n")
            .collect()
    }

    /// A `<table>` element.
    pub(super) fn html(&self) -> String {
        let class = |column: usize| match self.columns.get(column).map(|column| column.align) {
            Some(Align::Right) => " class=\"n\"",
            Some(Align::Left) | None => "",
        };
        let mut html = "<div class=\"scroll\"><table>".to_owned();
        if !self.columns.is_empty() {
            let headings = self.columns.iter().enumerate().map(|(index, column)| {
                format!("<th{}>{}</th>", class(index), escape(&column.name))
            });
            html.push_str(&format!("<thead><tr>{}</tr></thead>", headings.collect::<String>()));
        }
        for row in &self.rows {
            let cells =
                row.iter().enumerate().map(|(index, cell)| match (index, &self.columns[..]) {
                    (0, []) => format!("<th>{}</th>", escape(cell)),
                    _ => format!("<td{}>{}</td>", class(index), escape(cell)),
                });
            html.push_str(&format!("<tr>{}</tr>", cells.collect::<String>()));
        }
        html + "</table></div>"
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["size", "rate>", "note"]);
        table.push(["64".to_owned(), "1.5 Mpps".to_owned(), String::new()]);
        table.push(["imix".to_owned(), "900 kpps".to_owned(), "a, \"b\"".to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let text = "size      rate  note\n64    1.5 Mpps\nimix  900 kpps  a, \"b\"\n";
        assert_eq!(table().text(), text);
        let facts = Table::facts([("cpu", "x".to_owned()), ("kernel", "6.1".to_owned())]);
        assert_eq!(facts.text(), "cpu     x\nkernel  6.1\n");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let csv = "size,rate,note\r\n64,1.5 Mpps,\r\nimix,900 kpps,\"a, \"\"b\"\"\"\r\n";
        assert_eq!(table().csv(), csv);
    }
}
