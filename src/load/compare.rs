//! Whether runs differ from earlier ones. Runs are the samples, not frames: the frames of one run have its luck in common.

use serde::{Deserialize, Serialize};

/// How runs differ from those of before, measure by measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// A measure each.
    pub differences: Vec<Difference>,
    /// What helps to read them, a line each: too few runs, another machine, runs that were not measured as asked.
    pub notes: Vec<String>,
}

/// How one measure differs: medians of the runs before and after, and whether chance explains it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// What is measured: `frames/s`, `p50`, `p90`, `p99`, `p99.9`, `max` (of the response time), `server CPU/frame`.
    pub measure: String,
    /// Its unit: `frames/s` or `ns`.
    pub unit: String,
    /// Whether more is better, as of `frames/s`; else less is.
    pub more_is_better: bool,
    /// What each run of before had, in the order of the runs.
    pub before: Vec<f64>,
    /// What each run of after had.
    pub after: Vec<f64>,
    /// The median after less the median before, in the unit.
    pub difference: Estimate,
    /// The median after by the median before: 1 is no difference.
    pub ratio: Estimate,
    /// How likely it is that runs that do not differ look as different as these or more: the two-sided p of Mann and Whitney's
    /// test, exact.
    pub p: f64,
    /// Whether a difference is seen: p is 0.01 or less.
    pub seen: bool,
    /// Where none is seen: how many runs a side would show one as large as it seems to be, four times of five. `None` where it
    /// is seen, and where there seems to be none at all.
    pub runs_needed: Option<u32>,
}

/// A number that was estimated, and the bounds between which it is with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}
