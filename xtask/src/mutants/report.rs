//! What cargo-mutants found, and what is said of it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::FIGURES;
use crate::evidence::{self, Done, Reasons};

/// What cargo-mutants found, as it stands in the files of `mutants.out`: a mutant's name a line.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) caught: Vec<String>,
    /// The tests did not end in several times the time that they take: they notice, or the machine was busy.
    pub(crate) timed_out: Vec<String>,
    /// The mutant does not compile.
    pub(crate) unviable: Vec<String>,
    pub(crate) missed: Vec<String>,
}

impl Found {
    /// What a run found that wrote below `folder`; `None` if there was none, or it did not finish.
    pub(crate) fn read(folder: &Path) -> Done<Option<Found>> {
        let folder = folder.join("mutants.out");
        let Ok(listed) = fs::read_to_string(folder.join("mutants.json")) else { return Ok(None) };
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let lines = |name: &str| -> Vec<String> {
            fs::read_to_string(folder.join(name)).unwrap_or_default().lines().map(String::from).collect()
        };
        let found = Found {
            caught: lines("caught.txt"),
            timed_out: lines("timeout.txt"),
            unviable: lines("unviable.txt"),
            missed: lines("missed.txt"),
        };
        Ok((found.tried() == listed.len()).then_some(found))
    }

    pub(crate) fn tried(&self) -> usize {
        self.caught.len() + self.timed_out.len() + self.unviable.len() + self.missed.len()
    }

    /// What was found of these mutants; `None` if not all were tried. Others may have been: cargo-mutants tries those
    /// that delete a field whatever it is asked for.
    pub(crate) fn only(mut self, wanted: &[String]) -> Option<Found> {
        for names in [&mut self.caught, &mut self.timed_out, &mut self.unviable, &mut self.missed] {
            names.retain(|name| wanted.contains(name));
        }
        (self.tried() == wanted.len()).then_some(self)
    }

    pub(crate) fn add(&mut self, more: Found) {
        self.caught.extend(more.caught);
        self.timed_out.extend(more.timed_out);
        self.unviable.extend(more.unviable);
        self.missed.extend(more.missed);
    }
}

/// Prints and keeps what was found.
pub(crate) fn report(found: &Found, untried: &[&str], again: bool) -> Result<ExitCode, Box<dyn Error>> {
    let reasons = Reasons::read("mutants.json")?;
    let mut equivalent = Vec::new();
    let mut survivors = Vec::new();
    for name in &found.missed {
        let mutant = Mutant::parse(name).ok_or_else(|| format!("cargo-mutants named a mutant {name:?}"))?;
        match reasons.find(mutant.file, &mutant.source_line()?, mutant.change) {
            Some(reason) => equivalent.push(json!({ "mutant": name, "reason": reason })),
            None => survivors.push(name),
        }
    }
    for name in &found.timed_out {
        println!("  timed out: {name}");
    }
    for name in &survivors {
        println!("  survives: {name}");
    }
    for file in untried {
        println!("  not tried: {file}");
    }
    println!(
        "{} mutants caught, {} whose tests did not end, {} do not compile, {} equivalent, {} survive; {} files not tried",
        found.caught.len(),
        found.timed_out.len(),
        found.unviable.len(),
        equivalent.len(),
        survivors.len(),
        untried.len(),
    );
    let save = if again { evidence::save_again } else { evidence::save };
    save(
        FIGURES,
        json!({
            "untried": untried,
            "caught": found.caught.len(),
            "timed_out": found.timed_out,
            "unviable": found.unviable.len(),
            "equivalent": equivalent,
            "survivors": survivors,
            "by_file": by_file(found),
        }),
    )?;
    let is_met = survivors.is_empty() && untried.is_empty();
    println!("{}", if is_met { "met: every mutant is noticed, or equivalent for a written reason" } else { "not met" });
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many were tried, and how many noticed, in each file.
fn by_file(found: &Found) -> Value {
    let mut files = json!({});
    let groups = [("noticed", &found.caught), ("timed_out", &found.timed_out), ("missed", &found.missed)];
    for (outcome, names) in groups {
        for mutant in names.iter().filter_map(|name| Mutant::parse(name)) {
            let number = files[mutant.file][outcome].as_u64().unwrap_or(0);
            files[mutant.file][outcome] = json!(number + 1);
        }
    }
    files
}

/// A mutant's name, taken apart: `src/read.rs:12:5: replace x with y in f`.
#[derive(Debug, PartialEq, Eq)]
struct Mutant<'a> {
    file: &'a str,
    line: usize,
    change: &'a str,
}

impl<'a> Mutant<'a> {
    fn parse(name: &'a str) -> Option<Mutant<'a>> {
        let (place, change) = name.split_once(": ")?;
        let mut parts = place.split(':');
        let file = parts.next()?;
        let line = parts.next()?.parse().ok()?;
        Some(Mutant { file, line, change })
    }

    fn source_line(&self) -> Done<String> {
        let text = fs::read_to_string(evidence::root().join(self.file))?;
        Ok(text.lines().nth(self.line - 1).unwrap_or_default().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = "src/framing/buffer.rs:71:35: replace < with <= in Buffer::space";
        let change = "replace < with <= in Buffer::space";
        assert_eq!(Mutant::parse(name), Some(Mutant { file: "src/framing/buffer.rs", line: 71, change }));
        assert_eq!(Mutant::parse("nothing of the kind"), None);
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_second_pass_is_about_those_that_survived_the_first() {
        let found = || Found { caught: names(&["a", "b"]), missed: names(&["c"]), ..Found::default() };
        let only = found().only(&names(&["c", "a"])).expect("both were tried");
        assert_eq!((only.caught, only.missed), (names(&["a"]), names(&["c"])));
        assert!(found().only(&names(&["a", "d"])).is_none(), "one was not tried");
    }

    #[test]
    fn mutants_are_counted_by_file() {
        let found = Found {
            caught: names(&["a.rs:1:1: x", "a.rs:2:1: y"]),
            timed_out: names(&["a.rs:3:1: z"]),
            missed: names(&["b.rs:1:1: x"]),
            ..Found::default()
        };
        assert_eq!(by_file(&found), json!({ "a.rs": { "noticed": 2, "timed_out": 1 }, "b.rs": { "missed": 1 } }));
    }
}
