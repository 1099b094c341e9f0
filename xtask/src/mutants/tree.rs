//! A copy of the sources for the changes, so that the work tree stays as it is, and one build serves all mutants.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::evidence::{self, Done};

/// The copy; one command at a time may use it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Tree {
    /// The sources as they are now. Files that did not change are left alone, so that what was built of them stays.
    pub(crate) fn of_sources() -> Done<Tree> {
        let folder = evidence::root().join("target/mutants");
        let tree = Tree { root: folder.join("tree"), target: folder.join("target") };
        let wanted = sources()?;
        for file in files_below(&tree.root, &tree.root)? {
            if !wanted.contains(&file) {
                fs::remove_file(tree.root.join(file))?;
            }
        }
        for file in &wanted {
            let (from, to) = (evidence::root().join(file), tree.root.join(file));
            let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                fs::create_dir_all(to.parent().unwrap_or(&tree.root))?;
                fs::write(&to, bytes)?;
            }
        }
        Ok(tree)
    }

    /// Cargo in the copy, with low priority if the system has `nice`.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = if evidence::works(Command::new("nice").arg("true")) {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10", "cargo"]);
            nice
        } else {
            Command::new("cargo")
        };
        command.current_dir(&self.root).args(args).env("CARGO_TARGET_DIR", &self.target);
        command.env("PROPTEST_MAX_SHRINK_ITERS", "0").env("PROPTEST_FAILURE_PERSISTENCE", "off");
        // Of a mutant that many tests notice, the traces of their panics take longer than the tests.
        command.env("RUST_BACKTRACE", "0");
        // Without debug information a mutant builds in half the time.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_TEST_DEBUG", "none");
        command
    }

    /// How long these tests take without a change.
    pub(crate) fn baseline(&self, mut tests: impl FnMut() -> Command) -> Done<Duration> {
        let mut took = Duration::ZERO;
        // The first time they are built.
        for _ in 0..2 {
            let begin = Instant::now();
            if !tests().stdout(Stdio::null()).stderr(Stdio::inherit()).status()?.success() {
                return Err("the tests fail without a mutant".into());
            }
            took = begin.elapsed();
        }
        Ok(took)
    }
}

/// What git knows, and what it would take in.
fn sources() -> Done<BTreeSet<PathBuf>> {
    let mut command = Command::new("git");
    command.current_dir(evidence::root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = command.output()?;
    if !output.status.success() {
        return Err("git does not list the sources".into());
    }
    let names = String::from_utf8(output.stdout)?;
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(names.filter(|name| evidence::root().join(name).is_file()).collect())
}

/// All files below a folder, but for Cargo's, by their path from `root`; none if there is no such folder.
fn files_below(root: &Path, folder: &Path) -> Done<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(root, &path)?);
        } else {
            files.push(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(files)
}
