//! Each invariant, broken by the change of a line: which tests fail.

use std::error::Error;
use std::fs;
use std::process::{ExitCode, Stdio};

use serde_json::{Value, json};

use super::tree::Tree;
use crate::evidence::{self, Done, Evidence};

/// The name of its evidence.
pub(crate) const NAME: &str = "broken";

/// The changes.
pub(crate) const LIST: &str = "xtask/broken.json";

/// Tests that take long and see nothing that others of these do not.
const SKIPPED: [&str; 3] = ["framing_exhaustive::", "conformance::every_stream", "conformance::every_longer"];

/// A change of one line that breaks an invariant: an entry of `xtask/broken.json`.
#[derive(Debug)]
pub(crate) struct Change {
    invariant: u64,
    pub(crate) file: String,
    /// What the change does, in words.
    pub(crate) what: String,
    /// A text that stands in the file once, and what stands there instead.
    from: String,
    to: String,
    /// If the change is of the length arithmetic: the claim of `cargo xtask prove` that it breaks, and for which layout.
    pub(crate) claim: Option<String>,
}

/// Makes each change in a copy of the sources, and sees which tests fail.
///
/// # Errors
/// If a change cannot be made because its line is gone, or if the tests fail without a change.
pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    let evidence = Evidence::begin("cargo xtask mutants --broken", &["src", "tests", LIST])?;
    let changes = changes(&fs::read_to_string(evidence::root().join(LIST))?)?;
    let tree = Tree::of_sources()?;
    // A change that cannot be made is told before anything is built.
    for change in &changes {
        change.made_in(&fs::read_to_string(tree.root.join(&change.file))?)?;
    }
    let none = failing(&tree)?;
    if !none.is_empty() {
        return Err(format!("without a change these tests fail: {}", none.join(", ")).into());
    }
    let (mut figures, mut unnoticed) = (Vec::new(), 0);
    for change in &changes {
        let path = tree.root.join(&change.file);
        let source = fs::read_to_string(&path)?;
        fs::write(&path, change.made_in(&source)?)?;
        let failing = failing(&tree);
        fs::write(&path, source)?;
        let fails = failing?;
        println!("invariant {}, {}: {}: {} tests fail", change.invariant, change.file, change.what, fails.len());
        unnoticed += usize::from(fails.is_empty());
        let Change { invariant, file, what, .. } = change;
        figures.push(json!({ "invariant": invariant, "file": file, "change": what, "fails": fails }));
    }
    evidence.save(NAME, json!({ "changes": figures }))?;
    println!("{unnoticed} of {} changes are not noticed", changes.len());
    Ok(if unnoticed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Change {
    /// A source with the change.
    pub(crate) fn made_in(&self, source: &str) -> Done<String> {
        match source.matches(&self.from).count() {
            1 => Ok(source.replacen(&self.from, &self.to, 1)),
            count => Err(format!("{}: {:?} stands there {count} times, not once", self.file, self.from).into()),
        }
    }
}

/// Reads a list of changes.
pub(crate) fn changes(text: &str) -> Done<Vec<Change>> {
    let entries: Vec<Value> = serde_json::from_str(text)?;
    let read = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().map(String::from).ok_or_else(|| format!("{entry} lacks {key}"));
        let invariant = entry["invariant"].as_u64().ok_or_else(|| format!("{entry} lacks invariant"))?;
        let claim = entry["claim"].as_str().map(String::from);
        Ok(Change {
            invariant,
            file: text("file")?,
            what: text("change")?,
            from: text("from")?,
            to: text("to")?,
            claim,
        })
    };
    entries.iter().map(read).collect()
}

/// The tests that fail: of the fast ones, or, if none of these does, of those that read the sources.
fn failing(tree: &Tree) -> Done<Vec<String>> {
    let mut failing = Vec::new();
    for tests in [&["--package", "fast-tests", "--lib"][..], &["--package", "unstick", "--test", "house"]] {
        if !failing.is_empty() {
            break;
        }
        let mut command = tree.cargo(&["test", "--no-fail-fast"]);
        command.args(tests).arg("--").args(SKIPPED.iter().flat_map(|test| ["--skip", test]));
        let output = command.env("PROPTEST_CASES", "64").stderr(Stdio::piped()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = failed(&text);
        if failed.is_empty() && !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo test failed, and named no test:\n{error}").into());
        }
        failing.extend(failed);
    }
    failing.sort();
    Ok(failing)
}

/// The names of the tests that failed, as the test harness printed them.
fn failed(output: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    lines.map(|name| name.trim_end_matches(" - should panic").to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_where_its_line_stands_once() {
        let text = r#"[{"invariant": 3, "file": "a.rs", "change": "x", "from": "a < b", "to": "a > b"}]"#;
        let changes = changes(text).unwrap();
        assert_eq!(changes[0].made_in("if a < b {").unwrap(), "if a > b {");
        assert!(changes[0].made_in("a < b; a < b").is_err());
        assert!(changes[0].made_in("").is_err());
        assert!(super::changes(r#"[{"invariant": 3}]"#).is_err());
    }

    #[test]
    fn failed_tests_are_named() {
        let output = "test a::b ... ok\ntest a::c ... FAILED\ntest d - should panic ... FAILED\ntest e ... ignored\n";
        assert_eq!(failed(output), ["a::c", "d"]);
    }

    /// Each change of the lists can be made in the sources as they are.
    #[test]
    fn every_change_of_the_lists_can_be_made() {
        for list in [LIST, "xtask/prove/changes.json"] {
            let text = fs::read_to_string(evidence::root().join(list)).unwrap();
            for change in changes(&text).unwrap() {
                let source = fs::read_to_string(evidence::root().join(&change.file)).unwrap();
                assert_ne!(change.made_in(&source).unwrap(), source, "{change:?}");
            }
        }
    }
}
