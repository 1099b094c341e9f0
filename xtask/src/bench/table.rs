//! Rows of measured ratios with their goals, and tables as aligned Markdown.

use std::fmt;

use crate::text::count;

/// What is wanted of a row's median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// The row is for information.
    Nothing,
}

/// One line of the table: a figure for each round.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The number of the goal.
    pub(super) goal: u8,
    pub(super) what: String,
    /// What the figures are, as in `time ÷ hand loop's`.
    pub(super) measure: String,
    pub(super) wanted: Wanted,
    /// At least one.
    pub(super) samples: Vec<f64>,
}

impl Row {
    pub(super) fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// Whether the median, as it is printed, is what is wanted.
    pub(super) fn met(&self) -> Option<bool> {
        match self.wanted {
            Wanted::AtLeast(limit) => Some(rounded(self.median()) >= limit),
            Wanted::AtMost(limit) => Some(rounded(self.median()) <= limit),
            Wanted::Nothing => None,
        }
    }

    fn cells(&self, marked: bool) -> Vec<String> {
        let least = self.samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let wanted = match self.wanted {
            Wanted::AtLeast(limit) => format!("≥ {limit}"),
            Wanted::AtMost(limit) => format!("≤ {limit}"),
            Wanted::Nothing => String::new(),
        };
        let mut cells = vec![self.goal.to_string(), self.what.clone(), self.measure.clone(), wanted];
        cells.extend([least, self.median(), most].map(number));
        if marked {
            cells.push(self.met().map_or("", |met| if met { "met" } else { "**missed**" }).into());
        }
        cells
    }
}

/// The rows as one table; `marked` says whether it tells met from missed.
pub(super) fn of_rows(rows: &[Row], marked: bool) -> Table {
    let mut header = vec!["goal", "what", "measure", "wanted", "min", "median", "max"];
    header.extend(marked.then_some("verdict"));
    Table { header, text_columns: 4, rows: rows.iter().map(|row| row.cells(marked)).collect() }
}

/// How many rows of each goal are met.
pub(super) fn summary(rows: &[Row]) -> Table {
    let mut cells = Vec::new();
    for goal in 1..=GOALS.len() as u8 {
        let verdicts: Vec<bool> = rows.iter().filter(|row| row.goal == goal).filter_map(Row::met).collect();
        if !verdicts.is_empty() {
            let met = verdicts.iter().filter(|met| **met).count();
            cells.push(vec![GOALS[goal as usize - 1].into(), met.to_string(), (verdicts.len() - met).to_string()]);
        }
    }
    Table { header: vec!["goal", "rows met", "missed"], text_columns: 1, rows: cells }
}

/// The goals in a word.
const GOALS: [&str; 12] = [
    "1 decode, borrowed",
    "2 decode, owned",
    "3 encode",
    "4 any format",
    "5 splits",
    "6 end to end",
    "7 memory",
    "8 cost as work grows",
    "9 system calls",
    "10 waiting",
    "11 push",
    "12 TLS",
];

/// A table of text.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Vec<&'static str>,
    /// So many columns are text and stand to the left; those behind are numbers.
    pub(super) text_columns: usize,
    pub(super) rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.header[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let header: Vec<String> = self.header.iter().map(|name| (*name).into()).collect();
        self.line(f, &header, &widths)?;
        for (column, width) in widths.iter().enumerate() {
            match column < self.text_columns {
                true => write!(f, "|:{}", "-".repeat(width + 1))?,
                false => write!(f, "|{}:", "-".repeat(width + 1))?,
            }
        }
        writeln!(f, "|")?;
        self.rows.iter().try_for_each(|row| self.line(f, row, &widths))
    }
}

impl Table {
    fn line(&self, f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            match column < self.text_columns {
                true => write!(f, "| {cell:width$} ")?,
                false => write!(f, "| {cell:>width$} ")?,
            }
        }
        writeln!(f, "|")
    }
}

/// The middle one, or the mean of the two in the middle. There is at least one.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => sorted[middle - 1].midpoint(sorted[middle]),
        _ => sorted[middle],
    }
}

/// Round by round, the one over the other.
pub(super) fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter().zip(under).map(|(over, under)| over / under).collect()
}

/// As it is printed: whole from 100 on, else to two decimals, or one from 10 on.
pub(super) fn number(value: f64) -> String {
    let value = rounded(value);
    match value.abs() {
        100.0.. => count(value as u64),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn rounded(value: f64) -> f64 {
    let factor = match value.abs() {
        100.0.. => 1.0,
        10.0..100.0 => 10.0,
        _ => 100.0,
    };
    (value * factor).round() / factor
}

/// Bytes with their unit, where they are whole ones: `64 KiB`.
pub(super) fn bytes(len: usize) -> String {
    match len {
        _ if len >= 1 << 20 && len.is_multiple_of(1 << 20) => format!("{} MiB", len >> 20),
        _ if len >= 1 << 10 && len.is_multiple_of(1 << 10) => format!("{} KiB", len >> 10),
        _ => format!("{len} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wanted: Wanted, samples: &[f64]) -> Row {
        Row { goal: 1, what: "x".into(), measure: "time".into(), wanted, samples: samples.into() }
    }

    #[test]
    fn a_row_is_judged_by_its_median_as_printed() {
        assert_eq!(row(Wanted::AtLeast(1.0), &[0.2, 0.996, 7.0]).met(), Some(true));
        assert_eq!(row(Wanted::AtLeast(1.0), &[0.2, 0.994, 7.0]).met(), Some(false));
        assert_eq!(row(Wanted::AtMost(12.0), &[12.04, 12.04]).met(), Some(true));
        assert_eq!(row(Wanted::AtMost(1024.0), &[1024.6]).met(), Some(false));
        assert_eq!(row(Wanted::Nothing, &[1.0]).met(), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
    }

    #[test]
    fn columns_are_aligned_whatever_the_letters_are() {
        let rows = [row(Wanted::AtMost(1.3), &[1.0, 1.128, 1500.0]), row(Wanted::Nothing, &[12.34])];
        let text = of_rows(&rows, true).to_string();
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
        assert!(text.contains("| 1.00 |   1.13 | 1,500 |     met"), "{text}");
        let cell = |row: usize, column: usize| summary(&rows).rows[row][column].clone();
        assert_eq!((cell(0, 1), cell(0, 2)), ("1".into(), "0".into()));
    }

    #[test]
    fn lengths_have_their_unit() {
        assert_eq!([0, 64, 1460, 1 << 16, 2 << 20].map(bytes), ["0 B", "64 B", "1460 B", "64 KiB", "2 MiB"]);
    }
}
