//! `cargo xtask verify`: writes PROOF.md from the evidence of the other commands.

mod invariants;
mod page;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use self::page::{CURRENT, Page, STALE};
use crate::evidence;

/// Write PROOF.md from the evidence
///
/// Runs nothing: the figures are those of xtask/evidence, which the commands that PROOF.md names have left. A row whose
/// sources have changed since is marked as stale.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Write nothing: say which rows are stale or missing, and fail if a figure in PROOF.md is not that of the evidence.
    /// That figures are stale is no failure, as each change of a source makes some so
    #[arg(long)]
    check: bool,
}

/// Writes the page, or compares it.
///
/// # Errors
/// If evidence cannot be read, or the page cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let page = Page::of_evidence()?;
    let path = evidence::root().join("PROOF.md");
    for row in &page.lacks {
        println!("{row}");
    }
    if !args.check {
        fs::write(&path, &page.text)?;
        println!("PROOF.md: {} rows are stale or lack something", page.lacks.len());
        return Ok(ExitCode::SUCCESS);
    }
    // What is stale may have been current when the page was written.
    let figures = |text: &str| text.replace(STALE, CURRENT);
    if figures(&fs::read_to_string(&path)?) == figures(&page.text) {
        println!("PROOF.md has the figures of the evidence; {} rows are stale or lack something", page.lacks.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("PROOF.md does not have the figures of the evidence: cargo xtask verify");
    Ok(ExitCode::FAILURE)
}
