//! `cargo xtask fuzz`: runs the fuzz targets, keeps what each run showed, and makes the corpus small.

#[path = "../../tests/support/fuzz_inputs.rs"]
mod fuzz_inputs;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use cargo_metadata::MetadataCommand;
use serde::Deserialize;
use serde_json::json;
use unstick::framing::{Encoder, Format};

use crate::evidence::{self, Done, Evidence};
use crate::text::count;

/// Executions after which a run has seen enough, and the time of a core that it may take for them.
const EXECUTIONS: u64 = 1_000_000;
const CORE_SECONDS: u64 = 600;
/// The time of a core in a full run.
const FULL_CORE_SECONDS: u64 = 3600;
/// How many inputs of a target are files; the others are in one file.
const FILES: usize = 5;

/// Run the fuzz targets
///
/// Builds the targets of fuzz/ with the nightly compiler and runs each, as many at once as there are cores, until it has
/// made a million executions or taken ten minutes of a core, from the inputs of fuzz/corpus and those that earlier runs
/// left in target/fuzz. What a target showed is kept in xtask/evidence/fuzz-TARGET.json. Exits with 0 only if no input
/// failed.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// An hour of a core for each target, however many executions that are
    #[arg(long)]
    full: bool,

    /// So many seconds of a core for each target; what they show is not kept
    #[arg(long, value_name = "N", conflicts_with = "full", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Only this target; may be given several times
    #[arg(long, value_name = "T")]
    target: Vec<String>,

    /// How many run at once; by default, as many as there are cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,

    /// Instead, write the fewest inputs that together reach every edge that was reached so far to fuzz/corpus
    #[arg(long, conflicts_with_all = ["full", "seconds"])]
    keep: bool,
}

/// Fuzzes and reports.
///
/// # Errors
/// Where nightly or cargo-fuzz is missing, a target is unknown, or the targets do not build.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let targets = choose(all_targets()?, &args.target)?;
    build()?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, |jobs| jobs as usize);
    let (waiting, failures) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..jobs.min(targets.len()) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let done = if args.keep { target.keep() } else { target.fuzz(args) };
                    match done {
                        Ok(line) => println!("{:<13} {line}", target.name),
                        Err(error) => {
                            failures.lock().expect("no thread panics").push(format!("{}: {error}", target.name));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner()?;
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A fuzz target, of `[package.metadata.targets]` in `fuzz/Cargo.toml`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    settings: Settings,
    program: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
struct Settings {
    /// What it is about, beside the core and the property kit.
    about: Vec<String>,
    /// Streams are made of few bytes, and short inputs run faster.
    #[serde(default = "max_len")]
    max_len: usize,
}

fn max_len() -> usize {
    300
}

/// The targets, in the order of their names.
pub(crate) fn all_targets() -> Done<Vec<Target>> {
    let metadata = MetadataCommand::new().manifest_path(evidence::root().join("fuzz/Cargo.toml")).no_deps().exec()?;
    let package = metadata.packages.first().ok_or("fuzz/Cargo.toml has no package")?;
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output()?;
    let programs = metadata.target_directory.join(String::from_utf8(host.stdout)?.trim()).join("release");
    let mut targets = Vec::new();
    for target in package.targets.iter().filter(|target| target.is_bin()) {
        let settings = serde_json::from_value(package.metadata["targets"][&target.name].clone())
            .map_err(|error| format!("fuzz/Cargo.toml, [package.metadata.targets], {}: {error}", target.name))?;
        targets.push(Target { name: target.name.clone(), settings, program: programs.join(&target.name).into() });
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

fn choose(mut all: Vec<Target>, wanted: &[String]) -> Done<Vec<Target>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.iter().any(|target| target.name == **name)) {
        let names: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        return Err(format!("no fuzz target is named {unknown}; there are {}", names.join(", ")).into());
    }
    all.retain(|target| wanted.is_empty() || wanted.contains(&target.name));
    Ok(all)
}

/// Builds all targets. No sanitizer: there is no unsafe code to watch, and without one inputs run several times as fast.
/// Debug assertions are on.
fn build() -> Done<()> {
    let cargo = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(evidence::root()).arg("+nightly").args(args);
        command
    };
    if !evidence::works(&mut cargo(&["fuzz", "--version"])) {
        let hint = "rustup toolchain install nightly, cargo install --locked cargo-fuzz";
        return Err(format!("this needs a nightly compiler and cargo-fuzz, one of which is missing: {hint}").into());
    }
    let status = cargo(&["fuzz", "build", "--sanitizer", "none"]).status()?;
    if status.success() { Ok(()) } else { Err("the fuzz targets do not build".into()) }
}

impl Target {
    /// Runs it until a limit, and keeps what it showed.
    fn fuzz(&self, args: &Args) -> Done<String> {
        let (executions, seconds) = match args.seconds {
            Some(seconds) => (u64::MAX >> 1, seconds),
            None if args.full => (u64::MAX >> 1, FULL_CORE_SECONDS),
            None => (EXECUTIONS, CORE_SECONDS),
        };
        let source = format!("fuzz/fuzz_targets/{}.rs", self.name);
        let mut about = vec!["src/framing", "src/testing", "fuzz/Cargo.lock", &source];
        about.extend(self.settings.about.iter().map(String::as_str));
        let evidence = Evidence::begin(&format!("cargo xtask fuzz --target {}", self.name), &about)?;
        let begin = Instant::now();
        let log = self.folder("logs")?.join("fuzz.txt");
        let mut command = self.program(&log)?;
        command.arg(self.inputs()?).arg(format!("-runs={executions}"));
        command.arg(format!("-dict={}", evidence::root().join("fuzz/dict").display()));
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let core_time = wait(&mut child, Duration::from_secs(seconds))?;
        let is_over = core_time.as_secs() >= seconds;
        let status = child.wait()?;
        let said = Said::read(&String::from_utf8_lossy(&fs::read(&log)?));
        let is_good = said.failing.is_empty() && (is_over || status.success());
        let ended_by = match is_good {
            false => "a failure",
            true if is_over => "core time",
            true => "executions",
        };
        let line = format!(
            "{:>13} executions in {:>4} s of a core, ended by {ended_by}; {} edges, {} inputs",
            count(said.executions),
            core_time.as_secs(),
            count(said.edges),
            count(said.inputs)
        );
        if args.seconds.is_none() {
            let figures = json!({
                "executions": said.executions,
                "core_seconds": core_time.as_secs(),
                "seconds": begin.elapsed().as_secs(),
                "ended_by": ended_by,
                "edges": said.edges,
                "inputs": said.inputs,
            });
            evidence.save(&format!("fuzz-{}", self.name), figures)?;
        }
        if is_good { Ok(line) } else { Err(said.failure(&self.name, &log).into()) }
    }

    /// Makes the corpus small: the fewest inputs that reach every edge.
    fn keep(&self) -> Done<String> {
        let small = self.folder("small")?;
        fs::remove_dir_all(&small)?;
        fs::create_dir_all(&small)?;
        let log = self.folder("logs")?.join("keep.txt");
        // How often an edge is taken does not count: with it there are ten times as many.
        let mut command = self.program(&log)?;
        command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(&small).arg(self.inputs()?);
        if !command.status()?.success() {
            return Err(format!("no smaller corpus was found: see {}", log.display()).into());
        }
        let mut kept = Vec::new();
        for file in fs::read_dir(&small)? {
            let path = file?.path();
            kept.push((fs::read(&path)?, path));
        }
        // The longest are the files, as they reach most.
        kept.sort_by(|(one, _), (other, _)| (other.len(), other).cmp(&(one.len(), one)));
        let corpus = evidence::root().join("fuzz/corpus");
        let folder = corpus.join(&self.name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let mut frames = Vec::new();
        for (index, (input, path)) in kept.iter().enumerate() {
            match index {
                0..FILES => fs::write(folder.join(path.file_name().ok_or("an input without a name")?), input)?,
                _ => Encoder::new(Format::VARINT).encode(input, &mut frames)?,
            }
        }
        fs::write(corpus.join(format!("{}.frames", self.name)), &frames)?;
        Ok(format!("{} inputs reach every edge: {FILES} files, {} bytes of frames", kept.len(), frames.len()))
    }

    /// The program of the target; what it prints goes to a file.
    fn program(&self, log: &Path) -> Done<Command> {
        let artifacts = evidence::root().join("fuzz/artifacts").join(&self.name);
        fs::create_dir_all(&artifacts)?;
        let mut command = Command::new(&self.program);
        command.arg(format!("-max_len={}", self.settings.max_len)).arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        Ok(command)
    }

    /// A folder with all inputs of fuzz/corpus, to which a run adds.
    fn inputs(&self) -> Done<PathBuf> {
        let folder = self.folder("inputs")?;
        for (index, input) in fuzz_inputs::inputs(&evidence::root().join("fuzz/corpus"), &self.name)?.iter().enumerate()
        {
            fs::write(folder.join(format!("kept-{index}")), input)?;
        }
        Ok(folder)
    }

    /// A folder of this target below target/fuzz.
    fn folder(&self, name: &str) -> Done<PathBuf> {
        let folder = evidence::root().join("target/fuzz").join(&self.name).join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Waits for a run to end, and ends it when it has taken so much time of a core: the time that it took.
fn wait(child: &mut Child, limit: Duration) -> Done<Duration> {
    let begin = Instant::now();
    let mut took = Duration::ZERO;
    while child.try_wait()?.is_none() {
        took = core_time(child.id()).unwrap_or_else(|| begin.elapsed());
        if took >= limit {
            // libFuzzer ends with its figures then.
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
            child.wait()?;
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(took)
}

/// How long a process has run on a core, if the system tells.
fn core_time(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// What libFuzzer said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    executions: u64,
    /// Edges of the code that were reached, as last printed.
    edges: u64,
    inputs: u64,
    /// Inputs that fail, hang or need too much memory, each in a file.
    failing: Vec<String>,
}

impl Said {
    fn read(text: &str) -> Said {
        let mut said = Said::default();
        for line in text.lines() {
            if let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once('\t')) {
                said.executions = number.trim().parse().unwrap_or(said.executions);
                said.edges = number_after(rest, "cov:").unwrap_or(said.edges);
                said.inputs = number_after(rest, "corp:").unwrap_or(said.inputs);
            }
            said.executions = number_after(line, "stat::number_of_executed_units:").unwrap_or(said.executions);
            said.failing.extend(line.split_once("Test unit written to ").map(|(_, path)| path.trim().to_string()));
        }
        said
    }

    /// What failed, and how to see it again.
    fn failure(&self, target: &str, log: &Path) -> String {
        let replay = |path: &String| format!("\n  replay: cargo +nightly fuzz run --sanitizer none {target} {path}");
        format!("failed: see {}{}", log.display(), self.failing.iter().map(replay).collect::<String>())
    }
}

/// The number after a word.
fn number_after(line: &str, word: &str) -> Option<u64> {
    let (_, rest) = line.split_once(word)?;
    rest.split(|character: char| character.is_whitespace() || character == '/')
        .find(|part| !part.is_empty())?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_run_is_read() {
        let said = Said::read(
            "INFO: Seed: 1\n#23\tINITED cov: 512 ft: 700 corp: 20/1Kb exec/s: 0 rss: 30Mb\n\
             #600000\tDONE   cov: 521 ft: 901 corp: 31/2Kb lim: 21 exec/s: 100000 rss: 60Mb\n\
             stat::number_of_executed_units: 600001\nstat::new_units_added:          9\n",
        );
        assert_eq!(said, Said { executions: 600_001, edges: 521, inputs: 31, failing: vec![] });
    }

    #[test]
    fn an_input_that_fails_is_told_with_how_to_replay_it() {
        let said = Said::read("artifact_prefix='/x/'; Test unit written to /x/crash-ab\n");
        let failure = said.failure("plan", Path::new("log"));
        assert_eq!(failure, "failed: see log\n  replay: cargo +nightly fuzz run --sanitizer none plan /x/crash-ab");
    }

    #[test]
    fn targets_are_chosen_by_name() {
        let all = || all_targets().unwrap();
        assert!(choose(all(), &[]).unwrap().len() > 5);
        assert_eq!(choose(all(), &["plan".into()]).unwrap()[0].name, "plan");
        assert!(choose(all(), &["c".into()]).unwrap_err().to_string().contains("decode, differential"));
    }
}
