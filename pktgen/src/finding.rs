//! What the methods found, for people and for programs.

/// What a method found, for people; for programs it is serialised.
pub trait Finding: serde::Serialize {
    /// The name of the record, e.g. `nat-ports`.
    const NAME: &'static str;

    /// The table, heads first; rows have as many cells as there are heads.
    fn table(&self) -> Vec<Vec<String>>;

    /// What is wrong with the tested system; empty: nothing.
    fn faults(&self) -> Vec<String>;

    /// Whether the generator, not the tested system, was the limit.
    fn is_tg_limited(&self) -> bool {
        false
    }
}

/// Aligns the rows of a table; the last column is not padded.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A row of a table.
pub(crate) fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [row([&"a", &1]), row([&"long", &"x"])];
        assert_eq!(align(&rows), "a     1\nlong  x\n");
    }
}
