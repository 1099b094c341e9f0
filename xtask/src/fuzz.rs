//! `cargo xtask fuzz`: runs the fuzz targets in turn, and keeps their figures.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::evidence::{self, Done};
use crate::text::count;

/// The figures of every run, a line each.
pub(crate) const FIGURES: &str = "fuzz.jsonl";

/// The most bytes of an input: the checks make long streams of few bytes, and short inputs run faster.
const MAX_LEN: usize = 300;
/// Of these targets inputs are longer: whole files.
const LONG: [(&str, usize); 1] = [("shard_file", 8 << 10)];

/// Run the fuzz targets in turn
///
/// Builds the targets of fuzz/ with the nightly compiler and runs each for the given time, starting from the inputs in
/// fuzz/corpus and those that earlier runs left in target/fuzz-corpus. Prints executions, new coverage and crashes.
/// Exits with 0 only if no input failed.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// How long each target runs, in seconds
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,

    /// Only this target; may be given several times
    #[arg(long, value_name = "T")]
    pub(crate) target: Vec<String>,
}

/// Fuzzes and reports.
///
/// # Errors
/// Where nightly or cargo-fuzz is missing, a target is unknown, or the targets do not build.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    check_tools()?;
    let targets = choose(&all_targets()?, &args.target)?;
    build()?;
    let mut runs = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let run = fuzz(target, args.seconds, &format!("{}/{}", index + 1, targets.len()))?;
        println!("{}", run.line(target));
        evidence::append(FIGURES, run.json(target, args.seconds))?;
        runs.push(run);
    }
    println!("{}", Run::sum(&runs).line("in all"));
    let mut failed = false;
    for (target, run) in targets.iter().zip(&runs) {
        if let Some(failure) = run.failure(target) {
            failed = true;
            eprintln!("{failure}");
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_tools() -> Done<()> {
    if !evidence::works(Command::new("cargo").args(["+nightly", "--version"])) {
        return Err("fuzzing needs a nightly compiler, which is missing: rustup toolchain install nightly".into());
    }
    if !evidence::works(Command::new("cargo").args(["+nightly", "fuzz", "--version"])) {
        return Err("fuzzing needs cargo-fuzz, which is missing: cargo install cargo-fuzz".into());
    }
    Ok(())
}

/// The names of the files in `fuzz/fuzz_targets`.
pub(crate) fn all_targets() -> Done<Vec<String>> {
    let folder = evidence::root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Done<Vec<PathBuf>>>()?;
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut targets: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    targets.sort();
    Ok(targets)
}

fn choose(all: &[String], wanted: &[String]) -> Done<Vec<String>> {
    match wanted.iter().find(|target| !all.contains(target)) {
        Some(unknown) => Err(format!("no fuzz target is named {unknown}; there are {}", all.join(", ")).into()),
        None if wanted.is_empty() => Ok(all.to_vec()),
        None => Ok(wanted.to_vec()),
    }
}

/// `cargo +nightly fuzz`. No sanitizer: there is no unsafe code to watch, and without one inputs run several times as
/// fast. Debug assertions are on.
fn cargo_fuzz(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(evidence::root()).args(["+nightly", "fuzz"]).args(args).args(["--sanitizer", "none"]);
    command
}

fn build() -> Done<()> {
    let status = cargo_fuzz(&["build"]).status()?;
    if status.success() { Ok(()) } else { Err("the fuzz targets do not build".into()) }
}

/// Runs one target; `turn` says which of how many it is.
fn fuzz(target: &str, seconds: u64, turn: &str) -> Done<Run> {
    let root = evidence::root();
    let found = root.join("target/fuzz-corpus").join(target);
    fs::create_dir_all(&found)?;
    let mut command = cargo_fuzz(&["run"]);
    command.arg(target).arg(&found);
    let inputs = root.join("fuzz/corpus").join(target);
    if inputs.is_dir() {
        command.arg(inputs);
    }
    command.arg("--").arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    let max_len = LONG.iter().find(|(name, _)| *name == target).map_or(MAX_LEN, |(_, len)| *len);
    command.arg(format!("-max_len={max_len}")).arg(format!("-dict={}", root.join("fuzz/dict").display()));
    let progress = progress(target, turn);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut run = Run::default();
    let stderr = child.stderr.take().ok_or("cargo fuzz has no standard error")?;
    // libFuzzer may print bytes that are no text.
    for line in BufReader::new(stderr).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        run.read(&line);
        progress.set_message(format!("{} executions, coverage {}", count(run.executions), count(run.coverage())));
    }
    run.failed |= !child.wait()?.success();
    progress.finish_and_clear();
    Ok(run)
}

fn progress(target: &str, turn: &str) -> ProgressBar {
    let shown =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{prefix} {elapsed} {msg}");
    let bar = ProgressBar::with_draw_target(None, shown).with_prefix(format!("fuzz {turn} {target}"));
    bar.enable_steady_tick(Duration::from_millis(200));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What a run of libFuzzer said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Run {
    executions: u64,
    /// Edges of the code that the inputs at hand reach, before anything new was tried.
    coverage_before: Option<u64>,
    /// Edges reached, as last printed.
    coverage_after: u64,
    new_inputs: u64,
    /// Where inputs were written that fail, hang or need too much memory.
    crashes: Vec<String>,
    failed: bool,
    /// The last lines, which are shown if it fails without an input.
    last: Vec<String>,
}

impl Run {
    /// Takes a line of libFuzzer's output.
    fn read(&mut self, line: &str) {
        if let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once('\t')) {
            self.executions = number.trim().parse().unwrap_or(self.executions);
            if let Some(coverage) = number_behind(rest, "cov:") {
                self.coverage_after = coverage;
                if rest.trim_start().starts_with("INITED") {
                    self.coverage_before = Some(coverage);
                }
            }
            return;
        }
        if let Some(number) = number_behind(line, "stat::number_of_executed_units:") {
            self.executions = number;
        }
        if let Some(number) = number_behind(line, "stat::new_units_added:") {
            self.new_inputs = number;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.crashes.push(path.trim().to_string());
        }
        if !line.trim().is_empty() {
            self.last.push(line.to_string());
            self.last.drain(..self.last.len().saturating_sub(8));
        }
    }

    fn coverage(&self) -> u64 {
        self.coverage_after
    }

    fn new_coverage(&self) -> u64 {
        self.coverage_after.saturating_sub(self.coverage_before.unwrap_or(0))
    }

    fn sum(runs: &[Run]) -> Run {
        let mut all = Run { coverage_before: Some(0), ..Run::default() };
        for run in runs {
            all.executions += run.executions;
            all.coverage_before = Some(all.coverage_before.unwrap_or(0) + run.coverage_before.unwrap_or(0));
            all.coverage_after += run.coverage_after;
            all.new_inputs += run.new_inputs;
            all.crashes.extend(run.crashes.iter().cloned());
            all.failed |= run.failed;
        }
        all
    }

    fn line(&self, name: &str) -> String {
        format!(
            "{name:<12} {:>14} executions  {:>6} edges covered, {} of them new  {:>4} new inputs  {} crashes",
            count(self.executions),
            count(self.coverage()),
            count(self.new_coverage()),
            count(self.new_inputs),
            self.crashes.len(),
        )
    }

    fn json(&self, target: &str, seconds: u64) -> Value {
        json!({
            "target": target,
            "seconds": seconds,
            "executions": self.executions,
            "edges_covered": self.coverage(),
            "edges_new": self.new_coverage(),
            "inputs_new": self.new_inputs,
            "crashes": self.crashes,
            "failed": self.failed,
        })
    }

    /// What failed, and how to see it again.
    fn failure(&self, target: &str) -> Option<String> {
        let replay = |path: &String| {
            format!("{target} fails on {path}\n  replay: cargo +nightly fuzz run --sanitizer none {target} {path}")
        };
        match self.crashes.as_slice() {
            [] if !self.failed => None,
            [] => Some(format!("{target} failed, and wrote no input:\n  {}", self.last.join("\n  "))),
            crashes => Some(crashes.iter().map(replay).collect::<Vec<_>>().join("\n")),
        }
    }
}

/// The number after a word.
fn number_behind(line: &str, word: &str) -> Option<u64> {
    let (_, rest) = line.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Run {
        let mut run = Run::default();
        text.lines().for_each(|line| run.read(line));
        run
    }

    #[test]
    fn a_good_run_is_read() {
        let run = read(
            "INFO: Seed: 1\n#23\tINITED cov: 512 ft: 700 corp: 20/1Kb exec/s: 0 rss: 30Mb\n\
             #524288\tpulse  cov: 520 ft: 900 corp: 30/2Kb lim: 21 exec/s: 104857 rss: 60Mb\n\
             #600000\tDONE   cov: 521 ft: 901 corp: 31/2Kb lim: 21 exec/s: 100000 rss: 60Mb\n\
             stat::number_of_executed_units: 600001\nstat::new_units_added:          9\n",
        );
        assert_eq!((run.executions, run.coverage(), run.new_coverage(), run.new_inputs), (600_001, 521, 9, 9));
        assert!(run.crashes.is_empty());
        assert_eq!(run.failure("decode"), None);
    }

    #[test]
    fn a_crash_is_named_with_how_to_replay_it() {
        let mut run = read(
            "#9\tNEW    cov: 5 ft: 7 corp: 2/1b lim: 4 exec/s: 0 rss: 30Mb\nthread '<unnamed>' panicked\n\
             artifact_prefix='/x/fuzz/artifacts/plan/'; Test unit written to /x/fuzz/artifacts/plan/crash-ab\n",
        );
        run.failed = true;
        let failure = run.failure("plan").unwrap();
        assert_eq!(
            failure,
            "plan fails on /x/fuzz/artifacts/plan/crash-ab\n  \
             replay: cargo +nightly fuzz run --sanitizer none plan /x/fuzz/artifacts/plan/crash-ab"
        );
    }

    #[test]
    fn a_failure_without_an_input_is_a_failure() {
        let run = Run { failed: true, ..read("error: no such target\n") };
        assert!(run.failure("x").unwrap().contains("no such target"));
    }

    #[test]
    fn targets_are_chosen_by_name() {
        let all = ["a", "b"].map(String::from);
        assert_eq!(choose(&all, &[]).unwrap(), all);
        assert_eq!(choose(&all, &["b".into()]).unwrap(), ["b"]);
        assert!(choose(&all, &["c".into()]).unwrap_err().to_string().contains("a, b"));
    }
}
