//! What a trace leaves behind: text, and JSON and pictures where they are asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::trace::picture::{Picture, page};
use unstick::trace::{json, text};

use crate::exit::{Failure, log};

/// Where to write what besides text.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// Also write the trace as JSON to FILE; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also draw it as an SVG picture; - for standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Also draw it on a page of HTML, for any screen; - for standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Files {
    /// Writes the text of the traces to standard output, and the rest to its files. If any of it goes to standard output, the
    /// text goes to standard error. A file of JSON or SVG is of one trace.
    pub(super) fn write(&self, pictures: &[Picture<'_>]) -> Result<(), Failure> {
        let mut files: Vec<(&Path, String)> = Vec::new();
        for picture in pictures {
            files.extend(self.json.as_deref().map(|path| (path, json(picture.trace) + "\n")));
            files.extend(self.svg.as_deref().map(|path| (path, picture.svg())));
        }
        let title = if let [picture] = pictures { picture.title } else { "TCP connections" };
        files.extend(self.html.as_deref().map(|path| (path, page(title, pictures))));
        let shown: Vec<String> = pictures.iter().map(|picture| text(picture.trace)).collect();
        let (to_stdout, to_files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, _)| path.as_os_str() == "-");
        match to_stdout.is_empty() {
            true => print(&format!("{}\n", shown.join("\n\n")))?,
            false => log(format_args!("{}", shown.join("\n\n"))),
        }
        for (path, contents) in to_files {
            let written = std::fs::write(path, contents);
            written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error))?;
        }
        to_stdout.iter().try_for_each(|(_, contents)| print(contents))
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
