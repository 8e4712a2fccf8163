//! Columns for the person at the terminal.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// Rows of cells under a heading; each column is as wide as its widest cell.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// No rows yet.
    pub(crate) fn new(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned)],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &self.rows {
            let cells = row.iter().zip(widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// An instant of an answer: seconds since 1970.
pub(crate) fn time(value: Option<&Value>) -> String {
    let seconds = value.and_then(Value::as_f64);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction of a second is not shown"
    )]
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    at.map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["A", "LONG"]);
        table.row(["wide cell".into(), "x".into()]);
        assert_eq!(table.to_string(), "A          LONG\nwide cell  x\n");
        assert_eq!(time(Some(&serde_json::json!(1.5))), "1970-01-01 00:00:01Z");
        assert_eq!(time(None), "-");
    }
}
