//! `cargo xtask mutants`: cargo-mutants over the code that frames, and the reasons for mutants that no test can tell apart.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use crate::evidence::{self, Done, Reasons};

/// The figures of the last run.
pub(crate) const FIGURES: &str = "mutants.json";

/// What is mutated beside all of src/framing.
const FILES: [&str; 3] = ["src/read.rs", "src/write.rs", "src/queue.rs"];

/// Change the code in small ways, and see that the tests notice
///
/// Runs cargo-mutants over src/framing, src/read.rs, src/write.rs and src/queue.rs, a file at a time: first with the fast tests
/// (tests/fast), then, against what survived, with the exhaustive ones, the corpus and the library's own. A mutant that
/// survives both needs a reason in xtask/reasons/mutants.json why it is equivalent. A file that did not change since it was
/// tried is not tried again, so that a run can be broken off and taken up. Ends with 0 only if all was tried, and no mutant
/// survives without a reason.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only the mutants of this file, as in src/read.rs; may be given several times
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,

    /// Mutants to try at the same time, each in a copy of the sources
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,

    /// Change the files here, one mutant at a time: copies build everything anew. Edit nothing meanwhile
    #[arg(long, conflicts_with = "jobs")]
    in_place: bool,

    /// Try all mutants again
    #[arg(long)]
    fresh: bool,

    /// Try none, and report what was tried
    #[arg(long)]
    report: bool,
}

impl Default for Args {
    fn default() -> Args {
        Args { file: Vec::new(), jobs: 2, in_place: false, fresh: false, report: false }
    }
}

/// Mutates and reports.
///
/// # Errors
/// Where cargo-mutants is missing or cannot run.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let files = all_files()?;
    if !args.report {
        if !evidence::works(Command::new("cargo").args(["mutants", "--version"])) {
            return Err("this needs cargo-mutants, which is missing: cargo install --locked cargo-mutants".into());
        }
        let wanted = if args.file.is_empty() { &files } else { &args.file };
        for file in wanted {
            try_file(file, args)?;
        }
    }
    let (mut found, mut untried) = (Found::default(), Vec::new());
    for file in &files {
        match Tried::of(file)?.found()? {
            Some(more) => found.add(more),
            None => untried.push(file.as_str()),
        }
    }
    report(&found, &untried, args.report)
}

fn all_files() -> Done<Vec<String>> {
    let mut files = FILES.map(String::from).to_vec();
    let mut folders = vec![evidence::root().join("src/framing")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(evidence::root())?.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Tries the mutants of a file, unless they were tried already.
fn try_file(file: &str, args: &Args) -> Done<()> {
    let tried = Tried::of(file)?;
    if args.fresh || !tried.is_current() {
        tried.forget()?;
    }
    fs::create_dir_all(&tried.folder)?;
    fs::copy(&tried.source, tried.folder.join("source"))?;
    if Found::read(&tried.folder)?.is_none() {
        mutate(&tried.folder, &["--file", file], args, &Tests::FAST)?;
    }
    let survivors =
        Found::read(&tried.folder)?.ok_or_else(|| format!("the mutants of {file} were not all tried"))?.missed;
    if !survivors.is_empty() && Found::read(&tried.folder.join("thorough"))?.is_none() {
        let names: Vec<String> = survivors.iter().map(|name| escape(name)).collect();
        mutate(&tried.folder.join("thorough"), &["--file", file, "--re", &names.join("|")], args, &Tests::THOROUGH)?;
    }
    Ok(())
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
        proptest_cases: "16",
        timeout_seconds: "20",
        filter: &["--skip", "framing_exhaustive::", "--skip", "conformance::"],
    };
    const THOROUGH: Tests =
        Tests { packages: &["fast-tests", "unstick"], proptest_cases: "256", timeout_seconds: "300", filter: &[] };
}

/// Tries the mutants that `which` names.
fn mutate(output: &Path, which: &[&str], args: &Args, tests: &Tests) -> Done<()> {
    fs::create_dir_all(output)?;
    let mut command = Command::new("cargo");
    command
        .current_dir(evidence::root())
        .args(["mutants", "--package", "unstick", "--no-shuffle", "--output"])
        .arg(output);
    command.args(which).args(["--timeout", tests.timeout_seconds, "--build-timeout", "300", "--baseline", "skip"]);
    if args.in_place {
        command.arg("--in-place");
    } else {
        command.args(["--jobs", &args.jobs.to_string()]);
    }
    for package in tests.packages {
        command.args(["--test-package", package]);
    }
    command.args(["--", "--lib", "--"]).args(tests.filter);
    command.env("PROPTEST_CASES", tests.proptest_cases).env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("PROPTEST_FAILURE_PERSISTENCE", "off");
    // Without debug information a mutant builds in half the time.
    command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_TEST_DEBUG", "none");
    match command.status()?.code() {
        // All caught; some missed; some timed out: what it is, the report says.
        Some(0 | 2 | 3) => Ok(()),
        code => Err(format!("cargo mutants ended with {code:?}").into()),
    }
}

/// A mutant's name as a regular expression.
fn escape(name: &str) -> String {
    let mut pattern = String::from("^");
    for character in name.chars() {
        if !character.is_alphanumeric() && character.is_ascii() && character != ' ' {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "$"
}

/// What is known of a file's mutants.
struct Tried {
    source: PathBuf,
    /// Holds a copy of the source, what cargo-mutants wrote, and in `thorough` the same of the second pass.
    folder: PathBuf,
}

impl Tried {
    fn of(file: &str) -> Done<Tried> {
        Ok(Tried {
            source: evidence::root().join(file),
            folder: evidence::place("mutants")?.join(file.replace('/', "-")),
        })
    }

    /// Whether it is about the source as it is now.
    fn is_current(&self) -> bool {
        fs::read(self.folder.join("source")).ok() == fs::read(&self.source).ok()
    }

    fn forget(&self) -> Done<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    /// What both passes found; `None` where they were not finished, or the source changed since.
    fn found(&self) -> Done<Option<Found>> {
        let (true, Some(mut found)) = (self.is_current(), Found::read(&self.folder)?) else { return Ok(None) };
        if !found.missed.is_empty() {
            let Some(thorough) = Found::read(&self.folder.join("thorough"))? else { return Ok(None) };
            found.missed.clear();
            found.add(thorough);
        }
        Ok(Some(found))
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
}

impl Found {
    /// What a run found that wrote below `folder`; `None` where there was none, or it did not come to its end.
    fn read(folder: &Path) -> Done<Option<Found>> {
        let folder = folder.join("mutants.out");
        let Ok(listed) = fs::read_to_string(folder.join("mutants.json")) else { return Ok(None) };
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let lines = |name: &str| -> Vec<String> {
            fs::read_to_string(folder.join(name)).unwrap_or_default().lines().map(String::from).collect()
        };
        let found = Found {
            caught: lines("caught.txt"),
            timed_out: lines("timeout.txt"),
            unviable: lines("unviable.txt"),
            missed: lines("missed.txt"),
        };
        let tried = found.caught.len() + found.timed_out.len() + found.unviable.len() + found.missed.len();
        Ok((tried == listed.len()).then_some(found))
    }

    fn add(&mut self, more: Found) {
        self.caught.extend(more.caught);
        self.timed_out.extend(more.timed_out);
        self.unviable.extend(more.unviable);
        self.missed.extend(more.missed);
    }
}

fn report(found: &Found, untried: &[&str], again: bool) -> Result<ExitCode, Box<dyn Error>> {
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
    for file in untried {
        println!("  not tried: {file}");
    }
    let save = if again { evidence::save_again } else { evidence::save };
    save(
        FIGURES,
        json!({
            "untried": untried,
            "caught": found.caught.len(),
            "timed_out": found.timed_out.len(),
            "unviable": found.unviable.len(),
            "equivalent": equivalent,
            "survivors": survivors,
            "by_file": by_file(found),
        }),
    )?;
    Ok(if survivors.is_empty() && untried.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    fn a_name_is_a_pattern_of_itself() {
        assert_eq!(escape("a.rs:1:2: replace + with *"), "^a\\.rs\\:1\\:2\\: replace \\+ with \\*$");
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
