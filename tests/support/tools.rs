//! Programs that a test needs and that may not be installed.

use std::env;
use std::process::{Command, Stdio};

/// Whether all of these can be run. `.ci/run` installs them, and there a missing one is a failure; elsewhere the test is left out,
/// and says so.
pub(crate) fn has(programs: &[&str]) -> bool {
    let is_there = |program: &&&str| {
        let ran =
            Command::new(program).arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.is_ok()
    };
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    assert!(missing.is_empty() || env::var_os("CI").is_none(), "not installed: {missing:?}");
    if !missing.is_empty() {
        eprintln!("LEFT OUT: this test needs {missing:?}, which are not installed here");
    }
    missing.is_empty()
}
