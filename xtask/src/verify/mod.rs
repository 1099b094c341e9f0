//! `cargo xtask verify`: gathers the evidence and writes PROOF.md.

mod counts;
mod ledger;
mod page;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

pub(crate) use ledger::INVARIANTS;

use crate::evidence::{self, Done};
use crate::{coverage, fuzz, mutants, prove};

/// Gather the evidence, and write PROOF.md
///
/// Runs `cargo test`, the coverage, the fuzz targets for a short time, the changes that break invariants, the proof, and
/// the mutants; then writes PROOF.md from the figures in target/evidence. Figures of earlier runs count, too, with their
/// date and commit; what was never run is shown as missing. The mutants take hours: --run selects what to run. Exits
/// with 0 only if everything that ran passed and no invariant lacks evidence.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// What to run before the page is written
    #[arg(long, value_name = "STEP", value_delimiter = ',', default_value = "test,coverage,fuzz,broken,prove,mutants")]
    run: Vec<Step>,

    /// Run only the library's own tests and the golden ones, as a smoke test
    #[arg(long, conflicts_with = "run")]
    quick: bool,

    /// How long each fuzz target runs, in seconds
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    fuzz_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// cargo test
    Test,
    /// cargo xtask coverage
    Coverage,
    /// cargo xtask fuzz
    Fuzz,
    /// cargo xtask mutants
    Mutants,
    /// cargo xtask mutants --broken
    Broken,
    /// cargo xtask prove
    Prove,
    /// Nothing: write the page from the figures there are
    None,
}

/// Runs what is asked for, and writes the page.
///
/// # Errors
/// If a step cannot begin, or the page cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let steps = if args.quick { &[Step::Test][..] } else { &args.run };
    let mut failed = Vec::new();
    for step in steps {
        println!("== {step:?}");
        match take(*step, args) {
            Ok(true) => {}
            Ok(false) => failed.push(format!("{step:?} did not pass")),
            // The page then says that the figures are missing or of an earlier date.
            Err(error) => failed.push(format!("{step:?}: {error}")),
        }
    }
    let page = page::write(&page::Figures::load())?;
    let path = evidence::root().join("PROOF.md");
    // A smoke test has not looked at all of it, and leaves the page alone.
    if args.quick {
        println!("{} of {} invariants have all their evidence", page.complete, ledger::INVARIANTS.len());
    } else {
        fs::write(&path, page.text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!(
            "{}: {} of {} invariants have all their evidence",
            path.display(),
            page.complete,
            ledger::INVARIANTS.len()
        );
        failed.extend(page.missing);
    }
    for line in &failed {
        eprintln!("  {line}");
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes one step; whether it passed.
fn take(step: Step, args: &Args) -> Done<bool> {
    let code = match step {
        Step::Test => return counts::run(args.quick),
        Step::None => return Ok(true),
        Step::Coverage => coverage::run(&coverage::Args::default())?,
        Step::Fuzz => fuzz::run(&fuzz::Args { seconds: args.fuzz_seconds, target: Vec::new() })?,
        Step::Mutants => mutants::run(&mutants::Args::default())?,
        Step::Broken => mutants::run(&mutants::Args::broken())?,
        Step::Prove => prove::run(&prove::Args::default())?,
    };
    Ok(code == ExitCode::SUCCESS)
}
