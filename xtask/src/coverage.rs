//! `cargo xtask coverage`: which code of `src` the tests reach, and the reasons for what they do not.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use crate::evidence::{self, Done, Reasons};

/// The figures of the last run.
pub(crate) const FIGURES: &str = "coverage.json";

/// What cargo-llvm-cov wrote.
const EXPORT: &str = "coverage-export.json";

/// Per cent of lines and of regions that all of src but src/framing has to reach.
const GOAL: f64 = 95.0;

/// Measure which lines and regions of src the tests reach
///
/// Runs `cargo test` under cargo-llvm-cov. All of src/framing must be covered, and 95 % of the rest of src; each line
/// that is not covered needs a reason in xtask/reasons/coverage.json. Generic code is covered if one of its instances
/// is. Exits with 0 only if all of this holds.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Args {
    /// Report the last run, without running anything
    #[arg(long)]
    report: bool,
}

/// Measures and reports.
///
/// # Errors
/// If a tool is missing or a test fails.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let export = evidence::path(EXPORT)?;
    if !args.report {
        measure(&export)?;
    }
    let text = fs::read_to_string(&export).map_err(|error| format!("{}: {error}", export.display()))?;
    let files = read_export(&serde_json::from_str(&text)?, &evidence::root())?;
    report(&files, &Reasons::read("coverage.json")?, args.report)
}

fn measure(export: &Path) -> Done<()> {
    if !evidence::works(Command::new("cargo").args(["llvm-cov", "--version"])) {
        return Err("this needs cargo-llvm-cov, which is missing: cargo install --locked cargo-llvm-cov".into());
    }
    let mut command = Command::new("cargo");
    command.current_dir(evidence::root()).args(["llvm-cov", "test", "--package", "unstick", "--json", "--output-path"]);
    command.arg(export);
    // Under instrumentation these take minutes, and they reach nothing that others do not.
    command.args(["--", "--skip", "every_cut_of_", "--skip", "is_cut_in_three", "--skip", "every_check_of_"]);
    for (name, tool) in llvm_tools()? {
        command.env(name, tool);
    }
    if command.status()?.success() { Ok(()) } else { Err("cargo llvm-cov failed: see above".into()) }
}

/// The tools of the compiler's LLVM: those that the environment names, rustup's, or the system's.
fn llvm_tools() -> Done<Vec<(&'static str, PathBuf)>> {
    const TOOLS: [(&str, &str); 2] = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];
    if TOOLS.iter().all(|(name, _)| env::var_os(name).is_some()) {
        return Ok(Vec::new());
    }
    let output = |args: &[&str]| -> Done<String> {
        Ok(String::from_utf8(Command::new("rustc").args(args).output()?.stdout)?.trim().to_string())
    };
    let version = output(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let of_rustup = PathBuf::from(output(&["--print", "sysroot"])?).join("lib/rustlib").join(host).join("bin");
    if TOOLS.iter().all(|(_, tool)| of_rustup.join(tool).is_file()) {
        return Ok(TOOLS.map(|(name, tool)| (name, of_rustup.join(tool))).to_vec());
    }
    let major = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next()).unwrap_or("22");
    let of_system = TOOLS.map(|(name, tool)| (name, PathBuf::from(format!("{tool}-{major}"))));
    if of_system.iter().all(|(_, tool)| evidence::works(Command::new(tool).arg("--version"))) {
        return Ok(of_system.to_vec());
    }
    let hint = format!("rustup component add llvm-tools, or apt-get install llvm-{major}");
    Err(format!("this needs llvm-cov and llvm-profdata of LLVM {major}, which are missing: {hint}").into())
}

/// What was reached in one file of src.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    /// Whether each line with code was reached.
    lines: BTreeMap<u64, bool>,
    /// Whether each region, from its start to its end, was reached.
    regions: BTreeMap<[u64; 4], bool>,
}

/// Reads llvm-cov's export: each function's regions, merged by their position in the source.
fn read_export(export: &Value, root: &Path) -> Done<BTreeMap<String, File>> {
    let functions = export["data"][0]["functions"].as_array().ok_or("an export of llvm-cov without functions")?;
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    for function in functions {
        let names = function["filenames"].as_array().ok_or("a function without files")?;
        for region in function["regions"].as_array().ok_or("a function without regions")? {
            let number = |index: usize| region[index].as_u64().unwrap_or(0);
            let [first, column, last, end, count, file_id, _, kind] = std::array::from_fn(number);
            let path = names.get(file_id as usize).and_then(Value::as_str).unwrap_or_default();
            let Ok(name) = Path::new(path).strip_prefix(root) else { continue };
            // Kind 0 is code; the others are gaps, expansions and branches.
            if kind == 0 && name.starts_with("src") {
                let file = files.entry(name.to_string_lossy().into_owned()).or_default();
                *file.regions.entry([first, column, last, end]).or_default() |= count > 0;
            }
        }
    }
    for file in files.values_mut() {
        file.lines = lines(&file.regions);
    }
    Ok(files)
}

/// A line is reached if a region that begins on it is, or, without one, the region that contains it.
fn lines(regions: &BTreeMap<[u64; 4], bool>) -> BTreeMap<u64, bool> {
    let mut lines: BTreeMap<u64, bool> = BTreeMap::new();
    for (&[first, ..], &reached) in regions {
        *lines.entry(first).or_default() |= reached;
    }
    // From the outermost in: the innermost region that spans a line without beginning on it decides.
    let mut through: BTreeMap<u64, bool> = BTreeMap::new();
    for (&[first, _, last, _], &reached) in regions {
        for line in first + 1..=last {
            through.insert(line, reached);
        }
    }
    for (line, reached) in through {
        lines.entry(line).or_insert(reached);
    }
    lines
}

/// How much of something was reached.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    reached: usize,
    all: usize,
}

impl Share {
    fn of<'a>(reached: impl Iterator<Item = &'a bool>) -> Share {
        let mut share = Share::default();
        for &reached in reached {
            share.reached += usize::from(reached);
            share.all += 1;
        }
        share
    }

    fn plus(self, other: Share) -> Share {
        Share { reached: self.reached + other.reached, all: self.all + other.all }
    }

    fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.reached as f64 / self.all as f64 }
    }

    fn json(self) -> Value {
        json!({ "reached": self.reached, "all": self.all, "percent": (self.percent() * 100.0).floor() / 100.0 })
    }
}

/// Prints the table, keeps the figures, and says whether the goals are met.
fn report(files: &BTreeMap<String, File>, reasons: &Reasons, again: bool) -> Result<ExitCode, Box<dyn Error>> {
    let mut table = json!({});
    let mut sums = [("src/framing", [Share::default(); 2]), ("the rest of src", [Share::default(); 2])];
    println!("{:<34} {:>18} {:>18}", "", "lines", "regions");
    for (name, file) in files {
        let shares = [Share::of(file.lines.values()), Share::of(file.regions.values())];
        print_row(name, shares);
        table[name] = json!({ "lines": shares[0].json(), "regions": shares[1].json() });
        let sum = &mut sums[usize::from(!name.starts_with("src/framing/"))].1;
        *sum = [sum[0].plus(shares[0]), sum[1].plus(shares[1])];
    }
    for (name, shares) in &sums {
        print_row(name, *shares);
        table[*name] = json!({ "lines": shares[0].json(), "regions": shares[1].json() });
    }
    let (explained, unexplained) = sort_uncovered(files, reasons)?;
    println!("{} uncovered lines have a written reason, {} have none", explained.len(), unexplained.len());
    for place in &unexplained {
        println!("  without a reason: {place}");
    }
    for entry in reasons.unused() {
        println!("  a reason that is not needed: {entry}");
    }
    let lacks = lacks(&sums, unexplained.len());
    let is_met = lacks.is_empty();
    let figures = json!({ "files": table, "explained": explained, "unexplained": unexplained, "goals_met": is_met });
    let save = if again { evidence::save_again } else { evidence::save };
    save(FIGURES, figures)?;
    match is_met {
        true => println!("met: all of src/framing, {GOAL} % of the rest of src, and a reason for each uncovered line"),
        false => println!("not met: {}", lacks.join("; ")),
    }
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is missing from the goals: all of src/framing, nearly all of the rest, and a reason for what is left.
fn lacks(sums: &[(&str, [Share; 2]); 2], unexplained: usize) -> Vec<String> {
    let mut lacks = Vec::new();
    for ((name, shares), goal) in sums.iter().zip([100.0, GOAL]) {
        for (share, what) in shares.iter().zip(["lines", "regions"]) {
            if share.percent() < goal {
                let (reached, all) = (share.reached, share.all);
                lacks.push(format!("{name} has {reached} of {all} {what} covered, and {goal} % is the goal"));
            }
        }
    }
    if unexplained > 0 {
        lacks.push(format!("{unexplained} uncovered lines have no reason in xtask/reasons/coverage.json"));
    }
    lacks
}

fn print_row(name: &str, [lines, regions]: [Share; 2]) {
    let cell = |share: Share| format!("{}/{} {:6.2} %", share.reached, share.all, share.percent());
    println!("{name:<34} {:>18} {:>18}", cell(lines), cell(regions));
}

/// The lines that are not covered: those that have a reason, and those that have none.
fn sort_uncovered(files: &BTreeMap<String, File>, reasons: &Reasons) -> Done<(Vec<Value>, Vec<String>)> {
    let (mut explained, mut unexplained) = (Vec::new(), Vec::new());
    for (name, file) in files {
        let source = fs::read_to_string(evidence::root().join(name))?;
        let source: Vec<&str> = source.lines().collect();
        let uncovered = file.regions.iter().filter(|(_, reached)| !**reached).map(|(&[line, ..], _)| line);
        for line in uncovered.collect::<BTreeSet<u64>>() {
            let code = code_at(&source, line as usize);
            let place = format!("{name}:{line}");
            match reasons.find(name, &code, "") {
                Some(reason) => explained.push(json!({ "place": place, "code": code, "reason": reason })),
                None => unexplained.push(format!("{place}: {code}")),
            }
        }
    }
    Ok((explained, unexplained))
}

/// The code of a line, by which its reason is found. If the line has only brackets, as the end of an `if` that is
/// always taken, the lines before it are added, up to one with more than brackets.
fn code_at(source: &[&str], line: usize) -> String {
    let upwards = source[..line.min(source.len())].iter().rev().map(|line| line.trim());
    let mut lines = Vec::new();
    for line in upwards {
        lines.push(line);
        if line.contains(|character: char| character.is_alphanumeric()) {
            break;
        }
    }
    lines.reverse();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_is_named_by_what_stands_before_it() {
        let source = ["if x {", "    f();", "}", "", "g();"];
        assert_eq!(code_at(&source, 2), "f();");
        assert_eq!(code_at(&source, 3), "f(); }");
        assert_eq!(code_at(&source, 9), "g();");
    }

    #[test]
    fn what_is_missing_from_the_goals_is_told() {
        let share = |reached| Share { reached, all: 100 };
        let sums = [("src/framing", [share(100), share(99)]), ("the rest of src", [share(95), share(94)])];
        let told = lacks(&sums, 2).join("; ");
        for part in ["src/framing has 99 of 100 regions", "rest of src has 94 of 100 regions", "2 uncovered lines"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(lacks(&[("a", [share(100); 2]), ("b", [share(95); 2])], 0), [""; 0]);
    }

    fn export(regions: &[[u64; 8]]) -> BTreeMap<String, File> {
        let function = json!({ "filenames": ["/repo/src/a.rs", "/else/b.rs"], "regions": regions });
        read_export(&json!({ "data": [{ "functions": [function] }] }), Path::new("/repo")).unwrap()
    }

    #[test]
    fn instances_of_one_place_are_put_together() {
        let files = export(&[[1, 1, 3, 2, 0, 0, 0, 0], [1, 1, 3, 2, 4, 0, 0, 0], [5, 1, 5, 9, 0, 0, 0, 0]]);
        let file = &files["src/a.rs"];
        assert_eq!(file.regions, BTreeMap::from([([1, 1, 3, 2], true), ([5, 1, 5, 9], false)]));
        assert_eq!(file.lines, BTreeMap::from([(1, true), (2, true), (3, true), (5, false)]));
    }

    #[test]
    fn gaps_and_other_files_do_not_count() {
        assert!(export(&[[1, 1, 1, 2, 0, 0, 0, 3], [1, 1, 1, 2, 0, 1, 0, 0]]).is_empty());
    }

    #[test]
    fn an_inner_region_decides_about_its_lines() {
        let files = export(&[[1, 1, 6, 2, 1, 0, 0, 0], [2, 10, 4, 6, 0, 0, 0, 0]]);
        // The line on which the inner region begins is also the outer one's.
        let reached: Vec<bool> = files["src/a.rs"].lines.values().copied().collect();
        assert_eq!(reached, [true, false, false, false, true, true]);
    }
}
