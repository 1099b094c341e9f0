//! `unstick load`: loads a server, verifies every byte that comes back, and measures.

mod flags;
mod merge;
mod output;
mod screen;
mod shards;
mod watch;

use clap::Subcommand;
use unstick::load::{self, RunError, Verdict};

use crate::exit::{self, Chain, Code, Failure};
use crate::tls;
use output::Outputs;
use watch::Watcher;

pub(crate) use flags::Load;

/// What can be done with the results of loads.
#[derive(Debug, Subcommand)]
pub(crate) enum Also {
    Merge(merge::Merge),
}

pub(crate) fn run(command: &Load) -> Result<(), Failure> {
    match &command.also {
        None => load(command),
        Some(Also::Merge(merge)) => merge::run(merge),
    }
}

fn load(command: &Load) -> Result<(), Failure> {
    let plan = command.plan()?;
    raise_open_files();
    let outputs =
        Outputs::new().json(command.json.as_deref()).html(command.html.as_deref()).hlog(command.hlog.as_deref());
    let screen = command.tui.then(|| format!("unstick load {}", command.addr));
    let mut watcher = Watcher::new(&plan, screen).map_err(|error| Failure::cannot("wait for signals", &error))?;
    let ran = load::run(&plan, &mut |progress| watcher.watch(progress));
    watcher.finish();
    let outcome = ran.map_err(|error| failure(command, &error))?;
    let written = outputs.write(&outcome);
    ended(outcome.verdict, written)
}

/// How the program ends with this verdict, where its outputs were written or not.
fn ended(verdict: Verdict, written: Result<(), Failure>) -> Result<(), Failure> {
    let code = match verdict {
        Verdict::Verified => return written,
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

/// Allows as many open files as the system lets us: a connection is one. Where that is not enough, the connect that fails says
/// so.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
