//! What a server did at one value after the other: a curve, and where on it the limit is.

use serde::{Deserialize, Serialize};

use super::expect::Expectation;
use super::outcome::{Outcome, Verdict};

/// Runs that differ in one value, and the greatest value at which all was as expected.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Curve {
    /// In what the runs differ.
    pub swept: Swept,
    /// What each run had to show, beside being measured as asked and every byte being right.
    pub limits: Vec<Expectation>,
    /// The runs, in the order in which they were carried out: of a search a value may be there twice, and values go up and down.
    pub points: Vec<Point>,
    /// The greatest value at which a run was as expected, with no lower value at which none was. Of a search it was confirmed by
    /// a longer run, which is the last point. `None` where not even the least value was as expected, or the search was
    /// interrupted.
    pub knee: Option<f64>,
}

/// In what the runs of a curve differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Swept {
    /// The rate that is asked for, in frames a second.
    Rate,
    /// The number of connections.
    Connections,
}

/// A run of a curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Point {
    /// The rate in frames a second, or the number of connections.
    pub value: f64,
    /// What the run was.
    pub outcome: Outcome,
}

impl Point {
    /// Whether the run was as expected: measured as asked, every byte right, and every limit kept.
    pub fn holds(&self) -> bool {
        self.outcome.verdict == Verdict::Verified
    }
}
