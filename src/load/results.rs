//! Several runs, and what they say together: plain data, which can be written down and read back.

use serde::{Deserialize, Serialize};

use super::compare::Comparison;
use super::curve::Curve;
use super::outcome::{Outcome, Verdict};

/// Several runs, and what they say together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// The one thing to know.
    pub verdict: Verdict,
    /// What is wrong, a line each.
    pub failures: Vec<String>,
    /// Runs of one plan, in their order. None where there is a curve.
    pub runs: Vec<Outcome>,
    /// Earlier runs, with which these are compared.
    pub baseline: Vec<Outcome>,
    /// Runs that differ in one value.
    pub curve: Option<Curve>,
    /// How `runs` differ from `baseline`.
    pub comparison: Option<Comparison>,
}
