//! `cargo xtask load-cluster`: runs the recipes of docs/load.md, by which many machines make one load, as they are written there.

mod kubernetes;
mod recipe;
mod shards;
mod slurm;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::ValueEnum;

use crate::child::Listening;
use crate::evidence;
use crate::load::build;

/// The exit code for a part that could not be run here, as test harnesses have it.
const LEFT_OUT: u8 = 77;

/// Run the recipes of docs/load.md, by which many machines make one load
///
/// Builds the program in release, serves an echo, and pastes the recipes for GNU parallel and for Slurm into a shell: Slurm as a
/// cluster of this machine alone, in target/load-cluster, which is stopped at the end. What the shards measured must be what was
/// merged. Then it validates the files for Kubernetes against its schema. Installs nothing; what is missing is said, and how to
/// install it. Exits with 0 if everything was run and is right, with 77 if a part was left out, and with 1 if one failed.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Only these parts
    #[arg(value_name = "PART")]
    parts: Vec<Part>,

    /// Run this build of the program, named unstick, instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
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

/// Where a part runs.
struct Place {
    /// A folder of its own, empty at the begin.
    folder: PathBuf,
    /// The program's folder.
    programs: PathBuf,
    /// The server's address.
    server: String,
}

/// What is missing for a part, and how to install it.
struct Missing {
    what: String,
    install: &'static str,
}

/// How a part ended.
enum Ended {
    /// Well; what is to be said of it.
    Well(String),
    /// It was left out.
    LeftOut(Missing),
}

/// # Errors
/// Where the program does not build, or does not listen.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let all = || Part::value_variants().to_vec();
    let parts = if args.parts.is_empty() { all() } else { args.parts.clone() };
    let program = args.program.clone().map_or_else(build, Ok)?.canonicalize()?;
    let programs = program.parent().ok_or("the program is in no folder")?.to_owned();
    let mut serve = Command::new(&program);
    serve.args(["serve", "127.0.0.1:0", "--echo", "--print", "none"]);
    let server = Listening::start(serve)?;
    let (mut left_out, mut failed) = (Vec::new(), Vec::new());
    for part in parts {
        let name = part.name();
        let place = Place::new(&name, &programs, server.addr())?;
        println!("== {name}");
        match part.run(&place) {
            Ok(Ended::Well(text)) => println!("{text}"),
            Ok(Ended::LeftOut(Missing { what, install })) => {
                println!("LEFT OUT: {what}; to install it: {install}");
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
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    fn run(self, place: &Place) -> Result<Ended, Box<dyn Error>> {
        match self {
            Part::Parallel => {
                if let Some(missing) = parallel() {
                    return Ok(Ended::LeftOut(missing));
                }
                recipe::paste("parallel", place, &[])?;
                shards::check(&place.folder).map(Ended::Well)
            }
            Part::Slurm => {
                if let Some(missing) = slurm::missing() {
                    return Ok(Ended::LeftOut(missing));
                }
                let cluster = slurm::Cluster::start(&place.folder)?;
                recipe::paste("slurm", place, &[("SLURM_CONF", cluster.configuration())])?;
                cluster.stop()?;
                shards::check(&place.folder).map(Ended::Well)
            }
            Part::Kubernetes => kubernetes::validate(),
        }
    }
}

/// GNU's, and not the one of moreutils.
fn parallel() -> Option<Missing> {
    let version = Command::new("parallel").arg("--version").output();
    let is_gnu = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).starts_with("GNU parallel"));
    let missing = || Missing { what: "GNU parallel is missing".into(), install: "apt-get install parallel" };
    (!is_gnu).then(missing)
}

impl Place {
    fn new(name: &str, programs: &Path, server: &str) -> Result<Place, Box<dyn Error>> {
        let folder = evidence::root().join("target/load-cluster").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Place { folder, programs: programs.to_owned(), server: server.into() })
    }

    /// `PATH` with the program first.
    fn path(&self) -> Result<std::ffi::OsString, env::JoinPathsError> {
        let before = env::var_os("PATH").unwrap_or_default();
        env::join_paths([self.programs.clone()].into_iter().chain(env::split_paths(&before)))
    }
}
