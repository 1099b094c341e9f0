//! Whether runs differ from earlier ones. Runs are the samples, not frames: what disturbs a run disturbs many of its
//! frames.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::show::plural;
use super::statistics::{bootstrap, least_p, mann_whitney, median, runs_needed};

/// A difference is seen where p is this or less. Not 0.05, as several measures are compared at a time: of twenty that
/// do not differ one would seem to.
const SEEN: f64 = 0.01;
/// What two plans may differ in, and their runs be compared all the same.
const MAY_DIFFER: [&str; 7] = ["run", "target", "local_addrs", "drain", "greatest_lag", "start_at", "expectations"];

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
    /// How likely it is that runs that do not differ look as different as these or more: the two-sided p of Mann and
    /// Whitney's test, exact.
    pub p: f64,
    /// Whether a difference is seen: p is 0.01 or less.
    pub seen: bool,
    /// Where none is seen: how many runs a side would show one as large as it seems to be, four times of five. `None`
    /// where it is seen, and where there seems to be none at all.
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

/// What is compared: its name, its unit, whether more is better, and what a run had of it.
type Measure = (&'static str, &'static str, bool, fn(&Outcome) -> Option<f64>);

const MEASURES: [Measure; 7] = [
    ("frames/s", "frames/s", true, |run| Some(run.frames_per_second)),
    ("p50", "ns", false, |run| quantile(run, 0.5)),
    ("p90", "ns", false, |run| quantile(run, 0.9)),
    ("p99", "ns", false, |run| quantile(run, 0.99)),
    ("p99.9", "ns", false, |run| quantile(run, 0.999)),
    ("max", "ns", false, |run| quantile(run, 1.0)),
    ("server CPU/frame", "ns", false, Outcome::server_ns_a_frame),
];

fn quantile(run: &Outcome, quantile: f64) -> Option<f64> {
    run.response_ns.quantile(quantile).map(|nanoseconds| nanoseconds as f64)
}

impl Comparison {
    /// Runs on a side at most, 50: the exact test takes a time that grows with their fourth power.
    pub const MOST_RUNS: usize = 50;

    /// Compares runs with those of before, which had the same load. Left out is what was not measured in each of them,
    /// or was 0.
    ///
    /// At least five runs a side are needed to see a difference, and they are best in turn, A B B A: so what changes
    /// with time on the machine affects both.
    ///
    /// # Errors
    /// Where a side has no run or more than 50, a run is wrong or incomplete, the plans differ in what matters, or
    /// nothing can be compared.
    pub fn new(before: &[Outcome], after: &[Outcome]) -> Result<Comparison, CompareError> {
        usable(before, Side::Before)?;
        usable(after, Side::After)?;
        for run in before.iter().chain(after) {
            same((&before[0].plan, before[0].over_tls), (&run.plan, run.over_tls))?;
        }
        let differences: Vec<Difference> =
            MEASURES.iter().filter_map(|measure| Difference::new(measure, before, after)).collect();
        match differences.is_empty() {
            true => Err(CompareError::Nothing),
            false => Ok(Comparison { differences, notes: notes(before, after) }),
        }
    }
}

impl Comparison {
    /// What differs, in a sentence.
    pub fn sentence(&self) -> String {
        let seen = self.differences.iter().filter(|difference| difference.seen);
        let seen: Vec<String> = seen
            .map(|difference| {
                let percent = 100.0 * (difference.ratio.value - 1.0);
                let verdict = if difference.is_better() { "better" } else { "worse" };
                format!("{} {percent:+.1} % ({verdict})", difference.measure)
            })
            .collect();
        let not_seen = self.differences.iter().filter(|difference| !difference.seen);
        let not_seen: Vec<&str> = not_seen.map(|difference| difference.measure.as_str()).collect();
        match (&seen[..], &not_seen[..]) {
            ([], _) => "no difference seen".into(),
            (_, []) => seen.join(", "),
            _ => format!("{}; no difference seen in {}", seen.join(", "), not_seen.join(", ")),
        }
    }
}

impl Difference {
    /// The median before and the median after.
    pub fn medians(&self) -> (f64, f64) {
        let of = |samples: &[f64]| median(samples).unwrap_or(f64::NAN);
        (of(&self.before), of(&self.after))
    }

    /// Whether a difference is seen, and is for the better.
    pub fn is_better(&self) -> bool {
        self.seen && (self.ratio.value > 1.0) == self.more_is_better
    }

    fn new(
        &(measure, unit, more_is_better, of): &Measure,
        before: &[Outcome],
        after: &[Outcome],
    ) -> Option<Difference> {
        let each = |runs: &[Outcome]| -> Option<Vec<f64>> {
            runs.iter().map(|run| of(run).filter(|value| *value > 0.0)).collect()
        };
        let (before, after) = (each(before)?, each(after)?);
        let of_medians = |before: f64, after: f64| [after - before, after / before];
        let [difference, ratio] = of_medians(median(&before)?, median(&after)?);
        let bounds = bootstrap(&before, &after, of_medians);
        let [difference, ratio] =
            [(difference, bounds[0]), (ratio, bounds[1])].map(|(value, (low, high))| Estimate { value, low, high });
        let p = mann_whitney(&before, &after);
        let seen = p <= SEEN;
        let runs_needed = if seen { None } else { runs_needed(&before, &after) };
        let (measure, unit) = (measure.into(), unit.into());
        Some(Difference { measure, unit, more_is_better, before, after, difference, ratio, p, seen, runs_needed })
    }
}

/// Whether these runs can be compared with others at all.
fn usable(runs: &[Outcome], side: Side) -> Result<(), CompareError> {
    match runs.len() {
        0 => return Err(CompareError::NoRun { side }),
        number if number > Comparison::MOST_RUNS => {
            return Err(CompareError::TooMany { side, number, most: Comparison::MOST_RUNS });
        }
        _ => {}
    }
    match runs.iter().enumerate().find(|(_, run)| run.verdict.is_unusable()) {
        Some((index, run)) => Err(CompareError::Unusable { side, run: index + 1, verdict: run.verdict }),
        None => Ok(()),
    }
}

/// Whether a run of this plan can be compared with this one: both load a server in the same way, for as long.
///
/// # Errors
/// In what they differ.
pub fn same_load(run: &Outcome, plan: &Plan) -> Result<(), CompareError> {
    same((&run.plan, run.over_tls), (plan, plan.tls.is_some()))
}

/// Whether two plans, each with whether it is over TLS, load a server in the same way.
fn same((one, one_tls): (&Plan, bool), (other, other_tls): (&Plan, bool)) -> Result<(), CompareError> {
    if one_tls != other_tls {
        let (before, after) = (one_tls.to_string(), other_tls.to_string());
        return Err(CompareError::Differ { field: "over_tls".into(), before, after });
    }
    let fields = |plan: &Plan| {
        // The default is as good as the number that it stands for.
        let plan = Plan { in_flight: plan.bound(), ..plan.clone() };
        match serde_json::to_value(&plan) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        }
    };
    let (one, other) = (fields(one), fields(other));
    match one.iter().find(|(name, value)| !MAY_DIFFER.contains(&name.as_str()) && other.get(*name) != Some(value)) {
        Some((name, value)) => Err(CompareError::Differ {
            field: name.clone(),
            before: value.to_string(),
            after: other.get(name).map_or("nothing".into(), ToString::to_string),
        }),
        None => Ok(()),
    }
}

/// What helps to read the differences.
fn notes(before: &[Outcome], after: &[Outcome]) -> Vec<String> {
    let mut notes = Vec::new();
    if least_p(before.len(), after.len()) > SEEN {
        notes.push(format!(
            "{} and {} are too few: even runs that differ completely would show nothing. Five a side are the least",
            plural(before.len(), "run"),
            plural(after.len(), "run"),
        ));
    }
    let short = before.iter().chain(after).filter(|run| run.verdict == Verdict::NotAsAsked).count();
    if short > 0 {
        let all = before.len() + after.len();
        notes.push(format!("{short} of {all} runs were not measured as asked: their times may be those of a queue"));
    }
    let machine = |run: &Outcome| (run.origin.system.clone(), run.origin.architecture.clone(), run.origin.cores);
    if after.iter().any(|run| machine(run) != machine(&before[0])) {
        let show = |run: &Outcome| {
            let (system, architecture, cores) = machine(run);
            format!("{system}, {architecture}, {}", plural(cores, "core"))
        };
        notes.push(format!("the runs are of other machines: {} before, {} after", show(&before[0]), show(&after[0])));
    }
    notes
}

/// Runs of before, or of after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The baseline.
    Before,
    /// What is compared with it.
    After,
}

/// Why runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareError {
    /// A side has no run.
    NoRun {
        /// Which.
        side: Side,
    },
    /// A side has too many runs for the exact test.
    TooMany {
        /// Which.
        side: Side,
        /// How many it has.
        number: usize,
        /// How many it can have.
        most: usize,
    },
    /// A run was wrong or ended early: its numbers are not those of the load that was asked for.
    Unusable {
        /// Which side it is of.
        side: Side,
        /// Its number on that side, from 1 on.
        run: usize,
        /// What it was.
        verdict: Verdict,
    },
    /// The plans differ in what matters.
    Differ {
        /// In this field of the plan, as JSON has it.
        field: String,
        /// What the first run of before has there, as JSON.
        before: String,
        /// What another run has there.
        after: String,
    },
    /// Nothing was measured in each run.
    Nothing,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Before => "before",
            Side::After => "after",
        })
    }
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompareError::NoRun { side } => write!(f, "there is no run {side}"),
            CompareError::TooMany { side, number, most } => {
                write!(f, "{number} runs {side} are too many to compare: {most} at most")
            }
            CompareError::Unusable { side, run, verdict } => {
                let was = if *verdict == Verdict::Wrong { "wrong" } else { "interrupted" };
                write!(f, "run {run} of those {side} was {was}: its numbers cannot be compared")
            }
            CompareError::Differ { field, before, after } => {
                write!(f, "the runs cannot be compared: {field} is {before} before, and {after} after")
            }
            CompareError::Nothing => f.write_str("the runs cannot be compared: no measure is in each of them"),
        }
    }
}

impl Error for CompareError {}
