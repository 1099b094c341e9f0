//! What a load leaves behind: text, and files where they are asked for. Opened before the run; what cannot be written
//! costs only itself.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::load::{Results, hlog, results_html, results_json, results_text};

use crate::exit::{Failure, log};

/// Where to write what besides text.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// Write the results as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a page with charts, for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write an HdrHistogram log, second by second
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    hlog: Option<PathBuf>,
}

/// Where the results go.
pub(super) struct Outputs {
    /// JSON goes to standard output: the text then goes to standard error.
    json_to_stdout: bool,
    files: Vec<Output>,
    /// The first thing that cannot be written.
    lost: Option<Failure>,
}

/// A file, and what is written into it.
struct Output {
    path: PathBuf,
    file: File,
    made: fn(&Results) -> String,
}

impl Files {
    /// Opens them.
    pub(super) fn open(&self) -> Outputs {
        let json_to_stdout = self.json.as_deref().is_some_and(|path| path.as_os_str() == "-");
        let mut outputs = Outputs { json_to_stdout, files: Vec::new(), lost: None };
        if !json_to_stdout {
            outputs.file("--json", self.json.as_deref(), |results| results_json(results) + "\n");
        }
        outputs.file("--html", self.html.as_deref(), results_html);
        outputs.file("--hlog", self.hlog.as_deref(), |results| {
            let points = results.curve.iter().flat_map(|curve| &curve.points).map(|point| &point.outcome);
            hlog(results.runs.iter().chain(points))
        });
        outputs
    }
}

impl Outputs {
    /// Opens a file, and says at once if it cannot.
    fn file(&mut self, flag: &str, path: Option<&Path>, made: fn(&Results) -> String) {
        let Some(path) = path else { return };
        match File::create(path) {
            Ok(file) => self.files.push(Output { path: path.into(), file, made }),
            Err(error) => {
                log(format_args!("unstick: {flag} {}: {error}; all else goes on without it", path.display()));
                self.lose(Err(Failure::cannot(format_args!("write {}", path.display()), &error)));
            }
        }
    }

    /// Writes the results to all of them.
    pub(super) fn write(mut self, results: &Results) -> Result<(), Failure> {
        let report = results_text(results);
        for Output { path, mut file, made } in std::mem::take(&mut self.files) {
            let written = file.write_all(made(results).as_bytes());
            self.lose(written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error)));
        }
        if self.json_to_stdout {
            log(format_args!("{report}"));
            self.lose(to_stdout(&results_json(results)));
        } else {
            self.lose(to_stdout(&report));
        }
        self.lost.map_or(Ok(()), Err)
    }

    fn lose(&mut self, written: Result<(), Failure>) {
        if let Err(failure) = written
            && self.lost.is_none()
        {
            self.lost = Some(failure);
        }
    }
}

/// Where its reader went away, it has all it wanted.
fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::cannot("write to standard output", &error))
        }
        _ => Ok(()),
    }
}
