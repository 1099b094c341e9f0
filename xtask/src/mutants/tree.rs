//! A copy of the sources for the changes, so that the work tree stays as it is, and one build serves all mutants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let wanted = evidence::files(&["."])?;
        remove_others(&tree.root, &tree.root, &wanted)?;
        for file in &wanted {
            let (from, to) = (evidence::root().join(file), tree.root.join(file));
            let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                fs::create_dir_all(to.with_file_name(""))?;
                fs::write(&to, bytes)?;
            }
        }
        Ok(tree)
    }

    /// Cargo in the copy, with low priority if the system has `nice`.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        if evidence::works(Command::new("nice").arg("true")) {
            command = Command::new("nice");
            command.args(["-n", "10", "cargo"]);
        }
        command.current_dir(&self.root).args(args).env("CARGO_TARGET_DIR", &self.target);
        command.env("PROPTEST_MAX_SHRINK_ITERS", "0").env("PROPTEST_FAILURE_PERSISTENCE", "off");
        // Of a mutant that many tests notice, the traces of their panics take longer than the tests.
        command.env("RUST_BACKTRACE", "0");
        // Without debug information a mutant builds in half the time.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_TEST_DEBUG", "none");
        command
    }
}

/// Removes the files below a folder that are not wanted; their paths are from `root`.
fn remove_others(root: &Path, folder: &Path, wanted: &[PathBuf]) -> Done<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, wanted)?;
        } else if !wanted.iter().any(|file| path.strip_prefix(root).is_ok_and(|path| path == file)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
