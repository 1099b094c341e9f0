//! `cargo xtask test`: all tests by cargo-nextest, and what its report says.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use cargo_metadata::MetadataCommand;
use roxmltree::{Document, Node};
use serde_json::{Value, json};

use crate::evidence::{self, Done, Evidence};

/// The name of its evidence.
pub(crate) const NAME: &str = "test";

/// Run all tests by cargo-nextest, and keep what they showed
///
/// Runs `cargo nextest run --profile ci`, and `cargo test --doc` for the examples of the docs, which nextest leaves out.
/// Exits with 0 only if all pass.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Options and filters for cargo nextest run; what a part of the tests shows is not kept
    #[arg(last = true)]
    options: Vec<String>,
}

/// Tests and reports.
///
/// # Errors
/// Where cargo-nextest is missing, or the tests do not build.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let cargo = || {
        let mut command = Command::new("cargo");
        command.current_dir(evidence::root());
        command
    };
    if !evidence::works(cargo().args(["nextest", "--version"])) {
        return Err("this needs cargo-nextest, which is missing: cargo install --locked cargo-nextest".into());
    }
    let about = ["Cargo.lock", "docs", "examples", "fuzz/corpus", "src", "tests", "xtask/src", "xtask/tests"];
    let evidence = Evidence::begin("cargo xtask test", &about)?;
    let report = MetadataCommand::new().no_deps().exec()?.target_directory.join("nextest/ci/junit.xml");
    // What an earlier run left is not read.
    let _ = fs::remove_file(&report);
    let passed = cargo().args(["nextest", "run", "--profile", "ci"]).args(&args.options).status()?.success();
    let mut figures = read(&fs::read_to_string(&report).map_err(|error| format!("{report}: {error}"))?)?;
    let docs_pass =
        !args.options.is_empty() || cargo().args(["test", "--doc", "--package", "unstick"]).status()?.success();
    if args.options.is_empty() {
        figures["docs_pass"] = json!(docs_pass);
        evidence.save(NAME, figures)?;
    }
    Ok(if passed && docs_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tests of a JUnit report by name, and how many cases those tried that say so.
fn read(report: &str) -> Done<Value> {
    let report = Document::parse(report)?;
    let (mut tests, mut cases) = (BTreeMap::new(), BTreeMap::new());
    for test in report.descendants().filter(|node| node.has_tag_name("testcase")) {
        let of = |name| test.attribute(name).unwrap_or_default();
        let name = format!("{}::{}", of("classname"), of("name"));
        let is_failed = test.children().any(|node| node.has_tag_name("failure") || node.has_tag_name("error"));
        let output =
            test.children().filter(|node| node.has_tag_name("system-out")).filter_map(|node: Node<'_, '_>| node.text());
        let printed = output.flat_map(str::lines).filter_map(|line| line.strip_prefix("cases: ")?.parse::<u64>().ok());
        match printed.sum() {
            0 => {}
            sum => drop(cases.insert(name.clone(), sum)),
        }
        tests.insert(name, if is_failed { "failed" } else { "passed" });
    }
    let seconds: f64 = report.root_element().attribute("time").and_then(|time| time.parse().ok()).unwrap_or(0.0);
    Ok(json!({ "seconds": seconds, "tests": tests, "cases": cases }))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = r#"<testsuites time="12.5"><testsuite name="unstick::golden">
            <testcase name="u8" classname="unstick::golden"><system-out>running 1 test
cases: 40
cases: 2
</system-out></testcase>
            <testcase name="u16" classname="unstick::golden"><failure type="test failure"/></testcase>
        </testsuite></testsuites>"#;
        let tests = json!({ "unstick::golden::u8": "passed", "unstick::golden::u16": "failed" });
        let cases = json!({ "unstick::golden::u8": 42 });
        assert_eq!(read(report).unwrap(), json!({ "seconds": 12.5, "tests": tests, "cases": cases }));
    }
}
