//! `cargo xtask public-api`: compares the crate's public API with the committed list.

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use crate::evidence;

/// The committed list.
const LIST: &str = "docs/public-api.txt";

/// Check that the public API is the committed one
///
/// Writes every public item of unstick with all features to docs/public-api.txt, by cargo-public-api, which needs a
/// nightly compiler; derived and auto-trait implementations are left out. Exits with 0 only if that changes nothing, and
/// shows what it changes: commit that if it was intended.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {}

/// Lists and compares.
///
/// # Errors
/// Where nightly or cargo-public-api is missing, the crate does not compile, or the list cannot be written.
pub(crate) fn run(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let tool = || {
        let mut command = Command::new("cargo");
        command.current_dir(evidence::root()).args(["+nightly", "public-api"]);
        command
    };
    if !evidence::works(tool().arg("--version")) {
        let hint = "rustup toolchain install nightly, cargo install --locked cargo-public-api";
        return Err(format!("this needs nightly and cargo-public-api, one of which is missing: {hint}").into());
    }
    let omit = "blanket-impls,auto-trait-impls,auto-derived-impls";
    let output = tool().args(["--package", "unstick", "--all-features", "--omit", omit]).output()?;
    if !output.status.success() {
        return Err(format!("cargo public-api failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    fs::write(evidence::root().join(LIST), &output.stdout)?;
    let mut git = Command::new("git");
    let is_same =
        git.current_dir(evidence::root()).args(["diff", "--exit-code", "--unified=0", "HEAD", "--", LIST]).status()?;
    Ok(if is_same.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
