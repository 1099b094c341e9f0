//! PROOF.md, written from figures.

use std::fmt::Write;

use serde_json::Value;

use super::counts;
use super::ledger::{INVARIANTS, Invariant};
use crate::evidence::{self, Done};
use crate::text::count;
use crate::{coverage, fuzz, mutants, prove};

/// What the page is written from; what is missing is null.
#[derive(Debug)]
pub(crate) struct Figures {
    tests: Value,
    fuzz: Vec<Value>,
    coverage: Value,
    mutants: Value,
    broken: Value,
    proof: Value,
}

impl Figures {
    /// The figures that the commands left.
    pub(crate) fn load() -> Figures {
        Figures {
            tests: evidence::load(counts::FIGURES).unwrap_or_default(),
            fuzz: evidence::load_lines(fuzz::FIGURES),
            coverage: evidence::load(coverage::FIGURES).unwrap_or_default(),
            mutants: evidence::load(mutants::FIGURES).unwrap_or_default(),
            broken: evidence::load(mutants::BROKEN).unwrap_or_default(),
            proof: evidence::load(prove::FIGURES).unwrap_or_default(),
        }
    }

    /// Executions of some targets, and runs of theirs that failed.
    fn executions(&self, of: impl Fn(&str) -> bool) -> (u64, usize) {
        let runs = self.fuzz.iter().filter(|run| run["target"].as_str().is_some_and(&of));
        runs.fold((0, 0), |(executions, failed), run| {
            let is_failed = run["failed"].as_bool().unwrap_or(true);
            (executions + run["executions"].as_u64().unwrap_or(0), failed + usize::from(is_failed))
        })
    }
}

/// The page, and what it lacks.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    /// Invariants whose evidence is all there.
    pub(crate) complete: usize,
    pub(crate) missing: Vec<String>,
}

/// Writes the page.
pub(crate) fn write(figures: &Figures) -> Done<Page> {
    let mut text = String::new();
    writeln!(text, "# Proof\n")?;
    writeln!(
        text,
        "Written by `cargo xtask verify` on {} at {}. No number on this page is typed by hand: each comes",
        evidence::today(),
        evidence::commit()
    )?;
    writeln!(text, "from the command that stands beside it. What no command has shown is marked **missing**.\n")?;
    commands(&mut text, figures)?;
    let missing = invariants(&mut text, figures)?;
    broken(&mut text, figures)?;
    proof(&mut text, figures)?;
    test_files(&mut text, figures)?;
    fuzz_targets(&mut text, figures)?;
    covered_files(&mut text, figures)?;
    mutated_files(&mut text, figures)?;
    let complete = INVARIANTS.len() - missing.len();
    Ok(Page { text, complete, missing })
}

fn commands(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "| command | shows | date | commit |\n|---|---|---|---|")?;
    let mut row = |command: &str, figures: &Value, shows: String| {
        let of = |key: &str| figures[key].as_str().unwrap_or("").to_string();
        let shows = if figures.is_null() { "**missing**".to_string() } else { shows };
        writeln!(text, "| `{command}` | {shows} | {} | {} |", of("date"), of("commit"))
    };
    row("cargo test", &figures.tests, tests_in_all(&figures.tests))?;
    let (executions, failed) = figures.executions(|_| true);
    let last = figures.fuzz.last().cloned().unwrap_or_default();
    let fuzzed = format!("{} executions in {} runs, {failed} of them failed", count(executions), figures.fuzz.len());
    row("cargo xtask fuzz", &last, fuzzed)?;
    let share = |name: &str| shares(&figures.coverage["files"][name]);
    let covered = format!("src/framing: {}; the rest of src: {}", share("src/framing"), share("the rest of src"));
    row("cargo xtask coverage", &figures.coverage, covered)?;
    row("cargo xtask mutants", &figures.mutants, mutants_in_all(&figures.mutants))?;
    row("cargo xtask mutants --broken", &figures.broken, broken_in_all(&figures.broken))?;
    row("cargo xtask prove", &figures.proof, proof_in_all(&figures.proof))?;
    Ok(writeln!(text)?)
}

fn tests_in_all(tests: &Value) -> String {
    let (mut passed, mut failed, mut cases) = (0, 0, 0);
    for outcome in tests["files"].as_object().into_iter().flatten().flat_map(|(_, tests)| tests.as_object()).flatten() {
        let is_passed = outcome.1["passed"].as_bool().unwrap_or(false);
        passed += u64::from(is_passed);
        failed += u64::from(!is_passed);
        cases += outcome.1["cases"].as_u64().unwrap_or(0);
    }
    let quick = if tests["quick"].as_bool().unwrap_or(false) { " (**only the quick ones**)" } else { "" };
    let each = count(tests["proptest_cases"].as_u64().unwrap_or(0));
    format!("{passed} tests pass, {failed} fail{quick}; {} counted cases, and {each} of each property", count(cases))
}

fn mutants_in_all(mutants: &Value) -> String {
    let len = |key: &str| mutants[key].as_array().map_or(0, Vec::len) as u64;
    let (caught, timed_out) = (mutants["caught"].as_u64().unwrap_or(0), len("timed_out"));
    let (equivalent, survivors) = (len("equivalent"), len("survivors"));
    format!(
        "{} tried: {} noticed by a test that fails, {} by tests that do not end, {} equivalent, {} survive",
        count(caught + timed_out + equivalent + survivors),
        count(caught),
        count(timed_out),
        count(equivalent),
        count(survivors)
    )
}

fn broken_in_all(broken: &Value) -> String {
    let changes: Vec<&Value> = broken["changes"].as_array().into_iter().flatten().collect();
    let noticed = changes.iter().filter(|entry| entry["fails"].as_array().is_some_and(|fails| !fails.is_empty()));
    format!("{} changes of a line that break an invariant, {} of them noticed", changes.len(), noticed.count())
}

fn proof_in_all(proof: &Value) -> String {
    let entries = |key: &str| proof[key].as_array().cloned().unwrap_or_default();
    let (claims, changes) = (entries("claims"), entries("changes"));
    let held = claims.iter().filter(|claim| claim["verdict"] == "held").count();
    let refuted = changes.iter().filter(|change| change["refuted"] == true).count();
    format!(
        "{held} of {} claims hold for all inputs, in {} s; {refuted} of {} changes of the arithmetic are refuted",
        claims.len(),
        count(proof["seconds"].as_u64().unwrap_or(0)),
        changes.len()
    )
}

fn shares(file: &Value) -> String {
    if file.is_null() {
        return "**missing**".into();
    }
    let percent = |what: &str| file[what]["percent"].as_f64().unwrap_or(0.0);
    format!("{:.2} % of lines, {:.2} % of regions", percent("lines"), percent("regions"))
}

/// The table of invariants; what each of those lacks that lack something.
fn invariants(text: &mut String, figures: &Figures) -> Done<Vec<String>> {
    writeln!(text, "## Invariants\n\n| | what holds | checks | engines | figures |\n|---|---|---|---|---|")?;
    let mut missing = Vec::new();
    for invariant in &INVARIANTS {
        let found = found(invariant, figures);
        let Invariant { number, promise, checks, .. } = invariant;
        writeln!(text, "| {number} | {promise} | {checks} | {} | {} |", engines(invariant), found.0)?;
        if !found.1.is_empty() {
            missing.push(format!("invariant {number} lacks {}", found.1.join(", ")));
        }
    }
    writeln!(text)?;
    Ok(missing)
}

fn engines(invariant: &Invariant) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (file, _) in invariant.tests {
        if !names.contains(file) {
            names.push(file);
        }
    }
    let targets = invariant.targets.iter().map(|target| format!("fuzz `{target}`"));
    names.iter().map(|name| format!("`{name}`")).chain(targets).collect::<Vec<_>>().join(", ")
}

/// The figures of an invariant, and what is missing.
fn found(invariant: &Invariant, figures: &Figures) -> (String, Vec<String>) {
    let mut missing = Vec::new();
    let (mut passed, mut cases) = (0, 0);
    for (file, test) in invariant.tests {
        let tests = figures.tests["files"][*file].as_object().into_iter().flatten();
        let wanted: Vec<&Value> = tests.filter(|(name, _)| is_named(name, test)).map(|(_, outcome)| outcome).collect();
        let good = wanted.iter().filter(|outcome| outcome["passed"].as_bool().unwrap_or(false)).count();
        if wanted.is_empty() || good < wanted.len() {
            missing.push(format!("{file} {test}"));
        }
        passed += good;
        cases += wanted.iter().map(|outcome| outcome["cases"].as_u64().unwrap_or(0)).sum::<u64>();
    }
    let mut parts = vec![format!("{passed} tests")];
    if cases > 0 {
        parts.push(format!("{} counted cases", count(cases)));
    }
    for target in invariant.targets {
        let (executions, failed) = figures.executions(|name| name == *target);
        if executions == 0 || failed > 0 {
            missing.push(format!("fuzz {target}"));
        }
    }
    if !invariant.targets.is_empty() {
        let (executions, _) = figures.executions(|name| invariant.targets.contains(&name));
        parts.push(format!("{} executions", count(executions)));
    }
    if !invariant.files.is_empty() {
        parts.push(noticed(invariant.files, &figures.mutants, &mut missing));
    }
    parts.extend(missing.iter().map(|what| format!("**missing: {what}**")));
    (parts.join("; "), missing)
}

/// Whether a test has this name, in whatever module; `*` is any name.
fn is_named(path: &str, name: &str) -> bool {
    name == "*" || path == name || path.strip_suffix(name).is_some_and(|module| module.ends_with("::"))
}

/// How many mutants of some files are noticed.
fn noticed(files: &[&str], mutants: &Value, missing: &mut Vec<String>) -> String {
    let (mut noticed, mut missed) = (0, 0);
    for file in files {
        let outcomes = &mutants["by_file"][*file];
        if outcomes.is_null() {
            missing.push(format!("mutants of {file}"));
        }
        noticed += outcomes["noticed"].as_u64().unwrap_or(0) + outcomes["timed_out"].as_u64().unwrap_or(0);
        missed += outcomes["missed"].as_u64().unwrap_or(0);
    }
    format!("{noticed} of {} mutants noticed", noticed + missed)
}

/// What was seen to fail when an invariant was broken.
fn broken(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "## Broken: `cargo xtask mutants --broken`\n")?;
    writeln!(
        text,
        "Each invariant was broken by the change of a line in a copy of the sources, and these tests failed.\n"
    )?;
    writeln!(text, "| | the change | what fails |\n|---|---|---|")?;
    for invariant in &INVARIANTS {
        let all = figures.broken["changes"].as_array().into_iter().flatten();
        let of = all.filter(|entry| entry["invariant"].as_u64() == Some(invariant.number as u64));
        let mut rows = 0;
        for entry in of {
            let field = |key: &str| entry[key].as_str().unwrap_or_default().replace('|', "\\|");
            let fails: Vec<&str> = entry["fails"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            writeln!(
                text,
                "| {} | {}: {} | `{}` |",
                invariant.number,
                field("file"),
                field("change"),
                fails.join("`, `")
            )?;
            rows += 1;
        }
        if rows == 0 {
            writeln!(text, "| {} | **missing** | |", invariant.number)?;
        }
    }
    Ok(writeln!(text)?)
}

/// What was proved, and on what it rests.
fn proof(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "## Proved for all inputs: `cargo xtask prove`\n")?;
    writeln!(
        text,
        "The machine code that this compiler emitted for the length arithmetic, on x86-64, run by a symbolic executor\n\
         (angr) with unknown adjustment, limit, trailer, length and bytes, and compared with a specification by a solver\n\
         (z3). It rests on these two, and on the library that is run. It does not prove that the fast path takes a frame\n\
         rather than leave it to `parse`, nor anything about the buffer and streams beyond the last claim.\n\
         `xtask/prove/README.md` says more, and `xtask/prove/specification.py` is the specification.\n"
    )?;
    writeln!(text, "| | the claim | runs | paths | seconds of a core | verdict |\n|---|---|---|---|---|---|")?;
    for claim in figures.proof["claims"].as_array().into_iter().flatten() {
        let field = |key: &str| claim[key].as_str().unwrap_or_default();
        let number = |key: &str| count(claim[key].as_f64().unwrap_or(0.0).round() as u64);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            field("claim"),
            field("text"),
            number("layouts"),
            number("paths"),
            number("seconds"),
            field("verdict")
        )?;
    }
    writeln!(text)?;
    for change in figures.proof["changes"].as_array().into_iter().flatten() {
        let field = |key: &str| change[key].as_str().unwrap_or_default();
        let verdict = if change["refuted"] == true { "refuted" } else { "**not refuted**" };
        writeln!(text, "- {verdict}, by claim {}: {}: {}", field("claim"), field("file"), field("change"))?;
    }
    Ok(writeln!(text)?)
}

fn test_files(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "## Tests: `cargo test`\n\n| file | pass | fail | counted cases |\n|---|---|---|---|")?;
    for (file, tests) in figures.tests["files"].as_object().into_iter().flatten() {
        let tests: Vec<&Value> = tests.as_object().into_iter().flatten().map(|(_, outcome)| outcome).collect();
        let passed = tests.iter().filter(|outcome| outcome["passed"].as_bool().unwrap_or(false)).count();
        let cases: u64 = tests.iter().map(|outcome| outcome["cases"].as_u64().unwrap_or(0)).sum();
        let cases = if cases > 0 { count(cases) } else { String::new() };
        writeln!(text, "| {file} | {passed} | {} | {cases} |", tests.len() - passed)?;
    }
    Ok(writeln!(text)?)
}

fn fuzz_targets(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(
        text,
        "## Fuzzing: `cargo xtask fuzz`\n\n| target | executions | edges covered | runs that failed | last run |\n|---|---|---|---|---|"
    )?;
    for target in fuzz::all_targets().unwrap_or_default() {
        let (executions, failed) = figures.executions(|name| name == target);
        let last = figures.fuzz.iter().rev().find(|run| run["target"] == target.as_str());
        match last {
            None => writeln!(text, "| `{target}` | **missing** | | | |")?,
            Some(last) => {
                let edges = count(last["edges_covered"].as_u64().unwrap_or(0));
                let of = |key: &str| last[key].as_str().unwrap_or_default();
                let executions = count(executions);
                writeln!(
                    text,
                    "| `{target}` | {executions} | {edges} | {failed} | {} at {} |",
                    of("date"),
                    of("commit")
                )?;
            }
        }
    }
    Ok(writeln!(text)?)
}

fn covered_files(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "## Coverage: `cargo xtask coverage`\n")?;
    if figures.coverage.is_null() {
        return Ok(writeln!(text, "**missing**\n")?);
    }
    writeln!(text, "| file | lines | | regions | |\n|---|---|---|---|---|")?;
    for (file, shares) in figures.coverage["files"].as_object().into_iter().flatten() {
        let cell = |what: &str| {
            let share = &shares[what];
            let number = |key: &str| share[key].as_u64().unwrap_or(0);
            format!("{}/{} | {:.2} %", number("reached"), number("all"), share["percent"].as_f64().unwrap_or(0.0))
        };
        writeln!(text, "| {file} | {} | {} |", cell("lines"), cell("regions"))?;
    }
    let len = |key: &str| figures.coverage[key].as_array().map_or(0, Vec::len);
    let (explained, unexplained) = (len("explained"), len("unexplained"));
    writeln!(
        text,
        "\n{explained} uncovered lines have a reason in `xtask/reasons/coverage.json`, {unexplained} have none.\n"
    )?;
    Ok(())
}

fn mutated_files(text: &mut String, figures: &Figures) -> Done<()> {
    writeln!(text, "## Mutants: `cargo xtask mutants`\n")?;
    if figures.mutants.is_null() {
        return Ok(writeln!(text, "**missing**\n")?);
    }
    writeln!(text, "| file | noticed | tests that do not end | not noticed |\n|---|---|---|---|")?;
    for (file, outcomes) in figures.mutants["by_file"].as_object().into_iter().flatten() {
        let number = |key: &str| outcomes[key].as_u64().unwrap_or(0);
        writeln!(text, "| {file} | {} | {} | {} |", number("noticed"), number("timed_out"), number("missed"))?;
    }
    writeln!(text)?;
    for name in figures.mutants["untried"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(text, "- **missing**: the mutants of `{name}`")?;
    }
    for name in figures.mutants["survivors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(text, "- **survives**: `{name}`")?;
    }
    for entry in figures.mutants["equivalent"].as_array().into_iter().flatten() {
        let of = |key: &str| entry[key].as_str().unwrap_or_default();
        writeln!(text, "- equivalent: `{}`: {}", of("mutant"), of("reason"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nothing() -> Figures {
        Figures {
            tests: Value::Null,
            fuzz: Vec::new(),
            coverage: Value::Null,
            mutants: Value::Null,
            broken: Value::Null,
            proof: Value::Null,
        }
    }

    #[test]
    fn what_was_not_shown_is_missing() {
        let page = write(&nothing()).unwrap();
        assert_eq!(page.complete, 0);
        assert_eq!(page.missing.len(), INVARIANTS.len());
        assert!(page.text.contains("| `cargo test` | **missing** |"));
        assert!(page.text.contains("**missing: tests/framing_properties.rs round_trip**"));
    }

    #[test]
    fn an_invariant_with_its_test_lacks_nothing() {
        let passed = |passed: bool| json!({ "files": { "tests/house.rs": { "unsafe_code_is_forbidden": { "passed": passed, "cases": 3 } } } });
        let last = INVARIANTS.last().unwrap();
        let good = Figures { tests: passed(true), ..nothing() };
        assert_eq!(found(last, &good), ("1 tests; 3 counted cases".into(), vec![]));
        let bad = Figures { tests: passed(false), ..nothing() };
        assert_eq!(found(last, &bad).1, ["tests/house.rs unsafe_code_is_forbidden"]);
    }

    #[test]
    fn executions_are_summed_and_failures_are_told() {
        let run = |target: &str, executions: u64, failed: bool| json!({ "target": target, "executions": executions, "failed": failed });
        let fuzz = vec![run("decode", 5, false), run("plan", 7, true), run("decode", 11, false)];
        let figures = Figures { fuzz, ..nothing() };
        assert_eq!(figures.executions(|name| name == "decode"), (16, 0));
        assert_eq!(figures.executions(|_| true), (23, 1));
    }
}
