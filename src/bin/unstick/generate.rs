//! `unstick generate`, for those who package the program: shell completions and man pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::Failure;

/// Write shell completions (bash, fish, zsh) and man pages into a directory
#[derive(Args, Debug)]
pub(crate) struct Generate {
    /// The directory; it is created if it does not exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(command: &Generate, mut program: Command) -> Result<(), Failure> {
    let dir = &command.dir;
    let written = fs::create_dir_all(dir).and_then(|()| {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            clap_complete::generate_to(shell, &mut program, "unstick", dir)?;
        }
        man_pages(program, dir)
    });
    written.map_err(|error| Failure::cannot(format_args!("write to {}", dir.display()), &error))
}

/// A page for the program and one for each command, such as `unstick-serve.1`.
fn man_pages(mut program: Command, dir: &Path) -> io::Result<()> {
    program.build();
    man_page(&program, dir)
}

/// The page of a command, and those of its own commands.
fn man_page(command: &Command, dir: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        man_page(command, dir)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    fs::write(dir.join(format!("{name}.1")), unfilled(&String::from_utf8_lossy(&page)))
}

/// The page with the lines of its last help text left as they are, not filled into paragraphs.
fn unfilled(page: &str) -> String {
    match page.split_once(".SH EXTRA\n") {
        Some((before, details)) => {
            let (details, after) = details.split_at(details.find(".SH ").unwrap_or(details.len()));
            format!("{before}.SH DETAILS\n.nf\n.in 0\n{details}.in\n.fi\n{after}")
        }
        None => page.into(),
    }
}
