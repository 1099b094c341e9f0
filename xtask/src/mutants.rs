//! `cargo xtask mutants`: cargo-mutants over the code that frames, and the reasons for mutants that no test can tell apart.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use crate::evidence::{self, Done, Reasons};

/// The figures of the last run.
pub(crate) const FIGURES: &str = "mutants.json";

/// What is mutated unless --file says otherwise.
const FILES: [&str; 4] = ["src/framing/*.rs", "src/read.rs", "src/write.rs", "src/queue.rs"];

/// How often the property tests run against a mutant; they run in their full number against those that survive that.
const FAST_CASES: &str = "32";

/// Change the code in small ways, and see that the tests notice
///
/// Runs cargo-mutants over src/framing, src/read.rs, src/write.rs and src/queue.rs: first with the fast tests (tests/fast),
/// then, against what survived, with the exhaustive ones and the library's own. A mutant that survives both needs a reason
/// in xtask/reasons/mutants.json why it is equivalent. Mutants that an earlier run caught are not tried again unless --fresh
/// is given, so that a run can be broken off and taken up. Ends with 0 only if no mutant survives without a reason.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only the mutants of these files
    #[arg(long, value_name = "GLOB")]
    file: Vec<String>,

    /// Mutants to try at the same time
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,

    /// Try all mutants again
    #[arg(long)]
    fresh: bool,

    /// Try none, and report the last run
    #[arg(long)]
    report: bool,
}

impl Default for Args {
    fn default() -> Args {
        Args { file: Vec::new(), jobs: 2, fresh: false, report: false }
    }
}

/// Mutates and reports.
///
/// # Errors
/// Where cargo-mutants is missing or cannot run the tests of the code as it is.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let output = evidence::place("mutants.out")?;
    if !args.report {
        if !evidence::works(Command::new("cargo").args(["mutants", "--version"])) {
            return Err("this needs cargo-mutants, which is missing: cargo install --locked cargo-mutants".into());
        }
        if args.fresh && output.exists() {
            fs::remove_dir_all(&output)?;
        }
        mutate(&args.file, args.jobs, &Tests::FAST)?;
        mutate(&args.file, args.jobs, &Tests::THOROUGH)?;
    }
    let found = Found::read(&output)?;
    report(&found)
}

/// Which tests a mutant has to survive.
struct Tests {
    packages: &'static [&'static str],
    proptest_cases: &'static str,
    timeout_seconds: &'static str,
    /// What comes behind the last `--`.
    filter: &'static [&'static str],
}

impl Tests {
    const FAST: Tests = Tests {
        packages: &["fast-tests"],
        proptest_cases: FAST_CASES,
        timeout_seconds: "90",
        filter: &["--skip", "framing_exhaustive::"],
    };
    const THOROUGH: Tests =
        Tests { packages: &["fast-tests", "unstick"], proptest_cases: "256", timeout_seconds: "300", filter: &[] };
}

/// Tries the mutants that no run before caught.
fn mutate(files: &[String], jobs: u16, tests: &Tests) -> Done<()> {
    let mut command = Command::new("cargo");
    command.current_dir(evidence::root()).args(["mutants", "--package", "unstick", "--iterate", "--no-shuffle"]);
    command.arg("--output").arg(evidence::root().join("target/evidence"));
    command.args(["--jobs", &jobs.to_string(), "--timeout", tests.timeout_seconds, "--build-timeout", "300"]);
    for package in tests.packages {
        command.args(["--test-package", package]);
    }
    let defaults = FILES.map(String::from);
    for file in if files.is_empty() { &defaults[..] } else { files } {
        command.args(["--file", file]);
    }
    command.args(["--", "--lib", "--"]).args(tests.filter);
    command.env("PROPTEST_CASES", tests.proptest_cases).env("PROPTEST_MAX_SHRINK_ITERS", "0");
    // Without debug information a mutant builds in half the time.
    command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_TEST_DEBUG", "none");
    match command.status()?.code() {
        // All caught; some missed; some timed out: what it is, the report says.
        Some(0 | 2 | 3) => Ok(()),
        code => Err(format!("cargo mutants ended with {code:?}").into()),
    }
}

/// What cargo-mutants found, as it stands in the files of `mutants.out`: a mutant's name a line.
#[derive(Debug, Default)]
struct Found {
    caught: Vec<String>,
    /// The tests did not end: they notice.
    timed_out: Vec<String>,
    /// The mutant does not compile.
    unviable: Vec<String>,
    missed: Vec<String>,
    /// All there are in the files that were tried last.
    listed: usize,
}

impl Found {
    fn read(output: &Path) -> Done<Found> {
        if !output.is_dir() {
            return Err("no run of cargo-mutants has left its figures: cargo xtask mutants".into());
        }
        let lines = |name: &str| -> Vec<String> {
            fs::read_to_string(output.join(name)).unwrap_or_default().lines().map(String::from).collect()
        };
        // What earlier runs caught, or found not to compile, stands in one file.
        let mut caught = [lines("caught.txt"), lines("previously_caught.txt")].concat();
        caught.sort();
        caught.dedup();
        let listed = fs::read_to_string(output.join("mutants.json")).ok();
        let listed =
            listed.and_then(|text| serde_json::from_str::<Vec<Value>>(&text).ok()).map_or(0, |list| list.len());
        Ok(Found {
            caught,
            timed_out: lines("timeout.txt"),
            unviable: lines("unviable.txt"),
            missed: lines("missed.txt"),
            listed,
        })
    }
}

fn report(found: &Found) -> Result<ExitCode, Box<dyn Error>> {
    let reasons = Reasons::read("mutants.json")?;
    let mut equivalent = Vec::new();
    let mut survivors = Vec::new();
    for name in &found.missed {
        let mutant = Mutant::parse(name).ok_or_else(|| format!("cargo-mutants named a mutant {name:?}"))?;
        match reasons.find(mutant.file, &mutant.source_line()?, mutant.change) {
            Some(reason) => equivalent.push(json!({ "mutant": name, "reason": reason })),
            None => survivors.push(name),
        }
    }
    println!(
        "{} mutants caught, {} by a test that did not end, {} do not compile, {} equivalent, {} survive",
        found.caught.len(),
        found.timed_out.len(),
        found.unviable.len(),
        equivalent.len(),
        survivors.len(),
    );
    for name in &survivors {
        println!("  survives: {name}");
    }
    evidence::save(
        FIGURES,
        json!({
            "listed": found.listed,
            "caught": found.caught.len(),
            "timed_out": found.timed_out.len(),
            "unviable": found.unviable.len(),
            "equivalent": equivalent,
            "survivors": survivors,
            "by_file": by_file(found),
        }),
    )?;
    Ok(if survivors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many were tried, and how many noticed, in each file.
fn by_file(found: &Found) -> Value {
    let mut files = json!({});
    let groups = [("noticed", &found.caught), ("noticed", &found.timed_out), ("missed", &found.missed)];
    for (outcome, names) in groups {
        for mutant in names.iter().filter_map(|name| Mutant::parse(name)) {
            let number = files[mutant.file][outcome].as_u64().unwrap_or(0);
            files[mutant.file][outcome] = json!(number + 1);
        }
    }
    files
}

/// A mutant's name, taken apart: `src/read.rs:12:5: replace x with y in f`.
#[derive(Debug, PartialEq, Eq)]
struct Mutant<'a> {
    file: &'a str,
    line: usize,
    change: &'a str,
}

impl<'a> Mutant<'a> {
    fn parse(name: &'a str) -> Option<Mutant<'a>> {
        let (place, change) = name.split_once(": ")?;
        let mut parts = place.split(':');
        let file = parts.next()?;
        let line = parts.next()?.parse().ok()?;
        Some(Mutant { file, line, change })
    }

    fn source_line(&self) -> Done<String> {
        let text = fs::read_to_string(evidence::root().join(self.file))?;
        Ok(text.lines().nth(self.line - 1).unwrap_or_default().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = "src/framing/buffer.rs:71:35: replace < with <= in Buffer::space";
        let change = "replace < with <= in Buffer::space";
        assert_eq!(Mutant::parse(name), Some(Mutant { file: "src/framing/buffer.rs", line: 71, change }));
        assert_eq!(Mutant::parse("nothing of the kind"), None);
    }

    #[test]
    fn mutants_are_counted_by_file() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let found = Found {
            caught: names(&["a.rs:1:1: x", "a.rs:2:1: y"]),
            timed_out: names(&["a.rs:3:1: z"]),
            missed: names(&["b.rs:1:1: x"]),
            ..Found::default()
        };
        assert_eq!(by_file(&found), json!({ "a.rs": { "noticed": 3 }, "b.rs": { "missed": 1 } }));
    }
}
