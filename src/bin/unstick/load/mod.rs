//! `unstick load`: loads a server, verifies every byte that comes back, and measures.

mod compare;
mod flags;
mod many;
mod merge;
mod output;
mod screen;
mod shards;
mod watch;

use clap::Subcommand;
use unstick::load::{Comparison, RunError, Verdict, same_load};

use crate::exit::{self, Chain, Code, Failure};
use crate::tls;
use many::Many;

pub(crate) use flags::Load;

/// What can be done with the results of loads.
#[derive(Debug, Subcommand)]
pub(crate) enum Also {
    Compare(compare::Compare),
    Merge(merge::Merge),
}

pub(crate) fn run(command: &Load) -> Result<(), Failure> {
    match &command.also {
        None => load(command),
        Some(Also::Compare(compare)) => compare::run(compare),
        Some(Also::Merge(merge)) => merge::run(merge),
    }
}

fn load(command: &Load) -> Result<(), Failure> {
    let (asked, plan) = (command.asked()?, command.plan()?);
    let baseline = command.baseline.as_deref().map(compare::runs_of).transpose()?.unwrap_or_default();
    // Better before the runs than after them.
    for run in &baseline {
        same_load(run, &plan).map_err(Failure::usage)?;
    }
    if !baseline.is_empty() {
        Comparison::new(&baseline, &baseline).map_err(|error| Failure::usage(format_args!("--baseline: {error}")))?;
    }
    raise_open_files();
    let outputs = command.files.open();
    let screen = command.tui.then(|| format!("unstick load {}", command.addr));
    let mut many = Many::new(plan, screen).map_err(|error| Failure::cannot("wait for signals", &error))?;
    let mut results = many.run(&asked, baseline.len()).map_err(|error| failure(command, &error))?;
    let mut compared = Ok(());
    if !baseline.is_empty() && !results.verdict.is_unusable() {
        match results.clone().compared_with(baseline, &command.expect) {
            Ok(with_comparison) => results = with_comparison,
            // What was measured is not lost for that.
            Err(error) => compared = Err(Failure::other(error)),
        }
    }
    let written = outputs.write(&results);
    end(results.verdict).and(written).and(compared)
}

/// How the program ends after this verdict.
fn end(verdict: Verdict) -> Result<(), Failure> {
    let code = match verdict {
        Verdict::Verified => return Ok(()),
        Verdict::Incomplete => Code::Interrupted,
        Verdict::ExpectationMissed => Code::Missed,
        Verdict::NotAsAsked => Code::NotAsAsked,
        _ => Code::Wrong,
    };
    // What is wrong is in the report.
    Err(Failure { code, text: None })
}

fn failure(command: &Load, error: &RunError) -> Failure {
    let addr = &command.addr;
    match error {
        RunError::Plan(error) => Failure::usage(error),
        RunError::NotConnected { error: cause, .. } => {
            Failure::new(exit::of_io(cause), format_args!("{addr}: {}{}", Chain(error), tls::hint(error)))
        }
        RunError::Refused { .. } => Failure::new(
            Code::Refused,
            format_args!("{addr}: {error}: it serves as many as it may, or greets (--greeting says how)"),
        ),
        RunError::TooLate { .. } => Failure::new(
            Code::TooLate,
            format_args!("{addr}: {error}: a later --start-at leaves time to connect and for the warm-up"),
        ),
        _ => Failure::other(format_args!("{addr}: {}", Chain(error))),
    }
}

/// Allows as many open files as the system lets us: a connection is one. Where that is not enough, the connect that
/// fails says so.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
