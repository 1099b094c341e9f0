//! `cargo test`, run and counted.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::process::Command;

use serde_json::{Value, json};

use crate::evidence::{self, Done};

/// The figures of the last run.
pub(crate) const FIGURES: &str = "tests.json";

/// Cases of each property that proptest runs.
const PROPTEST_CASES: u64 = 256;

/// Runs `cargo test`, all of it or only the library's own and the golden tests, shows it as it comes, and keeps what it
/// says. Whether all passed.
pub(crate) fn run(quick: bool) -> Done<bool> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new("cargo");
    command.current_dir(evidence::root()).args(["test", "--no-fail-fast"]);
    if quick {
        command.args(["--package", "unstick", "--lib", "--test", "golden"]);
    }
    command.args(["--", "--show-output"]).env("PROPTEST_CASES", PROPTEST_CASES.to_string());
    // Both of its outputs in one stream, so that each test is seen below the name of its file.
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the other end of the pipe until it is dropped.
    drop(command);
    let mut counts = Counts::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if counts.read(&line) {
            println!("{line}");
        }
    }
    let passed = child.wait()?.success();
    let mut figures = counts.json();
    figures["all_passed"] = json!(passed);
    figures["quick"] = json!(quick);
    figures["proptest_cases"] = json!(PROPTEST_CASES);
    evidence::save(FIGURES, figures)?;
    Ok(passed)
}

/// What a run of `cargo test` said: each file's tests, by name.
#[derive(Debug, Default)]
struct Counts {
    files: BTreeMap<String, BTreeMap<String, Outcome>>,
    file: String,
    /// The test whose output is being shown.
    shown: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: bool,
    /// What the test printed as `cases: N`: how many it tried.
    cases: u64,
}

impl Counts {
    /// Takes a line of what Cargo and the tests print; whether it is worth showing.
    fn read(&mut self, line: &str) -> bool {
        let trimmed = line.trim();
        if let Some(name) = file_name(trimmed) {
            self.file = name;
            self.shown = None;
            return true;
        }
        if let Some((name, outcome)) = trimmed.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            if !outcome.starts_with("ignored") {
                let passed = outcome == "ok";
                self.tests().insert(name.to_string(), Outcome { passed, cases: 0 });
                return !passed;
            }
        } else if let Some(name) = trimmed.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.shown = Some(name.to_string());
        } else if let (Some(shown), Some(cases)) = (self.shown.clone(), trimmed.strip_prefix("cases: ")) {
            let cases: u64 = cases.parse().unwrap_or(0);
            self.tests().entry(shown).or_default().cases += cases;
        }
        trimmed.starts_with("test result:") || trimmed.starts_with("error") || trimmed.contains("panicked at")
    }

    fn tests(&mut self) -> &mut BTreeMap<String, Outcome> {
        self.files.entry(self.file.clone()).or_default()
    }

    fn json(&self) -> Value {
        let mut files = json!({});
        for (file, tests) in &self.files {
            for (test, outcome) in tests {
                files[file][test] = json!({ "passed": outcome.passed, "cases": outcome.cases });
            }
        }
        json!({ "files": files })
    }
}

/// `tests/golden.rs` of `Running tests/golden.rs (target/debug/deps/golden-0123)`; `docs of unstick` of `Doc-tests unstick`.
fn file_name(line: &str) -> Option<String> {
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("docs of {package}"));
    }
    let (name, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let name = name.strip_prefix("unittests ").unwrap_or(name);
    // Several packages have a src/main.rs: the program's name says whose it is.
    let program = program.rsplit(['/', '\\']).next()?.split('-').next()?;
    let is_ambiguous = name == "src/main.rs" || name == "src/lib.rs" || name == "lib.rs";
    Some(if is_ambiguous { format!("{program}: {name}") } else { name.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
   Compiling unstick v0.1.0
     Running unittests src/lib.rs (target/debug/deps/unstick-fe67)

running 1 test
test framing::format::tests::whole ... ok

successes:

---- framing::format::tests::whole stdout ----
cases: 40
cases: 2

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.49s

     Running tests/golden.rs (target/debug/deps/golden-0123)
test u8 ... FAILED
test slow ... ignored
test other ... ignored, with a reason
   Doc-tests unstick
test src/lib.rs - (line 3) ... ok
";

    #[test]
    fn tests_are_counted_under_their_files() {
        let mut counts = Counts::default();
        for line in OUTPUT.lines() {
            counts.read(line);
        }
        assert_eq!(
            counts.json()["files"],
            json!({
                "unstick: src/lib.rs": { "framing::format::tests::whole": { "passed": true, "cases": 42 } },
                "tests/golden.rs": { "u8": { "passed": false, "cases": 0 } },
                "docs of unstick": { "src/lib.rs - (line 3)": { "passed": true, "cases": 0 } },
            })
        );
    }
}
