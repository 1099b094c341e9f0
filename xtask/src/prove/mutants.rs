//! Changes of the arithmetic: the proof must refute each, and a test must fail with the input that it gives.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::python::Python;
use super::{SHIM, folder, library};
use crate::evidence::{self, Done};
use crate::mutants::{Change, Tree, changes};

/// The changes: those that break an invariant and name a claim, and the ones that are made for this.
const LISTS: [&str; 2] = ["xtask/broken.json", "xtask/prove/changes.json"];

/// How many changes a quick run makes: each takes two builds.
const QUICK: usize = 3;

/// Makes each change in a copy of the sources, and has it refuted. `unchanged` is Cargo in the sources as they are.
pub(crate) fn refute_all(python: &Python, unchanged: impl Fn() -> Command, quick: bool) -> Done<Vec<Value>> {
    let mut wanted = Vec::new();
    for list in LISTS {
        let text = fs::read_to_string(evidence::root().join(list))?;
        wanted.extend(changes(&text)?.into_iter().filter(|change| change.claim.is_some()));
    }
    if quick {
        wanted.truncate(QUICK);
    }
    let tree = Tree::of_sources()?;
    // A change that cannot be made is told before anything is built.
    for change in &wanted {
        change.made_in(&fs::read_to_string(tree.root.join(&change.file))?)?;
    }
    let mut found = Vec::new();
    for change in &wanted {
        let path = tree.root.join(&change.file);
        let source = fs::read_to_string(&path)?;
        fs::write(&path, change.made_in(&source)?)?;
        let refuted = refute(python, &tree, change, &unchanged);
        fs::write(&path, source)?;
        let (counterexample, verdict) = refuted?;
        println!("{}, {}: {verdict}", change.file, change.what);
        for line in counterexample.lines() {
            println!("    {line}");
        }
        found.push(json!({
            "file": change.file,
            "change": change.what,
            "claim": change.claim,
            "refuted": verdict == REFUTED,
            "counterexample": counterexample,
        }));
    }
    Ok(found)
}

const REFUTED: &str = "refuted; with this input a test fails, and passes without the change";

/// Has the change that was made in the tree refuted: the counterexample, and what became of it.
fn refute(
    python: &Python,
    tree: &Tree,
    change: &Change,
    unchanged: impl Fn() -> Command,
) -> Done<(String, &'static str)> {
    let library = library(tree.cargo(&[]), &tree.target)?;
    let (claim, layout) = change.claim.as_deref().and_then(|it| it.split_once(' ')).ok_or("a claim and a layout")?;
    let options = ["--until-refuted", "--claim", claim, "--layout", layout].map(String::from);
    let (_, found) = python.prove(&library, "change.json", &options)?;
    let mut counterexamples = found["found"].as_array().into_iter().flatten().map(|one| &one["counterexample"]);
    let Some(counterexample) = counterexamples.find_map(Value::as_str) else {
        return Ok((String::new(), "not refuted"));
    };
    let path = folder().join("counterexample.txt");
    fs::write(&path, counterexample)?;
    let verdict = match (passes(|| tree.cargo(&[]), &path)?, passes(unchanged, &path)?) {
        (false, true) => REFUTED,
        (true, _) => "refuted, but a test with this input passes",
        (false, false) => "refuted, but a test with this input also fails without the change",
    };
    Ok((counterexample.to_owned(), verdict))
}

/// Whether the shim's test passes with this input.
fn passes(cargo: impl Fn() -> Command, counterexample: &Path) -> Done<bool> {
    let test = ["test", "--quiet", "--locked", "--manifest-path", SHIM];
    // A test that does not build is no test that fails.
    if !cargo().args(test).arg("--no-run").status()?.success() {
        return Err(format!("the tests of {SHIM} do not build").into());
    }
    Ok(evidence::works(cargo().args(test).env("COUNTEREXAMPLE", counterexample)))
}
