//! `cargo xtask load-cluster`: runs the recipes of docs/load.md, by which many machines make one load, as they are written there.

mod shards;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::ValueEnum;

use crate::child::Listening;
use crate::evidence;
use crate::load::build;

/// The exit code for a part that could not be run here, as test harnesses have it.
const LEFT_OUT: u8 = 77;
/// `unstick load`'s exit code for a load that this machine, as busy as it is, could not make. The results are there all the same.
const NOT_AS_ASKED: i32 = 10;
/// The seconds that a part may take.
const LONGEST: &str = "120";

/// Run the recipes of docs/load.md, by which many machines make one load
///
/// Builds the program in release, serves an echo, and pastes the recipes for GNU parallel and for Slurm into a shell: Slurm as a
/// cluster of this machine alone, in target/load-cluster, which is stopped at the end. What the shards measured must be what was
/// merged. Then it validates the files for Kubernetes against its schema. Installs nothing; what is missing is said, and how to
/// install it. Exits with 0 if everything was run and is right, with 77 if a part was left out, and with 1 if one failed.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only these parts
    #[arg(value_name = "PART", default_values = ["parallel", "slurm", "kubernetes"])]
    parts: Vec<Part>,

    /// Run this build of the program, named unstick, instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<std::path::PathBuf>,
}

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The recipe for GNU parallel
    Parallel,
    /// The recipe for Slurm, on a cluster of one node
    Slurm,
    /// The files for Kubernetes
    Kubernetes,
}

/// What a part printed; `Err` with what is missing for it.
type Printed = Result<String, String>;

/// # Errors
/// Where the program does not build, or does not listen.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let program = args.program.clone().map_or_else(build, Ok)?.canonicalize()?;
    let programs = program.parent().ok_or("the program is in no folder")?;
    let mut serve = Command::new(&program);
    serve.args(["serve", "127.0.0.1:0", "--echo", "--print", "none"]).stderr(Stdio::piped());
    let server = Listening::start(serve)?;
    let (mut left_out, mut failed) = (Vec::new(), Vec::new());
    for part in &args.parts {
        let name = part.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        println!("== {name}");
        match part.run(&name, programs, server.addr()) {
            Ok(Ok(printed)) => println!("{printed}"),
            Ok(Err(missing)) => {
                println!("LEFT OUT: {missing}");
                left_out.push(name);
            }
            Err(error) => {
                println!("FAILED: {error}");
                failed.push(name);
            }
        }
    }
    let ended = server.stop()?;
    if !ended.status.success() {
        return Err(format!("the server ended with {}", ended.status).into());
    }
    Ok(match (&failed[..], &left_out[..]) {
        ([], []) => ExitCode::SUCCESS,
        ([], left_out) => {
            println!("== NOT EVERYTHING WAS RUN: left out {}", left_out.join(", "));
            ExitCode::from(LEFT_OUT)
        }
        (failed, _) => {
            println!("== FAILED: {}", failed.join(", "));
            ExitCode::FAILURE
        }
    })
}

impl Part {
    /// Runs its script in a folder of its own, followed by the recipe, if it has one, with the program in the `PATH` and the
    /// server's address as `server`.
    fn run(self, name: &str, programs: &Path, server: &str) -> Result<Printed, Box<dyn Error>> {
        let docs = evidence::root().join("docs");
        let page = fs::read_to_string(docs.join("load.md"))?;
        let recipe = || find(&page, name).ok_or_else(|| format!("docs/load.md has no recipe for {name}"));
        let script = match self {
            Part::Parallel => [include_str!("parallel.sh"), recipe()?].concat(),
            Part::Slurm => [include_str!("slurm.sh"), recipe()?].concat(),
            Part::Kubernetes => include_str!("kubernetes.sh").to_owned(),
        };
        let folder = evidence::root().join("target/load-cluster").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let before = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&before)))?;
        // The time is for the shell and all that it starts.
        let mut shell = Command::new("timeout");
        shell.args(["--kill-after", "10", LONGEST, "sh", "-u", "-c", &script]).current_dir(&folder);
        shell.env("PATH", path).env("server", server).env("docs", docs.join("load"));
        // In a file, as a daemon that outlives the shell would keep a pipe open.
        let output = fs::File::create(folder.join("output.txt"))?;
        let status = shell.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()?;
        let printed = fs::read_to_string(folder.join("output.txt"))?;
        match status.code() {
            Some(0 | NOT_AS_ASKED) if self == Part::Kubernetes => Ok(Ok(printed.trim_end().to_owned())),
            Some(0 | NOT_AS_ASKED) => shards::check(&folder, &printed).map(Ok),
            Some(code) if code == i32::from(LEFT_OUT) => Ok(Err(printed.trim_end().to_owned())),
            _ => Err(format!("the recipe ended with {status}:\n{printed}").into()),
        }
    }
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
