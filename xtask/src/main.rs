//! The tasks of this repository: `cargo xtask TASK`, one file or folder for each.

mod load;

use std::process::ExitCode;

use clap::Parser;

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    Load(load::Args),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Load(args) => load::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
