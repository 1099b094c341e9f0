//! What the measuring commands share: where their figures are stored, with commit and date, and the reasons for what is
//! not covered.

use std::cell::Cell;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// What a command of this program ends with.
pub(crate) type Done<T> = Result<T, Box<dyn Error>>;

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The path of a file or folder for figures; its parent folder is created.
pub(crate) fn path(name: &str) -> Done<PathBuf> {
    let folder = root().join("target/evidence");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(name))
}

/// Writes figures, with the commit and the date that they are of.
pub(crate) fn save(name: &str, figures: Value) -> Done<()> {
    let path = path(name)?;
    fs::write(&path, format!("{:#}\n", stamped(figures))).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Writes figures of a run that was stamped before: told again, they are of the commit and the date that they were of.
pub(crate) fn save_again(name: &str, mut figures: Value) -> Done<()> {
    let Some(before) = load(name) else { return save(name, figures) };
    for stamp in ["commit", "date"] {
        figures[stamp] = before[stamp].clone();
    }
    fs::write(path(name)?, format!("{figures:#}\n")).map_err(|error| format!("{name}: {error}").into())
}

/// Appends figures as one line.
pub(crate) fn append(name: &str, figures: Value) -> Done<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path(name)?)?;
    Ok(writeln!(file, "{}", stamped(figures))?)
}

/// The figures of a run before, if there was one.
pub(crate) fn load(name: &str) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path(name).ok()?).ok()?).ok()
}

/// All lines of figures that were appended.
pub(crate) fn load_lines(name: &str) -> Vec<Value> {
    let text = path(name).and_then(|path| Ok(fs::read_to_string(path)?)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn stamped(mut figures: Value) -> Value {
    figures["commit"] = json!(commit());
    figures["date"] = json!(today());
    figures
}

/// The current commit; with a `+` if files have changed since.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(root()).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".into() };
    // The ledger itself is no change to what it is about.
    let changed = git(&["status", "--porcelain", "--", ".", ":(exclude)PROOF.md"]);
    if changed.is_some_and(|lines| lines.is_empty()) { commit } else { format!("{commit}+") }
}

/// The date in UTC, as in 2026-01-31.
pub(crate) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    date_of_day(since.as_secs() / (24 * 60 * 60))
}

/// The date of a day since 1970-01-01. Years begin in March here, so that the odd day is a year's last.
fn date_of_day(day: u64) -> String {
    let day = day + 719_468; // days from 0000-03-01 to 1970-01-01
    let (era, day) = (day / 146_097, day % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// Whether a command starts and succeeds; what it prints is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Why a line may stay uncovered, or a mutant alive: an entry of a file in `xtask/reasons/`.
#[derive(Debug)]
pub(crate) struct Reason {
    file: String,
    /// A part of the source line.
    code: String,
    /// The mutant as cargo-mutants names it, without file and line; empty for coverage.
    mutant: String,
    pub(crate) reason: String,
    used: Cell<bool>,
}

/// The reasons of one file.
#[derive(Debug)]
pub(crate) struct Reasons(Vec<Reason>);

impl Reasons {
    /// Reads `xtask/reasons/NAME`: a JSON array of objects with `file`, `code`, `reason` and, for mutants, `mutant`.
    pub(crate) fn read(name: &str) -> Done<Reasons> {
        let path = root().join("xtask/reasons").join(name);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Reasons::parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str) -> Done<Reasons> {
        let entries: Vec<Value> = serde_json::from_str(text)?;
        let text_of = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_string();
        let reasons: Vec<Reason> = entries
            .iter()
            .map(|entry| Reason {
                file: text_of(entry, "file"),
                code: text_of(entry, "code"),
                mutant: text_of(entry, "mutant"),
                reason: text_of(entry, "reason"),
                used: Cell::new(false),
            })
            .collect();
        match reasons.iter().find(|entry| entry.file.is_empty() || entry.code.is_empty() || entry.reason.is_empty()) {
            Some(entry) => Err(format!("an entry lacks file, code or reason: {entry:?}").into()),
            None => Ok(Reasons(reasons)),
        }
    }

    /// The reason for a source line of a file, and for the mutant if it is about one.
    pub(crate) fn find(&self, file: &str, line: &str, mutant: &str) -> Option<&str> {
        let fits = |entry: &&Reason| entry.file == file && line.contains(&entry.code) && entry.mutant == mutant;
        let entry = self.0.iter().find(fits)?;
        entry.used.set(true);
        Some(&entry.reason)
    }

    /// Entries that were not needed: their line is gone, or covered now.
    pub(crate) fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|entry| !entry.used.get());
        unused.map(|Reason { file, code, mutant, .. }| format!("{file}: {code} {mutant}").trim().to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date_of_day(0), "1970-01-01");
        assert_eq!(date_of_day(11_016), "2000-02-29");
        assert_eq!(date_of_day(20_453), "2025-12-31");
        assert_eq!(date_of_day(20_454), "2026-01-01");
    }

    #[test]
    fn a_reason_is_for_one_place_and_one_mutant() {
        let text =
            r#"[{"file": "a.rs", "code": "x < y", "mutant": "replace < with <=", "reason": "the same where x is y"}]"#;
        let reasons = Reasons::parse(text).unwrap();
        assert_eq!(reasons.unused().len(), 1);
        assert_eq!(reasons.find("a.rs", "if x < y {", "replace < with =="), None);
        assert_eq!(reasons.find("b.rs", "if x < y {", "replace < with <="), None);
        assert_eq!(reasons.find("a.rs", "if x < y {", "replace < with <="), Some("the same where x is y"));
        assert!(reasons.unused().is_empty());
        assert!(Reasons::parse(r#"[{"file": "a.rs", "code": "x"}]"#).is_err());
    }
}
