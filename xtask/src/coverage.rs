//! `cargo xtask coverage`: how much of `src` the tests reach.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use crate::evidence::{self, Done, Evidence};

/// The name of its evidence.
pub(crate) const NAME: &str = "coverage";

/// The parts of src, and how many per cent of their lines and regions must be reached. No line is left out: what cannot be
/// reached counts as not reached.
const FLOORS: [(&str, f64); 2] = [("src/framing", 98.0), ("the rest of src", 92.0)];

/// Measure which lines and regions of src the tests reach
///
/// Runs `cargo test` under cargo-llvm-cov. Of each part of src so many per cent of lines and regions must be reached as
/// xtask/src/coverage.rs says; a generic function counts once, as its instance that was reached most. `cargo llvm-cov
/// report --show-missing-lines` then lists what was not reached. Exits with 0 only if the tests pass and all is reached
/// that must be.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {}

/// Measures and reports.
///
/// # Errors
/// If a tool is missing or a test fails.
pub(crate) fn run(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let evidence = Evidence::begin("cargo xtask coverage", &["Cargo.lock", "examples", "fuzz/corpus", "src", "tests"])?;
    let export = evidence::root().join("target/coverage.json");
    measure(&export)?;
    let files = read(&serde_json::from_str(&fs::read_to_string(&export)?)?)?;
    let (mut parts, mut is_met) = (json!({}), true);
    for (part, floor) in FLOORS {
        let is_framing = |name: &String| name.starts_with("src/framing/") == (part == "src/framing");
        let mut sum = [Share::default(); 2];
        for (name, shares) in files.iter().filter(|(name, _)| is_framing(name)) {
            println!("{name:<44} {}", row(*shares));
            sum = [sum[0].plus(shares[0]), sum[1].plus(shares[1])];
        }
        println!("{part:<44} {}\n", row(sum));
        parts[part] = json!({ "lines": sum[0].json(), "regions": sum[1].json(), "floor": floor });
        is_met &= sum.iter().all(|share| share.percent() >= floor);
    }
    let files: Value =
        files.iter().map(|(name, [lines, regions])| (name.clone(), json!([lines.json(), regions.json()]))).collect();
    evidence.save(NAME, json!({ "parts": parts, "files": files, "met": is_met }))?;
    println!("{}: the floors are {FLOORS:?}", if is_met { "met" } else { "not met" });
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(export: &Path) -> Done<()> {
    if !evidence::works(Command::new("cargo").args(["llvm-cov", "--version"])) {
        return Err("this needs cargo-llvm-cov, which is missing: cargo install --locked cargo-llvm-cov".into());
    }
    let mut command = Command::new("cargo");
    command.current_dir(evidence::root()).args([
        "llvm-cov",
        "test",
        "--package",
        "unstick",
        "--json",
        "--summary-only",
    ]);
    command.arg("--output-path").arg(export);
    // Under instrumentation these take minutes, and they reach nothing that others do not.
    command.args(["--", "--skip", "every_cut_of_", "--skip", "is_cut_in_three", "--skip", "every_check_of_"]);
    // Where these limit files and descriptors, the program cannot write its profile, and says so.
    command.args(["--skip", "where_its_output_ends_", "--skip", "descriptors_that_cannot_be_had_"]);
    command.envs(llvm_tools()?);
    if command.status()?.success() { Ok(()) } else { Err("cargo llvm-cov failed: see above".into()) }
}

/// The tools of the compiler's LLVM, if they are not those that cargo-llvm-cov finds: the system's.
fn llvm_tools() -> Done<Vec<(&'static str, String)>> {
    let output =
        |args: &[&str]| -> Done<String> { Ok(String::from_utf8(Command::new("rustc").args(args).output()?.stdout)?) };
    let libraries = PathBuf::from(output(&["--print", "target-libdir"])?.trim());
    if env::var_os("LLVM_COV").is_some() || libraries.with_file_name("bin").join("llvm-cov").is_file() {
        return Ok(Vec::new());
    }
    let version = output(&["-vV"])?;
    let major = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next()).unwrap_or("22");
    let tools = [("LLVM_COV", format!("llvm-cov-{major}")), ("LLVM_PROFDATA", format!("llvm-profdata-{major}"))];
    if tools.iter().all(|(_, tool)| evidence::works(Command::new(tool).arg("--version"))) {
        return Ok(tools.to_vec());
    }
    let hint = format!("rustup component add llvm-tools, or apt-get install llvm-{major}");
    Err(format!("this needs llvm-cov and llvm-profdata of LLVM {major}, which are missing: {hint}").into())
}

/// Lines and regions of each file of src, of a summary of llvm-cov.
fn read(export: &Value) -> Done<Vec<(String, [Share; 2])>> {
    let mut files = Vec::new();
    for file in export["data"][0]["files"].as_array().ok_or("a summary of llvm-cov without files")? {
        let path = Path::new(file["filename"].as_str().unwrap_or_default());
        let Ok(name) = path.strip_prefix(evidence::root()) else { continue };
        if name.starts_with("src") {
            let share = |what: &str| {
                let number = |key: &str| file["summary"][what][key].as_u64().unwrap_or(0);
                Share { reached: number("covered"), all: number("count") }
            };
            files.push((name.to_string_lossy().into_owned(), [share("lines"), share("regions")]));
        }
    }
    if files.is_empty() { Err("no file of src was measured".into()) } else { Ok(files) }
}

/// How much of something was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    reached: u64,
    all: u64,
}

impl Share {
    fn plus(self, other: Share) -> Share {
        Share { reached: self.reached + other.reached, all: self.all + other.all }
    }

    fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.reached as f64 / self.all as f64 }
    }

    /// The per cent are rounded down: 100 is all.
    fn json(self) -> Value {
        json!({ "reached": self.reached, "all": self.all, "percent": (self.percent() * 100.0).floor() / 100.0 })
    }
}

fn row(shares: [Share; 2]) -> String {
    shares.map(|share| format!("{:>6}/{:<6} {:6.2} %", share.reached, share.all, share.percent())).join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_src_are_read() {
        let file = |path: &Path| {
            let counts = |count, covered| json!({ "count": count, "covered": covered });
            json!({ "filename": path, "summary": { "lines": counts(10, 9), "regions": counts(3, 3) } })
        };
        let root = evidence::root();
        let export = |names: &[&str]| json!({ "data": [{ "files": names.iter().map(|name| file(&root.join(name))).collect::<Vec<_>>() }] });
        let shares = [Share { reached: 9, all: 10 }, Share { reached: 3, all: 3 }];
        assert_eq!(read(&export(&["src/a.rs", "tests/b.rs"])).unwrap(), [("src/a.rs".to_string(), shares)]);
        assert!(read(&export(&["tests/b.rs"])).is_err(), "what measured nothing measured too little");
    }
}
