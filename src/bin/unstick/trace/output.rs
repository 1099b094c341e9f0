//! What a trace leaves behind: text, and JSON and pictures where they are asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::trace::picture::{Picture, page};
use unstick::trace::{Trace, json, text};

use crate::exit::{Failure, log};

/// Where to write what besides text.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// Write the trace as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw it as an SVG picture; - is standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Draw it on a page of HTML; - is standard output
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A trace, and what is said of it.
pub(super) struct Shown {
    pub(super) name: &'static str,
    pub(super) title: String,
    /// Empty if it teaches nothing.
    pub(super) lesson: &'static str,
    pub(super) trace: Trace,
}

impl Shown {
    fn picture(&self) -> Picture<'_> {
        Picture { name: self.name, title: &self.title, lesson: self.lesson, trace: &self.trace }
    }

    fn text(&self) -> String {
        let Shown { name, title, lesson, trace } = self;
        if lesson.is_empty() { text(trace) } else { format!("{name}: {title}\n{lesson}\n\n{}", text(trace)) }
    }
}

impl Files {
    /// Refuses what so many traces cannot be written to, and two forms in one stream; packets go to `save`.
    pub(super) fn check(&self, traces: usize, save: Option<&Path>) -> Result<(), Failure> {
        if self.svg.is_some() && traces > 1 {
            return Err(Failure::usage("--svg draws one picture; --html draws all on one page"));
        }
        let files = [&self.json, &self.svg, &self.html].map(Option::as_deref).into_iter().chain([save]).flatten();
        let to_stdout = files.filter(|path| path.as_os_str() == "-");
        match to_stdout.count() {
            0 | 1 => Ok(()),
            _ => Err(Failure::usage("only one of --json, --svg, --html and --save can be -, standard output")),
        }
    }

    /// Writes the text of the traces to standard output, and the rest to its files. If any of it goes to standard output, the
    /// text goes to standard error. Several traces are an array in JSON, and an SVG is of the first. `saved` is a file more.
    pub(super) fn write(&self, all: &[Shown], saved: Option<(&Path, Vec<u8>)>) -> Result<(), Failure> {
        let pictures: Vec<Picture<'_>> = all.iter().map(Shown::picture).collect();
        let mut files: Vec<(&Path, Vec<u8>)> = saved.into_iter().collect();
        files.extend(self.json.as_deref().map(|path| (path, (all_json(all) + "\n").into_bytes())));
        files.extend(
            self.svg.as_deref().zip(pictures.first()).map(|(path, picture)| (path, picture.svg().into_bytes())),
        );
        let title = if let [picture] = &pictures[..] { picture.title } else { "TCP and frames, as they happen" };
        files.extend(self.html.as_deref().map(|path| (path, page(title, &pictures).into_bytes())));
        let shown: Vec<String> = all.iter().map(Shown::text).collect();
        let (to_stdout, to_files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(path, _)| path.as_os_str() == "-");
        match to_stdout.is_empty() {
            true => print(format!("{}\n", shown.join("\n\n")).as_bytes())?,
            false => log(format_args!("{}", shown.join("\n\n"))),
        }
        for (path, contents) in to_files {
            let written = std::fs::write(path, contents);
            written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error))?;
        }
        to_stdout.iter().try_for_each(|(_, contents)| print(contents))
    }
}

/// The trace, or all of them in an array.
fn all_json(all: &[Shown]) -> String {
    match all {
        [one] => json(&one.trace),
        _ => format!("[{}]", all.iter().map(|shown| json(&shown.trace)).collect::<Vec<_>>().join(",\n")),
    }
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
