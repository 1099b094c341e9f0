//! The recipes of docs/load.md, run by a shell as they are written there.

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::Place;
use super::shards::OUTPUT;
use crate::evidence;

/// What a recipe may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// `unstick load`'s exit code for a load that this machine, as busy as it is, could not make. The results are there all the same.
const NOT_AS_ASKED: i32 = 10;

/// Runs a recipe in the folder, with the program in the `PATH` and the server's address as `server`.
///
/// # Errors
/// Where it fails, with the last of what it printed.
pub(super) fn paste(name: &str, place: &Place, variables: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
    let page = fs::read_to_string(evidence::root().join("docs/load.md"))?;
    let text = find(&page, name).ok_or_else(|| format!("docs/load.md has no recipe for {name}"))?;
    let output = fs::File::create(place.folder.join(OUTPUT))?;
    let mut shell = Command::new("sh");
    shell.args(["-u", "-c", text]).current_dir(&place.folder);
    shell.env("PATH", place.path()?).env("server", &place.server).envs(variables.iter().copied());
    shell.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let ended = end_within(shell, PATIENCE)?;
    let printed = fs::read_to_string(place.folder.join(OUTPUT))?;
    match ended {
        Some(status) if status.success() || status.code() == Some(NOT_AS_ASKED) => Ok(()),
        Some(status) => Err(format!("the recipe ended with {status}:\n{printed}").into()),
        None => Err(format!("the recipe did not end within {PATIENCE:?}:\n{printed}").into()),
    }
}

/// Runs a command and what it starts; `None` where they had to be killed.
fn end_within(mut command: Command, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let mut child = command.process_group(0).spawn()?;
    let begin = Instant::now();
    while begin.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    kill_process_group(Pid::from_child(&child), Signal::KILL)?;
    child.wait()?;
    Ok(None)
}

/// The text of a recipe: the block of code behind its mark.
fn find<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("<!-- recipe: {name} -->\n```sh\n"))?;
    rest.split_once("\n```\n").map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_killed() {
        let sleep = |seconds: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("sleep {seconds}; exit 3")]);
            command
        };
        assert_eq!(end_within(sleep("60"), Duration::from_millis(50)).unwrap(), None);
        let ended = end_within(sleep("0"), PATIENCE).unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn a_recipe_is_the_block_behind_its_mark() {
        let page = "a\n<!-- recipe: one -->\n```sh\nfirst\nsecond\n```\n\n```sh\nother\n```\n";
        assert_eq!(find(page, "one"), Some("first\nsecond"));
        assert_eq!(find(page, "two"), None);
        let page = include_str!("../../../docs/load.md");
        for name in ["parallel", "slurm"] {
            assert!(find(page, name).is_some_and(|text| text.contains("unstick load merge")), "{name}");
        }
    }
}
