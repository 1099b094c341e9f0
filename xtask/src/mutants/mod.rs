//! `cargo xtask mutants`: cargo-mutants over the code that frames, and the reasons for mutants that no test can tell
//! apart; and each invariant broken by a change of one line.

mod broken;
mod report;
mod tree;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

pub(crate) use broken::{Change, FIGURES as BROKEN, changes};
use report::Found;
pub(crate) use tree::Tree;

use crate::evidence::{self, Done};

/// The figures of the last run.
pub(crate) const FIGURES: &str = "mutants.json";

/// What is mutated beside all of src/framing.
const FILES: [&str; 3] =
    ["src/adapters/futures/read.rs", "src/adapters/futures/write.rs", "src/adapters/futures/queue.rs"];

/// Mutants in one piece of a run; an interrupted run continues after the last whole piece.
const PIECE: usize = 16;

/// Change the code in small ways, and check that the tests notice
///
/// Runs cargo-mutants over src/framing and the adapters for futures I/O, in a copy of the sources: first with the fast
/// tests (tests/fast), then, for the mutants that survived, with the exhaustive tests, the corpus and the library's
/// unit tests. A mutant that survives both needs a reason in xtask/reasons/mutants.json why it is equivalent. Mutants
/// of a file that has not changed are not tried again, so an interrupted run can be continued. Exits with 0 only if all
/// were tried and no mutant survives without a reason.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Args {
    /// Only the mutants of this file, as in src/framing/slice.rs; may be given several times
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,

    /// Try all mutants again
    #[arg(long)]
    fresh: bool,

    /// Report what was tried, without trying any
    #[arg(long)]
    report: bool,

    /// Instead, break each invariant by changing a line, from xtask/reasons/broken.json, and list the tests that fail
    #[arg(long, conflicts_with_all = ["file", "fresh", "report"])]
    broken: bool,
}

impl Args {
    /// What --broken alone says.
    pub(crate) fn broken() -> Args {
        Args { broken: true, ..Args::default() }
    }
}

/// Mutates and reports.
///
/// # Errors
/// Where cargo-mutants is missing or cannot run.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.broken {
        return broken::run();
    }
    let files = all_files()?;
    if !args.report {
        let wanted = if args.file.is_empty() { &files } else { &args.file };
        if let Some(unknown) = wanted.iter().find(|file| !files.contains(file)) {
            return Err(format!("{unknown} is not mutated; there are {}", files.join(", ")).into());
        }
        try_all(wanted, args.fresh)?;
    }
    let (mut found, mut untried) = (Found::default(), Vec::new());
    for file in &files {
        match Tried::of(file)?.found()? {
            Some(more) => found.add(more),
            None => untried.push(file.as_str()),
        }
    }
    report::report(&found, &untried, args.report)
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

/// Tries the mutants of these files, but for what was tried already.
fn try_all(files: &[String], fresh: bool) -> Done<()> {
    if !evidence::works(Command::new("cargo").args(["mutants", "--version"])) {
        return Err("this needs cargo-mutants, which is missing: cargo install --locked cargo-mutants".into());
    }
    let mut todo = Vec::new();
    for file in files {
        let tried = Tried::of(file)?;
        if fresh || !tried.is_current() {
            tried.begin()?;
        }
        if tried.found()?.is_none() {
            todo.push((file, tried));
        }
    }
    if todo.is_empty() {
        return Ok(());
    }
    let tree = Tree::of_sources()?;
    let mut numbers = Vec::new();
    for (file, _) in &todo {
        numbers.push(tree.mutants_of(file)?);
    }
    let all: usize = numbers.iter().sum();
    println!("{all} mutants in {} files", todo.len());
    let mut run = Run { tree, timeouts: [None; 2], begin: Instant::now(), all, passed: 0, tried: 0 };
    for ((file, tried), number) in todo.iter().zip(numbers) {
        run.try_file(file, tried, number)?;
    }
    Ok(())
}

/// A run over some files.
struct Run {
    tree: Tree,
    /// How long a mutant's tests may take, once it is known: fast and thorough.
    timeouts: [Option<Duration>; 2],
    begin: Instant,
    /// All mutants, those that are done, and those of them that this run tried.
    all: usize,
    passed: usize,
    tried: usize,
}

impl Run {
    /// Tries a file's mutants in pieces, and once more those that survive.
    fn try_file(&mut self, file: &str, tried: &Tried, number: usize) -> Done<()> {
        let pieces = number.div_ceil(PIECE);
        fs::write(tried.folder.join("pieces"), pieces.to_string())?;
        let mut survivors = Vec::new();
        for piece in 0..pieces {
            let folder = tried.folder.join(piece.to_string());
            let known = Found::read(&folder)?;
            let is_new = known.is_none();
            if is_new {
                println!("{file}, piece {} of {pieces}: {}", piece + 1, self.progress());
                let shard = format!("{piece}/{pieces}");
                self.mutate(&folder, &["--file", file, "--shard", &shard, "--sharding", "slice"], &FAST)?;
            }
            let found = match known {
                Some(found) => found,
                None => Found::read(&folder)?.ok_or_else(|| format!("the mutants of {file} were not all tried"))?,
            };
            self.passed += found.tried();
            self.tried += if is_new { found.tried() } else { 0 };
            survivors.extend(found.missed);
        }
        if !survivors.is_empty() && tried.thorough(&survivors)?.is_none() {
            println!("{file}: {} survive the fast tests; now all tests of framing", survivors.len());
            let names: Vec<String> = survivors.iter().map(|name| escape(name)).collect();
            self.mutate(&tried.folder.join("thorough"), &["--file", file, "--re", &names.join("|")], &THOROUGH)?;
            if tried.thorough(&survivors)?.is_none() {
                return Err(format!("not all survivors of {file} were tried again").into());
            }
        }
        Ok(())
    }

    fn progress(&self) -> String {
        let (Run { all, passed, .. }, elapsed) = (self, self.begin.elapsed());
        let left = match self.tried {
            0 => String::new(),
            tried => format!(", about {} min left", minutes(elapsed * (all - passed) as u32 / tried as u32)),
        };
        format!("{passed} of {all} mutants tried, {} min passed{left}", minutes(elapsed))
    }

    /// Tries the mutants that `which` names. Each builds in the copy, one after the other.
    fn mutate(&mut self, output: &Path, which: &[&str], tests: &Tests) -> Done<()> {
        if output.exists() {
            fs::remove_dir_all(output)?;
        }
        fs::create_dir_all(output)?;
        let timeout = self.timeout(tests)?.as_secs().to_string();
        let mut command = self.tree.cargo(&["mutants", "--package", "unstick", "--in-place", "--no-shuffle"]);
        command.args(which).arg("--output").arg(output);
        command.args(["--baseline", "skip", "--timeout", &timeout, "--build-timeout", "300"]);
        for package in tests.packages {
            command.args(["--test-package", package]);
        }
        command.args(["--", "--lib", "--"]).args(tests.filter).env("PROPTEST_CASES", tests.proptest_cases);
        match command.status()?.code() {
            // All caught; some missed; some timed out: what it is, the report says.
            Some(0 | 2 | 3) => Ok(()),
            code => Err(format!("cargo mutants ended with {code:?}").into()),
        }
    }

    /// Five times what the tests take without a mutant, and 8 seconds at least: what does not end by then never ends,
    /// or the machine got much busier.
    fn timeout(&mut self, tests: &Tests) -> Done<Duration> {
        let known = self.timeouts[usize::from(tests.is_thorough)];
        if let Some(timeout) = known {
            return Ok(timeout);
        }
        let took = self.tree.baseline(|| tests.command(&self.tree))?;
        let timeout = (took * 5).max(Duration::from_secs(8));
        println!(
            "without a mutant the tests pass in {:.1} s; each may take {} s",
            took.as_secs_f64(),
            timeout.as_secs()
        );
        self.timeouts[usize::from(tests.is_thorough)] = Some(timeout);
        Ok(timeout)
    }
}

fn minutes(time: Duration) -> u64 {
    time.as_secs().div_ceil(60)
}

/// Which tests a mutant has to survive.
struct Tests {
    is_thorough: bool,
    packages: &'static [&'static str],
    proptest_cases: &'static str,
    /// The arguments after the last `--`.
    filter: &'static [&'static str],
}

const FAST: Tests = Tests {
    is_thorough: false,
    packages: &["fast-tests"],
    proptest_cases: "16",
    filter: &["--skip", "framing_exhaustive::", "--skip", "conformance::"],
};

/// All but the cuts that take half a minute: a mutant that only they notice survives, and is looked at.
const THOROUGH: Tests = Tests {
    is_thorough: true,
    packages: &["fast-tests", "unstick"],
    proptest_cases: "256",
    filter: &["--skip", "is_cut_in_three", "--skip", "up_to_16_bytes", "--skip", "every_order_of_frames"],
};

impl Tests {
    fn command(&self, tree: &Tree) -> Command {
        let mut command = tree.cargo(&["test", "--quiet", "--lib"]);
        for package in self.packages {
            command.args(["--package", package]);
        }
        command.arg("--").args(self.filter).env("PROPTEST_CASES", self.proptest_cases);
        command
    }
}

impl Tree {
    /// How many mutants a file has.
    fn mutants_of(&self, file: &str) -> Done<usize> {
        let output = self.cargo(&["mutants", "--list", "--package", "unstick", "--file", file]).output()?;
        if !output.status.success() {
            return Err(format!("cargo mutants lists nothing: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?.lines().count())
    }
}

/// A mutant's name as a regular expression. What has no meaning alone is not escaped: `\<` would be the start of a
/// word.
fn escape(name: &str) -> String {
    let mut pattern = String::from("^");
    for character in name.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "$"
}

/// What is known of a file's mutants.
struct Tried {
    source: PathBuf,
    /// Holds a copy of the source, the number of pieces, what cargo-mutants wrote of each piece, and in `thorough` the
    /// same of the second pass.
    folder: PathBuf,
}

impl Tried {
    fn of(file: &str) -> Done<Tried> {
        Ok(Tried {
            source: evidence::root().join(file),
            folder: evidence::path("mutants")?.join(file.replace('/', "-")),
        })
    }

    /// Whether it is about the source as it is now.
    fn is_current(&self) -> bool {
        fs::read(self.folder.join("source")).ok() == fs::read(&self.source).ok()
    }

    /// Forgets what was tried of another source.
    fn begin(&self) -> Done<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        fs::copy(&self.source, self.folder.join("source"))?;
        Ok(())
    }

    /// What both passes found; `None` if they were not finished, or the source has changed since.
    fn found(&self) -> Done<Option<Found>> {
        let pieces = fs::read_to_string(self.folder.join("pieces")).ok().and_then(|pieces| pieces.parse().ok());
        let (true, Some(pieces)) = (self.is_current(), pieces) else { return Ok(None) };
        let mut found = Found::default();
        for piece in 0..pieces {
            let piece: usize = piece;
            let Some(more) = Found::read(&self.folder.join(piece.to_string()))? else { return Ok(None) };
            found.add(more);
        }
        if !found.missed.is_empty() {
            let Some(thorough) = self.thorough(&found.missed)? else { return Ok(None) };
            found.missed.clear();
            found.add(thorough);
        }
        Ok(Some(found))
    }

    /// What the second pass found among the survivors of the first; `None` if it did not try all of them.
    fn thorough(&self, survivors: &[String]) -> Done<Option<Found>> {
        let found = Found::read(&self.folder.join("thorough"))?;
        Ok(found.and_then(|found| found.only(survivors)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_pattern_of_itself() {
        assert_eq!(escape("a.rs:1:2: replace + with *"), r"^a\.rs:1:2: replace \+ with \*$");
        assert_eq!(escape("replace < with <= in Feed<'_, H>::f"), "^replace < with <= in Feed<'_, H>::f$");
    }

    #[test]
    fn a_minute_that_began_counts() {
        assert_eq!([0, 1, 60, 61].map(|seconds| minutes(Duration::from_secs(seconds))), [0, 1, 1, 2]);
    }
}
