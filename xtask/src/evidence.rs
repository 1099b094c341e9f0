//! Evidence: what a run of a command found, kept below `xtask/evidence/` with when it began and of which sources it is.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a command of this program ends with.
pub(crate) type Done<T> = Result<T, Box<dyn Error>>;

/// What is written from evidence: no change of it makes evidence stale.
const WRITTEN: [&str; 3] = ["BENCHMARKS.md", "PROOF.md", "xtask/evidence"];

/// A run of a command.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Evidence {
    pub(crate) command: String,
    /// When the run began, in UTC.
    pub(crate) started: String,
    /// The commit then; with a `+` if files had changed since.
    pub(crate) commit: String,
    /// The files and folders that it is about, and a hash of their contents then.
    pub(crate) about: Vec<String>,
    pub(crate) hash: String,
    #[serde(default)]
    pub(crate) figures: Value,
}

impl Evidence {
    /// To be called when a run begins: what it is about may change while it runs.
    pub(crate) fn begin(command: &str, about: &[&str]) -> Done<Evidence> {
        let about: Vec<String> = about.iter().map(ToString::to_string).collect();
        let (started, hash) = (now(), hash(&about)?);
        Ok(Evidence { command: command.into(), started, commit: commit(), about, hash, figures: Value::Null })
    }

    /// Keeps the figures of the run.
    pub(crate) fn save(mut self, name: &str, figures: Value) -> Done<()> {
        self.figures = figures;
        let path = path(name);
        fs::create_dir_all(path.with_file_name(""))?;
        fs::write(&path, serde_json::to_string_pretty(&self)? + "\n")
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// The last run that was kept under this name.
    pub(crate) fn load(name: &str) -> Done<Option<Evidence>> {
        let path = path(name);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Whether what it is about has changed.
    pub(crate) fn is_stale(&self) -> Done<bool> {
        Ok(hash(&self.about)? != self.hash)
    }
}

fn path(name: &str) -> PathBuf {
    root().join("xtask/evidence").join(name).with_extension("json")
}

/// A hash of the files below these paths, by git, which has to be there anyway.
fn hash(about: &[String]) -> Done<String> {
    let files = files(about)?.into_iter().filter(|file| !WRITTEN.iter().any(|path| file.starts_with(path)));
    let files = files.map(|file| file.to_string_lossy().into_owned()).collect::<Vec<_>>();
    if files.is_empty() {
        return Err(format!("there are no files below {}", about.join(", ")).into());
    }
    let contents = git(&["hash-object", "--stdin-paths"], &files.join("\n"))?;
    let lines = files.iter().zip(contents.lines()).map(|(file, content)| format!("{content} {file}\n"));
    Ok(git(&["hash-object", "--stdin"], &lines.collect::<String>())?.trim().to_string())
}

/// The files below these paths that git knows or would take in.
pub(crate) fn files(below: &[impl AsRef<str>]) -> Done<Vec<PathBuf>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
    let names = git(&[&list[..], &below.iter().map(AsRef::as_ref).collect::<Vec<_>>()].concat(), "")?;
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    let mut files: Vec<PathBuf> = names.filter(|name| root().join(name).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// What git prints, given this input.
fn git(args: &[&str], input: &str) -> Done<String> {
    let mut command = Command::new("git");
    command.current_dir(root()).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("git: {error}"))?;
    let (mut stdin, input) = (child.stdin.take().ok_or("git takes no input")?, input.to_owned());
    // Beside this thread, as git writes before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("git {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The current commit; with a `+` if files have changed since, other than those written from evidence.
pub(crate) fn commit() -> String {
    let Ok(commit) = git(&["rev-parse", "--short=10", "HEAD"], "") else { return "unknown".into() };
    let changed = git(&["status", "--porcelain"], "").unwrap_or_default();
    let is_ours = |line: &str| WRITTEN.iter().any(|path| line.get(3..).is_some_and(|name| name.starts_with(path)));
    format!("{}{}", commit.trim(), if changed.lines().all(is_ours) { "" } else { "+" })
}

/// The time in UTC, as in 2026-01-31T23:59:59Z.
fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).map(|now| now.format(&Rfc3339).unwrap_or_default());
    now.unwrap_or_default()
}

/// The date in UTC, as in 2026-01-31.
pub(crate) fn today() -> String {
    now().chars().take(10).collect()
}

/// Whether a command starts and succeeds; what it prints is not shown.
pub(crate) fn works(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_what_it_is_about_makes_evidence_stale() {
        let mut evidence = Evidence::begin("a command", &["xtask/src/evidence.rs", "PROOF.md"]).unwrap();
        assert!(!evidence.is_stale().unwrap());
        assert_eq!(evidence.hash, hash(&["xtask/src/evidence.rs".into()]).unwrap(), "what is written does not count");
        evidence.about.push("xtask/src/main.rs".into());
        assert!(evidence.is_stale().unwrap());
        assert!(Evidence::begin("a command", &["no/such/file"]).is_err());
    }
}
