//! The runs of a load, one after the other: one plan several times, a search, a sweep.

use std::io;

use unstick::load::{self, Outcome, Plan, Results, RunError, Search};

use super::flags::Asked;
use super::watch::Watcher;
use crate::exit::log;

/// Carries out runs, and says after each of several what it was.
pub(super) struct Many {
    plan: Plan,
    watcher: Watcher,
}

impl Many {
    /// With `screen`, its title: on a terminal each run has all of it.
    pub(super) fn new(plan: Plan, screen: Option<String>) -> io::Result<Many> {
        Ok(Many { watcher: Watcher::new(screen)?, plan })
    }

    /// As many runs as the baseline has, where nothing else is asked for.
    pub(super) fn run(&mut self, asked: &Asked, baseline: usize) -> Result<Results, RunError> {
        let plan = self.plan.clone();
        match asked {
            Asked::Runs(number) => self.repeat(number.unwrap_or(baseline.max(1) as u64)),
            Asked::Knee => load::find_knee(&plan, &Search::default(), |plan| self.say(plan)).map(Results::of_curve),
            Asked::Sweep(sweep) => load::sweep(&plan, sweep, |plan| self.say(plan)).map(Results::of_curve),
        }
    }

    /// The plan so many times, with other payloads each time.
    fn repeat(&mut self, number: u64) -> Result<Results, RunError> {
        let mut runs: Vec<Outcome> = Vec::new();
        for index in 0..number {
            let plan = Plan { run: self.plan.run.wrapping_add(index), ..self.plan.clone() };
            runs.push(if number == 1 { self.measure(&plan)? } else { self.say(&plan)? });
            if runs.iter().any(|run| run.interrupted) {
                break;
            }
        }
        Ok(Results::of_runs(runs))
    }

    /// A run, and a line about it on standard error.
    fn say(&mut self, plan: &Plan) -> Result<Outcome, RunError> {
        let outcome = self.measure(plan)?;
        log(format_args!("{}", load::line(&outcome)));
        Ok(outcome)
    }

    fn measure(&mut self, plan: &Plan) -> Result<Outcome, RunError> {
        self.watcher.begin(plan);
        let ran = load::run(plan, &mut |progress| self.watcher.watch(progress));
        self.watcher.finish();
        ran
    }
}
