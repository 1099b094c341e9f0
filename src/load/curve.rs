//! What a server did at one value after the other: a curve, and where on it the limit is.

use serde::{Deserialize, Serialize};

use super::expect::Expectation;
use super::outcome::{Outcome, Verdict};
use super::plan::{Pacing, Plan};
use super::search::{Search, Try};
use super::sweep::{Sweep, Swept};

/// Runs that differ in one value, and the greatest value at which all was as expected.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Curve {
    /// In what the runs differ.
    pub swept: Swept,
    /// What each run had to show, beside being measured as asked and every byte being right.
    pub limits: Vec<Expectation>,
    /// The runs, in the order in which they were carried out: of a search a value may be there twice, and values go up
    /// and down.
    pub points: Vec<Point>,
    /// The greatest value at which a run was as expected, with no lower value at which none was. Of a search it was
    /// confirmed by a longer run, which is the last point. `None` where not even the least value was as expected, or
    /// the search was interrupted.
    pub knee: Option<f64>,
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

/// Finds the greatest rate at which a load is measured as asked, every byte is right, and every expectation of the plan
/// is met: the knee of the curve of latency over rate. `measure` carries out a plan, as [`run`](super::run) does.
///
/// A rate above what server and generator can do measures only how the backlog grows, so a run counts only where the
/// rate was reached and the generator was in time. The plan's rate does not matter. The search ends early where a run
/// was interrupted, or a byte was wrong.
///
/// ```no_run
/// use unstick::load::{self, Plan, Search, Target, Wish};
/// let mut plan = Plan::new(Target::Tcp(vec!["127.0.0.1:4747".parse()?]));
/// plan.expectations = vec!["p99<5ms".parse()?];
/// let curve = load::find_knee(&plan, &Search::default(), |plan| load::run(plan, &mut |_| Wish::GoOn))?;
/// println!("{:?} frames/s", curve.knee);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first one of `measure`.
pub fn find_knee<E>(
    plan: &Plan,
    search: &Search,
    mut measure: impl FnMut(&Plan) -> Result<Outcome, E>,
) -> Result<Curve, E> {
    let mut curve = Curve::new(Swept::Rate, plan);
    let found = search.greatest(|rate, why| {
        let mut plan = at(plan, Swept::Rate, rate);
        if why == Try::Confirm {
            plan.duration *= search.confirm;
        }
        curve.add(rate, measure(&plan).map_err(Ended::Failed)?)
    });
    match found {
        Ok(knee) => curve.knee = knee,
        Err(Ended::Early) => {}
        Err(Ended::Failed(error)) => return Err(error),
    }
    Ok(curve)
}

/// Carries out a plan at each value of a sweep. The knee is the greatest value up to which all runs were measured as
/// asked, every byte was right, and every expectation of the plan was met. It ends early where a run was interrupted,
/// or a byte was wrong.
///
/// ```no_run
/// use unstick::load::{self, Plan, Target, Wish};
/// let plan = Plan::new(Target::Tcp(vec!["127.0.0.1:4747".parse()?]));
/// let curve = load::sweep(&plan, &"connections=1..1000*2".parse()?, |plan| load::run(plan, &mut |_| Wish::GoOn))?;
/// for point in &curve.points {
///     println!("{} connections: {} frames/s", point.value, point.outcome.frames_per_second);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first one of `measure`.
pub fn sweep<E>(plan: &Plan, sweep: &Sweep, mut measure: impl FnMut(&Plan) -> Result<Outcome, E>) -> Result<Curve, E> {
    let mut curve = Curve::new(sweep.swept(), plan);
    let mut all_hold = true;
    for value in sweep.values() {
        match curve.add(value, measure(&at(plan, sweep.swept(), value))?) {
            Ok(holds) => all_hold &= holds,
            Err(Ended::Early) => break,
            Err(Ended::Failed(error)) => return Err(error),
        }
        if all_hold {
            curve.knee = Some(value);
        }
    }
    Ok(curve)
}

/// Why there are no more runs.
enum Ended<E> {
    /// One was interrupted, or wrong.
    Early,
    Failed(E),
}

/// The plan at this value.
fn at(plan: &Plan, swept: Swept, value: f64) -> Plan {
    let mut plan = plan.clone();
    match swept {
        Swept::Rate => {
            let poisson = matches!(plan.pacing, Pacing::Open { poisson: true, .. });
            plan.pacing = Pacing::Open { rate: value, poisson };
        }
        Swept::Connections => plan.connections = value as usize,
    }
    plan
}

impl Curve {
    fn new(swept: Swept, plan: &Plan) -> Curve {
        Curve { swept, limits: plan.expectations.clone(), points: Vec::new(), knee: None }
    }

    /// Adds a run; whether it was as expected.
    fn add<E>(&mut self, value: f64, outcome: Outcome) -> Result<bool, Ended<E>> {
        let is_over = outcome.interrupted || outcome.verdict == Verdict::Wrong;
        let point = Point { value, outcome };
        let holds = point.holds();
        self.points.push(point);
        if is_over { Err(Ended::Early) } else { Ok(holds) }
    }

    /// Whether the knee is the end of what was looked at, so that it may be above.
    pub fn is_open_ended(&self) -> bool {
        self.knee.is_some_and(|knee| self.points.iter().all(|point| point.value <= knee))
    }

    /// The greatest value at which a run was as expected, confirmed or not.
    pub(super) fn greatest_held(&self) -> Option<f64> {
        self.points.iter().filter(|point| point.holds()).map(|point| point.value).reduce(f64::max)
    }

    /// Wrong where a run was, incomplete where one was interrupted; without a knee, what the run at the least value
    /// was.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.points.iter().any(|point| point.outcome.verdict == verdict);
        let least =
            || self.points.iter().filter(|point| !point.holds()).min_by(|one, other| one.value.total_cmp(&other.value));
        match self.knee {
            _ if has(Verdict::Wrong) => Verdict::Wrong,
            _ if has(Verdict::Incomplete) => Verdict::Incomplete,
            Some(_) => Verdict::Verified,
            None => least().map_or(Verdict::NotAsAsked, |point| point.outcome.verdict),
        }
    }
}
