//! `cargo xtask public-api`: compares the crate's public API with the committed list.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use crate::evidence::{self, Done};

/// The committed list.
const LIST: &str = "docs/public-api.txt";

/// Check that the public API is the committed one
///
/// Lists every public item of unstick with all features by cargo-public-api, which needs a nightly compiler; derived
/// and auto-trait implementations are left out. Prints items that only docs/public-api.txt has (-) and items that it
/// lacks (+). Exits with 0 only if they are the same.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Write the list instead, after an intended change
    #[arg(long)]
    bless: bool,
}

/// Compares, or writes.
///
/// # Errors
/// Where nightly or cargo-public-api is missing, the crate does not compile, or the list cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let path = evidence::root().join(LIST);
    let now = list()?;
    if args.bless {
        fs::create_dir_all(path.with_file_name(""))?;
        fs::write(&path, &now).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{LIST}: {} items", now.lines().count());
        return Ok(ExitCode::SUCCESS);
    }
    let committed = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let changes = changes(&committed, &now);
    if changes.is_empty() {
        println!("the public API is that of {LIST}: {} items", now.lines().count());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", changes.join("\n"));
    eprintln!("the public API is not that of {LIST}; if the change is intended: cargo xtask public-api --bless");
    Ok(ExitCode::FAILURE)
}

/// What cargo-public-api says of the crate as it stands, an item a line.
fn list() -> Done<String> {
    let tool = || {
        let mut command = Command::new("cargo");
        command.current_dir(evidence::root()).args(["+nightly", "public-api"]);
        command
    };
    if !evidence::works(tool().arg("--version")) {
        let hint = "rustup toolchain install nightly, cargo install --locked cargo-public-api";
        return Err(
            format!("this needs a nightly compiler and cargo-public-api, one of which is missing: {hint}").into()
        );
    }
    let omit = "blanket-impls,auto-trait-impls,auto-derived-impls";
    let output = tool().args(["--package", "unstick", "--all-features", "--omit", omit]).output()?;
    if !output.status.success() {
        return Err(format!("cargo public-api failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The lines that one of both has: first those that went, then those that came.
fn changes(committed: &str, now: &str) -> Vec<String> {
    let [committed, now] = [committed, now].map(|text| text.lines().collect::<BTreeSet<_>>());
    let went = committed.difference(&now).map(|line| format!("-{line}"));
    let came = now.difference(&committed).map(|line| format!("+{line}"));
    went.chain(came).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_told() {
        assert_eq!(changes("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n"), ["-pub fn a()", "+pub fn c()"]);
        assert_eq!(changes("pub fn a()\r\n", "pub fn a()\n"), [""; 0]);
    }
}
