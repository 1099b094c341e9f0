//! `cargo xtask prove`: symbolic execution of the machine code of the framing core, by angr. What is proved, and how, is
//! in `xtask/prove/`, in Python; this builds what it looks at, and changes it to see that it notices.

mod mutants;
mod python;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use self::python::Python;
use crate::evidence::{self, Done, Evidence};

/// The name of its evidence.
pub(crate) const NAME: &str = "prove";

/// Prove the length arithmetic of the framing core, for all inputs
///
/// Builds the framing core as a release library with overflow checks, and runs its machine code by angr, a symbolic
/// executor: all adjustments, limits, lengths and bytes at once, for every width and byte order. Prints a table of the
/// claims; xtask/prove/README.md explains them and what they rest on. Then changes the arithmetic of a copy of the
/// sources line by line: each change must be refuted by a counterexample, with which a Rust test fails. Needs Python
/// 3.10 or newer; angr is installed below target/prove. A run that was stopped goes on if the library is still the same.
/// Exits with 0 only if every claim holds and every change is refuted.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Args {
    /// Few layouts and few changes
    #[arg(long)]
    quick: bool,

    /// Only this claim, 1 to 5 or 7, and no changes; may be given several times
    #[arg(long, value_name = "N")]
    claim: Vec<String>,

    /// Only the changes, without the claims about the code as it is
    #[arg(long, conflicts_with = "claim")]
    changes: bool,

    /// Stop after this long, with what was proved by then; the next run goes on with the rest
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    minutes: Option<u64>,

    /// How many processes prove at once; by default, as many as there are cores
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Proves and reports.
///
/// # Errors
/// Where Python or a package is missing, the library does not build, or a change cannot be made.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let evidence = Evidence::begin("cargo xtask prove", &["src/framing", "xtask/prove", "xtask/broken.json"])?;
    let python = Python::with_packages()?;
    let cargo = || {
        let mut command = Command::new("cargo");
        command.current_dir(evidence::root()).env("CARGO_TARGET_DIR", folder().join("target"));
        command
    };
    if args.changes {
        let changes = mutants::refute_all(&python, cargo, args.quick)?;
        return Ok(if all_refuted(&changes) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let library = library(cargo(), &folder().join("target"))?;
    let mut options: Vec<String> = args.claim.iter().flat_map(|claim| ["--claim".into(), claim.clone()]).collect();
    options.extend(args.jobs.iter().flat_map(|jobs| ["--jobs".into(), jobs.to_string()]));
    options.extend(args.minutes.iter().flat_map(|minutes| ["--minutes".into(), minutes.to_string()]));
    options.extend(args.quick.then(|| "--quick".into()));
    let found = if args.quick { "quick.json" } else { "whole.json" };
    let (holds, mut figures) = python.prove(&library, found, &options)?;
    if !args.claim.is_empty() {
        return Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let changes = mutants::refute_all(&python, cargo, args.quick)?;
    let is_met = holds && all_refuted(&changes);
    if let Some(figures) = figures.as_object_mut() {
        figures.remove("found");
    }
    figures["changes"] = json!(changes);
    if !args.quick {
        evidence.save(NAME, figures)?;
    }
    println!("{}", if is_met { "met: every claim holds" } else { "not met" });
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether each change is refuted; says how many are.
fn all_refuted(changes: &[Value]) -> bool {
    let refuted = changes.iter().filter(|change| change["refuted"] == true).count();
    println!("{refuted} of {} changes are refuted, and a test fails with each counterexample", changes.len());
    refuted == changes.len()
}

/// The folder of what is built and installed.
fn folder() -> PathBuf {
    evidence::root().join("target/prove")
}

/// The shim's manifest, from the top of the sources.
const SHIM: &str = "xtask/prove/shim/Cargo.toml";

/// Builds the shim by this Cargo, which builds into `target`.
fn library(mut cargo: Command, target: &Path) -> Done<PathBuf> {
    let built = cargo.args(["build", "--quiet", "--release", "--locked", "--manifest-path", SHIM]).status()?;
    if !built.success() {
        return Err(format!("{SHIM} does not build").into());
    }
    Ok(target.join("release/libunstick_shim.so"))
}

/// Reads figures that a command wrote.
fn read_json(path: &Path) -> Done<Value> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}
