//! `unstick load merge`: the results of all shards of a load become the result of the load.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use unstick::load::{self, Results, ShardFile};

use super::end;
use super::output::Files;
use crate::exit::{self, Chain, Failure};

const EXAMPLES: &str = "\
Examples:
  unstick load merge shard-*.json
  unstick load merge --json load.json shard-0.json shard-1.json";

/// Merge the results of all shards of a load into one
///
/// Every shard must be there, once, and of the same load. The report and the
/// exit code are those of a load; --expect, as it was given to the shards, is
/// judged here.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", exit::MORE))]
pub(crate) struct Merge {
    /// What unstick load --shard wrote by --json
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    outputs: Files,
}

pub(super) fn run(command: &Merge) -> Result<(), Failure> {
    let shards = command.files.iter().map(|path| {
        let content =
            fs::read(path).map_err(|error| Failure::cannot(format_args!("read {}", path.display()), &error))?;
        ShardFile::read(path.display().to_string(), &content).map_err(|error| Failure::other(Chain(&error)))
    });
    let shards = shards.collect::<Result<Vec<_>, _>>()?;
    let outcome = load::merge(&shards).map_err(|error| Failure::other(Chain(&error)))?;
    let results = Results::of_runs(vec![outcome]);
    let written = command.outputs.open().write(&results);
    end(results.verdict).and(written)
}
