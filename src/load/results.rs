//! Several runs, and what they say together: plain data, which can be written down and read back.

use serde::{Deserialize, Serialize};

use super::compare::{CompareError, Comparison};
use super::curve::Curve;
use super::expect::Expectation;
use super::outcome::{Outcome, Verdict};
use super::statistics::median;

/// Several runs, and what they say together.
///
/// ```no_run
/// use unstick::load::{self, Plan, Results, Target, Wish};
/// let plan = Plan::new(Target::Tcp(vec!["127.0.0.1:4747".parse()?]));
/// let five = || (0..5).map(|_| load::run(&plan, &mut |_| Wish::GoOn)).collect::<Result<Vec<_>, _>>();
/// let before = five()?;
/// // Change the server, and:
/// let results = Results::of_runs(five()?).compared_with(before, &["p99<=baseline*1.1".parse()?])?;
/// println!("{}", load::results_text(&results));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Results {
    /// The one thing to know.
    pub verdict: Verdict,
    /// What is wrong, a line each.
    pub failures: Vec<String>,
    /// Runs of one plan, in their order. Of a curve none, unless one is to be shown in detail beside it.
    pub runs: Vec<Outcome>,
    /// Earlier runs, with which these are compared.
    pub baseline: Vec<Outcome>,
    /// Runs that differ in one value.
    pub curve: Option<Curve>,
    /// How `runs` differ from `baseline`.
    pub comparison: Option<Comparison>,
}

impl Results {
    /// Runs of one plan. The verdict is that of the worst.
    pub fn of_runs(runs: Vec<Outcome>) -> Results {
        let verdict = runs.iter().map(|run| run.verdict).max();
        let several = runs.len() > 1;
        let failures = runs.iter().enumerate().flat_map(|(index, run)| {
            let line = move |failure: &String| match several {
                true => format!("run {}: {failure}", index + 1),
                false => failure.clone(),
            };
            run.failures.iter().map(line)
        });
        Results {
            verdict: verdict.unwrap_or(Verdict::Verified),
            failures: failures.collect(),
            runs,
            baseline: Vec::new(),
            curve: None,
            comparison: None,
        }
    }

    /// Runs that differ in one value. What is missed above the knee is no failure.
    pub fn of_curve(curve: Curve) -> Results {
        let verdict = curve.verdict();
        let failed = curve.points.iter().filter(|point| point.outcome.verdict == verdict);
        let failures = failed.flat_map(|point| point.outcome.failures.iter().cloned()).take(10).collect();
        Results { verdict, failures, runs: Vec::new(), baseline: Vec::new(), curve: Some(curve), comparison: None }
    }

    /// The same compared with earlier runs, and whether the expectations that are held against them are met: by the
    /// median of the runs beside the median of the earlier ones. Expectations that need no baseline are not looked at:
    /// each run has its own.
    ///
    /// # Errors
    /// As [`Comparison::new`].
    pub fn compared_with(
        mut self,
        baseline: Vec<Outcome>,
        expectations: &[Expectation],
    ) -> Result<Results, CompareError> {
        self.comparison = Some(Comparison::new(&baseline, &self.runs)?);
        let of = |runs: &[Outcome], expectation: &Expectation| {
            let measured: Option<Vec<f64>> = runs.iter().map(|run| run.measured(expectation.measure())).collect();
            median(&measured?)
        };
        let held_against = expectations.iter().filter(|expectation| expectation.needs_baseline());
        let missed: Vec<String> =
            held_against.filter_map(|it| it.missed_beside(of(&self.runs, it), of(&baseline, it))).collect();
        if !missed.is_empty() {
            self.verdict = self.verdict.max(Verdict::ExpectationMissed);
        }
        self.failures.extend(missed);
        self.baseline = baseline;
        Ok(self)
    }
}
