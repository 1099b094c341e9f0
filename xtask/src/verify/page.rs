//! PROOF.md, from evidence.

use std::fmt::Write;

use serde_json::Value;

use super::invariants::{INVARIANTS, Invariant};
use crate::evidence::{Done, Evidence};
use crate::text::count;
use crate::{coverage, fuzz, mutants, prove, tests};

/// How a row is marked.
pub(super) const CURRENT: &str = "current";
pub(super) const STALE: &str = "**stale**";
const MISSING: &str = "**missing**";

/// The page, and which of its rows are stale or lack something.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) text: String,
    pub(super) lacks: Vec<String>,
}

/// What the commands found.
#[derive(Debug)]
struct All {
    tests: Option<Evidence>,
    coverage: Option<Evidence>,
    mutants: Option<Evidence>,
    broken: Option<Evidence>,
    proof: Option<Evidence>,
    /// By target.
    fuzz: Vec<(String, Option<Evidence>)>,
}

impl Page {
    /// The page of the evidence as it is.
    pub(super) fn of_evidence() -> Done<Page> {
        let fuzz = fuzz::all_targets()?.into_iter().map(|target| {
            let evidence = Evidence::load(&format!("fuzz-{}", target.name))?;
            Ok((target.name, evidence))
        });
        Page::write(&All {
            tests: Evidence::load(tests::NAME)?,
            coverage: Evidence::load(coverage::NAME)?,
            mutants: Evidence::load(mutants::NAME)?,
            broken: Evidence::load(mutants::BROKEN)?,
            proof: Evidence::load(prove::NAME)?,
            fuzz: fuzz.collect::<Done<Vec<_>>>()?,
        })
    }

    fn write(all: &All) -> Done<Page> {
        let mut page = Page::default();
        writeln!(
            page.text,
            "# Proof\n\n\
             Written by `cargo xtask verify` from the files of `xtask/evidence`, which the commands below leave. A row is {STALE} \
             if a\nsource or test that it is about has changed since the run began; what no run has shown is {MISSING}.\n"
        )?;
        page.commands(all)?;
        page.invariants(all)?;
        page.fuzz(&all.fuzz)?;
        page.proof(all.proof.as_ref())?;
        Ok(page)
    }

    fn commands(&mut self, all: &All) -> Done<()> {
        self.head(&["command", "shows", "began", "commit", ""])?;
        self.row("cargo xtask test", all.tests.as_ref(), &[&tests_in_all])?;
        self.row("cargo xtask coverage", all.coverage.as_ref(), &[&covered])?;
        self.row("cargo xtask mutants", all.mutants.as_ref(), &[&mutated])?;
        self.row("cargo xtask mutants --broken", all.broken.as_ref(), &[&broken_in_all])?;
        self.row("cargo xtask prove", all.proof.as_ref(), &[&proved])?;
        Ok(writeln!(self.text)?)
    }

    /// What holds, and what shows it.
    fn invariants(&mut self, all: &All) -> Done<()> {
        writeln!(
            self.text,
            "## Invariants\n\nThe last column is of changes of a line that break the invariant: how many \
                             tests fail after each.\n"
        )?;
        self.head(&["", "what holds", "tests that pass", "fuzz targets", "broken"])?;
        for (index, invariant) in INVARIANTS.iter().enumerate() {
            let number = index + 1;
            let mut missing = Vec::new();
            let tests = passed(invariant, all.tests.as_ref(), &mut missing);
            let fails = fails(number, all.broken.as_ref());
            if fails.is_empty() || fails.contains(&0) {
                missing.push("a change that is noticed".to_string());
            }
            let fails = fails.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let lacks: String = missing.iter().map(|what| format!(" {MISSING}: {what}")).collect();
            self.lacks
                .extend((!missing.is_empty()).then(|| format!("invariant {number} lacks {}", missing.join(", "))));
            let targets = invariant.targets.join(", ");
            writeln!(self.text, "| {number} | {} | {tests} | {targets} | {fails}{lacks} |", invariant.promise)?;
        }
        Ok(writeln!(self.text)?)
    }

    fn fuzz(&mut self, targets: &[(String, Option<Evidence>)]) -> Done<()> {
        writeln!(self.text, "## Fuzzing: `cargo xtask fuzz --target TARGET`\n")?;
        self.head(&["target", "executions", "s of a core", "ended by", "edges", "began", "commit", ""])?;
        for (target, evidence) in targets {
            let cell = |key: &'static str| move |figures: &Value| text_of(&figures[key]);
            let cells = ["executions", "core_seconds", "ended_by", "edges"].map(cell);
            self.row(target, evidence.as_ref(), &[&cells[0], &cells[1], &cells[2], &cells[3]])?;
        }
        Ok(writeln!(self.text)?)
    }

    /// What was proved, and on what it rests.
    fn proof(&mut self, proof: Option<&Evidence>) -> Done<()> {
        writeln!(
            self.text,
            "## For all inputs: `cargo xtask prove`\n\n\
             Of the machine code that this compiler emits on x86-64, by a symbolic executor and a solver, on which it rests: see \
             `xtask/prove/README.md`.\n"
        )?;
        self.head(&["", "the claim", "layouts", "paths", "s of a core", "verdict"])?;
        for claim in array(proof, "claims") {
            let cell = |key: &str| text_of(&claim[key]);
            let layouts = format!("{} of {}", cell("layouts"), cell("of"));
            let cells = [cell("claim"), cell("text"), layouts, cell("paths"), cell("seconds"), cell("verdict")];
            writeln!(self.text, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }

    fn head(&mut self, cells: &[&str]) -> Done<()> {
        Ok(writeln!(self.text, "| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()))?)
    }

    /// A row of evidence: its name, what the functions make of its figures, when it began, and whether it still stands.
    fn row(&mut self, name: &str, evidence: Option<&Evidence>, cells: &[&dyn Fn(&Value) -> String]) -> Done<()> {
        let Some(evidence) = evidence else {
            self.lacks.push(format!("{name} is missing"));
            return Ok(writeln!(self.text, "| `{name}` | {MISSING} |{}", " |".repeat(cells.len() + 2))?);
        };
        let state = if evidence.is_stale()? { STALE } else { CURRENT };
        self.lacks.extend((state == STALE).then(|| format!("{name} is stale: of {}", evidence.commit)));
        let cells: Vec<String> = cells.iter().map(|cell| cell(&evidence.figures)).collect();
        let began = evidence.started.get(..16).unwrap_or_default().replace('T', " ");
        Ok(writeln!(self.text, "| `{name}` | {} | {began} | {} | {state} |", cells.join(" | "), evidence.commit)?)
    }
}

/// A figure as a cell: numbers with their thousands apart.
fn text_of(figure: &Value) -> String {
    match (figure.as_str(), figure.as_f64()) {
        (Some(text), _) => text.to_string(),
        (_, Some(number)) => count(number.round() as u64),
        _ => MISSING.into(),
    }
}

fn array<'a>(evidence: Option<&'a Evidence>, key: &str) -> &'a [Value] {
    evidence.and_then(|evidence| evidence.figures[key].as_array()).map_or(&[], Vec::as_slice)
}

fn tests_in_all(figures: &Value) -> String {
    let outcomes = figures["tests"].as_object().into_iter().flatten();
    let (passed, failed): (Vec<_>, Vec<_>) = outcomes.partition(|(_, outcome)| *outcome == "passed");
    let cases = figures["cases"].as_object().into_iter().flatten().filter_map(|(_, cases)| cases.as_u64()).sum();
    let docs = if figures["docs_pass"] == true { "pass" } else { "**fail**" };
    let (passed, cases) = (count(passed.len() as u64), count(cases));
    format!("{passed} tests pass, {} fail; {cases} cases are counted; the examples of the docs {docs}", failed.len())
}

fn covered(figures: &Value) -> String {
    let parts = figures["parts"].as_object().into_iter().flatten();
    let parts = parts.map(|(part, shares)| {
        let percent = |what: &str| shares[what]["percent"].as_f64().unwrap_or(0.0);
        format!("{part}: {:.2} % of lines, {:.2} % of regions", percent("lines"), percent("regions"))
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn mutated(figures: &Value) -> String {
    let mut sums = [0; 4];
    for (_, outcomes) in figures["found"]["by_part"].as_object().into_iter().flatten() {
        for (sum, what) in sums.iter_mut().zip(["caught", "timeout", "missed", "unviable"]) {
            *sum += outcomes[what].as_u64().unwrap_or(0);
        }
    }
    let [caught, timeout, missed, unviable] = sums;
    format!(
        "part {} of all mutants, {} of its {} tried: a test fails for {caught}, tests only time out for {timeout}, \
         {missed} survive, {unviable} do not compile",
        text_of(&figures["part"]),
        sums.iter().sum::<u64>(),
        text_of(&figures["listed"]),
    )
}

fn broken_in_all(figures: &Value) -> String {
    let changes = figures["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let noticed = changes.iter().filter(|change| change["noticed"] == true);
    format!(
        "{} of {} changes that break an invariant or a check are noticed by the test of it",
        noticed.count(),
        changes.len()
    )
}

fn proved(figures: &Value) -> String {
    let count = |key: &str, is_good: fn(&Value) -> bool| {
        let all = figures[key].as_array().map_or(&[][..], Vec::as_slice);
        format!("{} of {}", all.iter().filter(|one| is_good(one)).count(), all.len())
    };
    format!(
        "{} claims hold for all inputs; {} changes of the arithmetic are refuted",
        count("claims", |claim| claim["verdict"] == "held"),
        count("changes", |change| change["refuted"] == true)
    )
}

/// The tests of an invariant: how many pass, and in which files. A part of a name that no test has is missing.
fn passed(invariant: &Invariant, tests: Option<&Evidence>, missing: &mut Vec<String>) -> String {
    let Some(tests) = tests else {
        missing.push("its tests".into());
        return MISSING.into();
    };
    let all = || tests.figures["tests"].as_object().into_iter().flatten();
    let (mut passed, mut files) = (Vec::new(), Vec::new());
    for part in invariant.tests {
        let mut wanted = all().filter(|(name, _)| name.contains(part)).peekable();
        if wanted.peek().is_none() {
            missing.push(format!("the test `{part}`"));
        }
        for (name, outcome) in wanted {
            if outcome != "passed" {
                missing.push(format!("`{name}`, which fails"));
            } else if !passed.contains(name) {
                passed.push(name.clone());
                files.extend(name.split("::").nth(1).map(|file| format!("`{file}`")));
            }
        }
    }
    files.sort();
    files.dedup();
    format!("{}: {}", passed.len(), files.join(", "))
}

/// How many tests fail after each change that breaks an invariant; 0 if the test of the change is not among them.
fn fails(number: usize, broken: Option<&Evidence>) -> Vec<usize> {
    let of = array(broken, "changes").iter().filter(|change| change["invariant"] == number);
    let fails = |change: &Value| change["fails"].as_array().map_or(0, Vec::len);
    of.map(|change| if change["noticed"] == true { fails(change) } else { 0 }).collect()
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::*;

    fn all() -> All {
        All { tests: None, coverage: None, mutants: None, broken: None, proof: None, fuzz: vec![("plan".into(), None)] }
    }

    fn evidence(figures: Value) -> Evidence {
        let evidence = Evidence::begin("a command", &["xtask/src/main.rs"]).unwrap();
        Evidence { figures, ..evidence }
    }

    #[test]
    fn what_was_not_shown_is_missing() {
        let page = Page::write(&all()).unwrap();
        assert_eq!(page.lacks.len(), 5 + INVARIANTS.len() + 1, "{:?}", page.lacks);
        assert!(page.text.contains("| `plan` | **missing** |"), "{}", page.text);
    }

    #[test]
    fn what_changed_since_is_stale() {
        let fuzzed = json!({ "executions": 1_234_567, "core_seconds": 9, "ended_by": "executions", "edges": 12 });
        let (current, mut stale) = (evidence(fuzzed.clone()), evidence(fuzzed));
        stale.hash.clear();
        let fuzz = vec![("plan".into(), Some(current)), ("text".into(), Some(stale))];
        let page = Page::write(&All { fuzz, ..all() }).unwrap();
        let row = |target: &str| {
            page.text.lines().find(|line| line.starts_with(&format!("| `{target}` "))).unwrap().to_owned()
        };
        assert!(
            row("plan").starts_with("| `plan` | 1,234,567 | 9 | executions | 12 |")
                && row("plan").ends_with("| current |")
        );
        assert!(row("text").ends_with("| **stale** |"));
    }

    #[test]
    fn an_invariant_has_its_tests_and_what_breaks_it() {
        let tests =
            |outcome: &str| evidence(json!({ "tests": { "unstick::house::unsafe_code_is_forbidden": outcome } }));
        let broken = evidence(json!({ "changes": [{ "invariant": 10, "noticed": true, "fails": ["a", "b"] }] }));
        assert_eq!((fails(10, Some(&broken)), fails(9, Some(&broken))), (vec![2], vec![]));
        let mut missing = Vec::new();
        assert_eq!(passed(&INVARIANTS[9], Some(&tests("passed")), &mut missing), "1: `house`");
        assert!(missing.is_empty());
        passed(&INVARIANTS[9], Some(&tests("failed")), &mut missing);
        assert_eq!(missing, ["`unstick::house::unsafe_code_is_forbidden`, which fails"]);
    }

    #[test]
    fn the_page_is_short() {
        assert!(Page::of_evidence().unwrap().text.lines().count() <= 80);
    }
}
