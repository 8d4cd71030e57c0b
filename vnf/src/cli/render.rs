//! Aligned tables and plain words for humans.

use std::fmt::Write;

use crate::config::VrfNames;

/// A table whose columns are as wide as their widest cell.
pub(super) struct Table {
    /// Heading, and whether the column holds numbers and is aligned to the right.
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Headings divided by spaces; `>` before one aligns its column to the right.
    pub(super) fn new(headings: &'static str) -> Self {
        let column = |heading: &'static str| match heading.strip_prefix('>') {
            Some(number) => (number, true),
            None => (heading, false),
        };
        Self { columns: headings.split(' ').map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each heading.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a column with the VRF of each row, where one of them is not the default one.
    pub(super) fn vrfs<'a>(&mut self, vrfs: impl Iterator<Item = &'a String> + Clone) {
        if vrfs.clone().any(|vrf| vrf != VrfNames::default().name(0)) {
            self.columns.push(("VRF", false));
            for (row, vrf) in self.rows.iter_mut().zip(vrfs) {
                row.push(vrf.clone());
            }
        }
    }

    /// Whether there is anything below the headings.
    pub(super) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// The lines of the table; without rows there is only the heading.
    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].0.len()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for ((cell, width), (_, is_number)) in cells.zip(&widths).zip(&self.columns) {
                if *is_number {
                    write!(line, "{cell:>width$}  ").expect(INFALLIBLE);
                } else {
                    write!(line, "{cell:<width$}  ").expect(INFALLIBLE);
                }
            }
            writeln!(text, "{}", line.trim_end()).expect(INFALLIBLE);
        };
        line(&mut self.columns.iter().map(|(heading, _)| *heading));
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        text
    }
}

/// Seconds in the two largest units: `3h 5m`.
pub(super) fn duration(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m")];
    let mut parts = parts.into_iter().chain([(seconds % 60, "s")]).skip_while(|(n, _)| *n == 0);
    match (parts.next(), parts.next()) {
        (Some((first, unit)), Some((second, next))) => format!("{first}{unit} {second}{next}"),
        (Some((only, unit)), None) => format!("{only}{unit}"),
        _ => "0s".to_owned(),
    }
}

/// Bytes in the largest binary unit that keeps a digit before the point.
pub(super) fn bytes(count: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut size = count as f64;
    let mut unit = "B";
    while size >= 1024.0
        && let Some(next) = units.next()
    {
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}

/// A word for what is absent.
pub(super) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

const INFALLIBLE: &str = "writing to a string cannot fail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new("NAME >PACKETS TEXT");
        table.row(["lan".to_owned(), "7".to_owned(), "x".to_owned()]);
        table.row(["a-longer-name".to_owned(), "12345678".to_owned(), String::new()]);
        let expected = "NAME            PACKETS  TEXT\n\
                        lan                   7  x\n\
                        a-longer-name  12345678\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn durations_show_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3725, "1h 2m"), (90_000, "1d 1h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn bytes_have_a_unit() {
        for (count, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")]
        {
            assert_eq!(bytes(count), text);
        }
    }
}
