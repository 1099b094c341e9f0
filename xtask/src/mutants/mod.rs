//! `cargo xtask mutants`: cargo-mutants over what frames, serves and checks; and each invariant and check broken by a
//! change of a line.

mod broken;
mod tree;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use self::broken::{Change, NAME as BROKEN, changes};
pub(crate) use self::tree::Tree;
use crate::evidence::{self, Done, Evidence};

/// The name of its evidence.
pub(crate) const NAME: &str = "mutants";

/// Change the code in small ways, and see whether the tests notice
///
/// Runs cargo-mutants as .cargo/mutants.toml says, in a copy of the sources: over every eighth mutant of the library,
/// without --full. What was tried until the end, or until it was interrupted, is kept in xtask/evidence/mutants.json.
/// Exits with 0 only if all were tried and none survives; what survives is tested, or excluded in .cargo/mutants.toml
/// with the reason why it changes nothing.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// All mutants, which takes a day
    #[arg(long)]
    full: bool,

    /// Which eighth, 0 to 7
    #[arg(long, value_name = "K", default_value = "0", conflicts_with = "full", value_parser = clap::value_parser!(u8).range(..8))]
    eighth: u8,

    /// End after so many minutes, whatever is left: mutants are tried in a random order
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,

    /// Instead, break each invariant and each check by changing a line, from xtask/broken.json: its own test must fail
    #[arg(long, conflicts_with_all = ["full", "eighth", "minutes"])]
    broken: bool,
}

/// Mutates and reports.
///
/// # Errors
/// Where cargo-mutants is missing or cannot run.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.broken {
        return broken::run();
    }
    if !evidence::works(Command::new("cargo").args(["mutants", "--version"])) {
        return Err("this needs cargo-mutants, which is missing: cargo install --locked cargo-mutants".into());
    }
    let about = [
        ".cargo/mutants.toml",
        "src/adapters",
        "src/client",
        "src/close.rs",
        "src/framing",
        "src/load",
        "src/server",
        "tests",
    ];
    let evidence = Evidence::begin("cargo xtask mutants", &about)?;
    let part = if args.full { "0/1".to_string() } else { format!("{}/8", args.eighth) };
    let tree = Tree::of_sources()?;
    let output = evidence::root().join("target/mutants");
    let mut command = tree.cargo(&["mutants", "--package", "unstick", "--in-place", "--shard", &part]);
    command.args(["--sharding", "round-robin", "--shuffle", "--output"]).arg(&output).args(["--build-timeout", "600"]);
    // Cuts that take half a minute.
    command.args(["--", "--", "--skip", "framing_exhaustive::", "--skip", "conformance::every_"]);
    let mut child = command.env("PROPTEST_CASES", "64").spawn()?;
    let limit = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    wait(&mut child, limit)?;
    let folder = output.join("mutants.out");
    let listed: Vec<Value> = serde_json::from_str(&fs::read_to_string(folder.join("mutants.json"))?)?;
    let found = Found::read(&folder);
    let figures = json!({ "part": part, "listed": listed.len(), "found": found.json() });
    evidence.save(NAME, figures)?;
    let is_met = found.tried() == listed.len() && found.0["missed"].is_empty();
    println!("{} of the {} mutants of part {part} were tried: {}", found.tried(), listed.len(), found.counts());
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the end, or ends it, so that the copy is left as it was.
fn wait(child: &mut Child, limit: Option<Duration>) -> Done<()> {
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if limit.is_some_and(|limit| begin.elapsed() >= limit) {
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
            child.wait()?;
            break;
        }
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// The mutants by what became of them, as the files of `mutants.out` list them.
struct Found(BTreeMap<&'static str, Vec<String>>);

impl Found {
    fn read(folder: &Path) -> Found {
        let lines = |name: &str| {
            let text = fs::read_to_string(folder.join(name).with_extension("txt")).unwrap_or_default();
            text.lines().map(String::from).collect()
        };
        Found(["caught", "missed", "timeout", "unviable"].map(|name| (name, lines(name))).into())
    }

    fn tried(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn counts(&self) -> String {
        self.0.iter().map(|(what, names)| format!("{} {what}", names.len())).collect::<Vec<_>>().join(", ")
    }

    /// How many there are of each, by the part of src, and the names of those that no test failed for.
    fn json(&self) -> Value {
        let mut by_part: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
        for (what, names) in &self.0 {
            for name in names {
                let file = name.split(':').next().unwrap_or_default();
                let part = file.split('/').take(2).collect::<Vec<_>>().join("/");
                *by_part.entry(part).or_default().entry(what).or_default() += 1;
            }
        }
        json!({ "by_part": by_part, "missed": self.0["missed"], "timeout": self.0["timeout"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_are_counted_by_part_and_named_if_no_test_fails() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("caught.txt"), "src/framing/a.rs:1:1: x\nsrc/close.rs:2:1: y\n").unwrap();
        fs::write(folder.path().join("timeout.txt"), "src/framing/b/c.rs:3:1: z\n").unwrap();
        let found = Found::read(folder.path());
        assert_eq!((found.tried(), found.counts()), (3, "2 caught, 0 missed, 1 timeout, 0 unviable".into()));
        assert_eq!(
            found.json(),
            json!({
                "by_part": { "src/close.rs": { "caught": 1 }, "src/framing": { "caught": 1, "timeout": 1 } },
                "missed": [],
                "timeout": ["src/framing/b/c.rs:3:1: z"],
            })
        );
    }
}
