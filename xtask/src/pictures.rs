//! `cargo xtask pictures`: the pictures of docs/tcp.md.

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use unstick::trace::live::{self, Scenario};
use unstick::trace::picture::Picture;
use unstick::trace::{from_json, json};

use crate::evidence;

/// What was recorded, and what is drawn of it.
const RECORDINGS: &str = "tests/pictures";
const PICTURES: &str = "docs/pictures";

/// Draw the pictures of docs/tcp.md
///
/// Records each scenario of unstick trace in a network namespace of its own, as tests/pictures/NAME.json, and draws it as
/// docs/pictures/NAME.svg.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Draw the recordings that are there, after a change of how they look
    #[arg(long)]
    redraw: bool,
}

/// Records and draws.
///
/// # Errors
/// Where the system refuses a namespace, or a file cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let (recordings, pictures) = (evidence::root().join(RECORDINGS), evidence::root().join(PICTURES));
    fs::create_dir_all(&pictures)?;
    if !args.redraw {
        live::enter_namespace()?;
        for scenario in Scenario::ALL {
            let trace = live::record(scenario)?.trace();
            fs::write(recordings.join(format!("{scenario}.json")), json(&trace) + "\n")?;
        }
    }
    for scenario in Scenario::ALL {
        let trace = from_json(&fs::read_to_string(recordings.join(format!("{scenario}.json")))?)?;
        let (name, title, lesson) = (scenario.name(), scenario.title(), scenario.lesson());
        let picture = Picture { name, title, lesson, trace: &trace };
        fs::write(pictures.join(format!("{scenario}.svg")), picture.svg())?;
    }
    println!("{PICTURES}: {} pictures", Scenario::ALL.len());
    Ok(ExitCode::SUCCESS)
}
