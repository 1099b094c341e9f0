//! Each invariant and each check, broken by the change of a line: the test that is about it must fail.

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

/// A change of one line that breaks an invariant, or what a check is about: an entry of `xtask/broken.json`.
#[derive(Debug)]
pub(crate) struct Change {
    invariant: Option<u64>,
    pub(crate) file: String,
    /// What the change does, in words.
    pub(crate) what: String,
    /// A text that stands in the file once, and what stands there instead.
    from: String,
    to: String,
    /// The test that must fail, as `house::unsafe_code_is_forbidden`: without the file, one of `tests/fast`.
    test: Option<String>,
    /// If the change is of the length arithmetic: the claim of `cargo xtask prove` that it breaks, and for which layout.
    pub(crate) claim: Option<String>,
}

/// Makes each change in a copy of the sources, and sees whether its own test fails, and which others of that binary.
///
/// # Errors
/// If a change cannot be made because its line is gone, if it names no test, or if the tests fail without a change.
pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    let evidence = Evidence::begin("cargo xtask mutants --broken", &["src", "tests", LIST])?;
    let changes = changes(&fs::read_to_string(evidence::root().join(LIST))?)?;
    let tree = Tree::of_sources()?;
    // A change that cannot be made is told before anything is built.
    for change in &changes {
        change.made_in(&fs::read_to_string(tree.root.join(&change.file))?)?;
    }
    for binary in Binary::ALL {
        let none = binary.failing(&tree)?;
        if !none.is_empty() {
            return Err(format!("without a change these tests fail: {}", none.join(", ")).into());
        }
    }
    let (mut figures, mut unnoticed) = (Vec::new(), 0);
    for change in &changes {
        let path = tree.root.join(&change.file);
        let source = fs::read_to_string(&path)?;
        let test = change.test.as_deref().ok_or_else(|| format!("{change:?} names no test"))?;
        fs::write(&path, change.made_in(&source)?)?;
        let failing = Binary::of(test).failing(&tree);
        fs::write(&path, source)?;
        let fails = failing?;
        let is_noticed = fails.iter().any(|name| name == test);
        let verdict = if is_noticed { "noticed" } else { "NOT noticed" };
        println!("{}: {}: {verdict} by {test}; {} tests fail", change.file, change.what, fails.len());
        unnoticed += usize::from(!is_noticed);
        let Change { invariant, file, what, .. } = change;
        figures.push(json!({
            "invariant": invariant,
            "file": file,
            "change": what,
            "test": test,
            "noticed": is_noticed,
            "fails": fails,
        }));
    }
    evidence.save(NAME, json!({ "changes": figures }))?;
    println!("{unnoticed} of {} changes are not noticed by their own test", changes.len());
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
        let optional = |key: &str| entry[key].as_str().map(String::from);
        Ok(Change {
            invariant: entry["invariant"].as_u64(),
            file: text("file")?,
            what: text("change")?,
            from: text("from")?,
            to: text("to")?,
            test: optional("test"),
            claim: optional("claim"),
        })
    };
    entries.iter().map(read).collect()
}

/// A binary of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    /// Those of `tests/fast`.
    Fast,
    /// The tests that read the sources.
    House,
    /// The corpora of the fuzz targets.
    FuzzCorpus,
}

impl Binary {
    const ALL: [Binary; 3] = [Binary::Fast, Binary::House, Binary::FuzzCorpus];

    /// The one that a test is in.
    fn of(test: &str) -> Binary {
        let is_in = |binary: &Binary| test.starts_with(binary.prefix());
        [Binary::House, Binary::FuzzCorpus].into_iter().find(is_in).unwrap_or(Binary::Fast)
    }

    /// What the names of its tests begin with here.
    fn prefix(self) -> &'static str {
        match self {
            Binary::Fast => "",
            Binary::House => "house::",
            Binary::FuzzCorpus => "fuzz_corpus::",
        }
    }

    /// Its tests that fail.
    fn failing(self, tree: &Tree) -> Done<Vec<String>> {
        let mut command = tree.cargo(&["test", "--no-fail-fast"]);
        match self {
            Binary::Fast => command.args(["--package", "fast-tests", "--lib"]),
            Binary::House => command.args(["--package", "unstick", "--test", "house"]),
            Binary::FuzzCorpus => command.args(["--package", "unstick", "--test", "fuzz_corpus"]),
        };
        command.arg("--").args(SKIPPED.iter().flat_map(|test| ["--skip", test]));
        let output = command.stderr(Stdio::piped()).output()?;
        let failed = failed(&String::from_utf8_lossy(&output.stdout));
        if failed.is_empty() && !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo test failed, and named no test:\n{error}").into());
        }
        let mut failing: Vec<String> = failed.iter().map(|name| format!("{}{name}", self.prefix())).collect();
        failing.sort();
        Ok(failing)
    }
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
    fn a_test_is_in_one_binary() {
        let binaries = ["house::a", "fuzz_corpus::trace", "framing_properties::b"].map(Binary::of);
        assert_eq!(binaries, [Binary::House, Binary::FuzzCorpus, Binary::Fast]);
    }

    #[test]
    fn each_change_that_breaks_an_invariant_or_a_check_names_its_test() {
        let changes = changes(&fs::read_to_string(evidence::root().join(LIST)).unwrap()).unwrap();
        assert!(changes.iter().all(|change| change.test.is_some()), "{changes:?}");
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
