//! `cargo xtask bench --instructions`: instructions a frame, by callgrind, which no noise of the machine moves.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::publish::{output, root};
use super::table::{Table, bytes};

/// The figures that are held, below the repository.
const FILE: &str = "benches/instructions.json";
const PAYLOADS: [usize; 2] = [0, 64];
/// Two runs of so many frames: their difference is without start and end.
const FRAMES: [usize; 2] = [10_000, 30_000];
/// How much more is let pass, over the figure held.
const TOLERANCE: f64 = 0.05;

/// Figures, and what they were counted with: with another compiler they are others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Counts {
    rustc: String,
    target: String,
    /// By `path/payload`.
    instructions_per_frame: BTreeMap<String, f64>,
}

/// Counts and compares with the figures held; with `bless`, holds the new ones.
///
/// # Errors
/// Where valgrind is missing, or the paths do not build or run.
pub(super) fn run(bless: bool) -> Result<ExitCode, Box<dyn Error>> {
    require_valgrind()?;
    let program = build()?;
    let counts = count(&program)?;
    let path = root().join(FILE);
    let held = match fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str::<Counts>(&text).map_err(|error| format!("{FILE}: {error}"))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound && bless => None,
        Err(error) => return Err(format!("{FILE}: {error}; --bless makes it").into()),
    };
    let slower = held.as_ref().map_or(Vec::new(), |held| slower(held, &counts));
    println!("{}", table(held.as_ref(), &counts));
    if bless {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&counts)?))?;
        println!("{FILE} holds these figures now");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(held) = held else { return Err("no figures are held".into()) };
    if (&held.rustc, &held.target) != (&counts.rustc, &counts.target) {
        println!(
            "not compared: held are figures of {} for {}, these are of {} for {}",
            held.rustc, held.target, counts.rustc, counts.target
        );
        return Ok(ExitCode::SUCCESS);
    }
    if slower.is_empty() {
        println!("every path takes at most {:.0} % more instructions than held", 100.0 * TOLERANCE);
        return Ok(ExitCode::SUCCESS);
    }
    for line in &slower {
        eprintln!("error: {line}");
    }
    eprintln!(
        "If that is what it costs, say why in the commit and hold the new figures: cargo xtask bench --instructions --bless"
    );
    Ok(ExitCode::FAILURE)
}

fn require_valgrind() -> Result<(), Box<dyn Error>> {
    let missing =
        "instructions are counted by valgrind, which is not installed: apt-get install valgrind, dnf install valgrind";
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    found.map(drop).map_err(|_| missing.into())
}

/// Builds the hot paths, and returns where they are.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["bench", "--package", "unstick", "--bench", "instructions", "--no-run", "--quiet"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let built = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(format!("building the hot paths: cargo ended with {}", built.status).into());
    }
    let account = String::from_utf8(built.stdout)?;
    let executable = account.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let of_paths = line["target"]["name"] == "instructions";
        line["executable"].as_str().filter(|_| of_paths).map(PathBuf::from)
    });
    executable.ok_or_else(|| "cargo built the hot paths, but does not say where they are".into())
}

fn count(program: &PathBuf) -> Result<Counts, Box<dyn Error>> {
    let list = Command::new(program).arg("--list").output()?;
    let mut instructions_per_frame = BTreeMap::new();
    for path in String::from_utf8(list.stdout)?.lines() {
        for payload_len in PAYLOADS {
            eprintln!("counting: {path}, {}", bytes(payload_len));
            let [few, many] = FRAMES.map(|frames| instructions(program, path, payload_len, frames));
            let a_frame = (many? - few?) as f64 / (FRAMES[1] - FRAMES[0]) as f64;
            instructions_per_frame.insert(format!("{path}/{payload_len}"), (a_frame * 10.0).round() / 10.0);
        }
    }
    let version = output("rustc", &["--version", "--verbose"])?;
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(String::from);
    let rustc = field("release: ").ok_or("rustc does not say its release")?;
    let target = field("host: ").ok_or("rustc does not say its host")?;
    Ok(Counts { rustc: format!("rustc {rustc}"), target, instructions_per_frame })
}

fn instructions(program: &PathBuf, path: &str, payload_len: usize, frames: usize) -> Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let run = valgrind.args([path, &payload_len.to_string(), &frames.to_string()]).output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    match collected(&said).filter(|_| run.status.success()) {
        Some(instructions) => Ok(instructions),
        None => Err(format!("{path} under valgrind: {}\n{said}", run.status).into()),
    }
}

/// The sum in `==PID== Collected : SUM`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

/// What takes too many, or is not held.
fn slower(held: &Counts, counts: &Counts) -> Vec<String> {
    let line = |(path, now): (&String, &f64)| match held.instructions_per_frame.get(path) {
        None => Some(format!("{path} takes {now} instructions a frame, and no figure is held for it")),
        Some(before) if *now > before * (1.0 + TOLERANCE) => {
            let more = 100.0 * (now / before - 1.0);
            Some(format!("{path} takes {now} instructions a frame, {more:.0} % more than the {before} held"))
        }
        Some(_) => None,
    };
    counts.instructions_per_frame.iter().filter_map(line).collect()
}

fn table(held: Option<&Counts>, counts: &Counts) -> Table {
    let line = |(path, now): (&String, &f64)| {
        let before = held.and_then(|held| held.instructions_per_frame.get(path));
        let change = before.map(|before| format!("{:+.1} %", 100.0 * (now / before - 1.0)));
        vec![
            path.clone(),
            format!("{now:.1}"),
            before.map_or(String::new(), |it| format!("{it:.1}")),
            change.unwrap_or_default(),
        ]
    };
    let rows = counts.instructions_per_frame.iter().map(line).collect();
    Table { header: vec!["path/payload", "instructions a frame", "held", "change"], text_columns: 1, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(paths: &[(&str, f64)]) -> Counts {
        let instructions_per_frame = paths.iter().map(|(path, count)| ((*path).into(), *count)).collect();
        Counts { rustc: "rustc 1".into(), target: "x".into(), instructions_per_frame }
    }

    #[test]
    fn more_than_the_tolerance_is_slower() {
        let held = counts(&[("a/0", 100.0), ("b/0", 100.0), ("gone/0", 1.0)]);
        assert!(slower(&held, &counts(&[("a/0", 105.0), ("b/0", 20.0)])).is_empty());
        let lines = slower(&held, &counts(&[("a/0", 105.1), ("new/0", 1.0)]));
        assert!(lines.len() == 2 && lines[0].contains("a/0") && lines[1].contains("no figure"), "{lines:?}");
    }

    #[test]
    fn the_sum_is_read_from_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("valgrind: no such program"), None);
    }

    #[test]
    fn the_figures_survive_the_file() -> Result<(), Box<dyn Error>> {
        let counts = counts(&[("a/64", 47.5)]);
        assert_eq!(serde_json::from_str::<Counts>(&serde_json::to_string(&counts)?)?, counts);
        Ok(())
    }
}
