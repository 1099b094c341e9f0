//! `unstick load compare`: whether runs differ from earlier ones, by the files that `--json` wrote.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::load::{Expectation, Outcome, Results, results_from_json};

use super::output::Files;
use crate::exit::{Code, Failure};

const EXAMPLES: &str = "\
Examples:
  unstick load --runs 5 --json old.json       and, with another server:
  unstick load --runs 5 --json new.json
  unstick load compare old.json -- new.json";

/// Compare runs with earlier ones, of files that --json wrote
///
/// Prints for each measure the medians, their ratio, and whether chance explains
/// it. At least 5 runs a side are needed, best of all in turn: A B B A.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Compare {
    /// The earlier runs
    #[arg(value_name = "BEFORE", required = true)]
    before: Vec<PathBuf>,

    /// The runs that are compared with them
    #[arg(value_name = "AFTER", last = true, required = true)]
    after: Vec<PathBuf>,

    /// Fail unless, for example, p99<=baseline*1.1 (exit code 9)
    #[arg(long, value_name = "EXPECTATION")]
    expect: Vec<Expectation>,

    #[command(flatten)]
    files: Files,
}

pub(super) fn run(command: &Compare) -> Result<(), Failure> {
    if let Some(expectation) = command.expect.iter().find(|expectation| !expectation.needs_baseline()) {
        return Err(Failure::usage(format_args!(
            "--expect '{expectation}': of runs that are over, write it as in p99<=baseline*1.1"
        )));
    }
    let all = |files: &[PathBuf]| {
        let read: Result<Vec<Vec<Outcome>>, Failure> = files.iter().map(|file| runs_of(file)).collect();
        read.map(|runs| runs.concat())
    };
    let (before, after) = (all(&command.before)?, all(&command.after)?);
    let results = Results::of_runs(after).compared_with(before, &command.expect).map_err(Failure::usage)?;
    let written = command.files.open().write(&results);
    super::end(results.verdict).and(written)
}

/// The runs in a file that `--json` wrote.
pub(super) fn runs_of(file: &Path) -> Result<Vec<Outcome>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::input(&file.display().to_string(), &error))?;
    let results = results_from_json(&text).map_err(|error| {
        let what = format_args!("{}: not what unstick load --json writes: {error}", file.display());
        Failure::new(Code::Other, what)
    })?;
    match results.runs.is_empty() {
        true => Err(Failure::usage(format_args!("{}: it has no runs of one plan", file.display()))),
        false => Ok(results.runs),
    }
}
