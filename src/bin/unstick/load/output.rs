//! What a load leaves behind: text, and JSON where it is asked for. Opened before the run; what cannot be written costs only itself.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use unstick::load::{Results, results_json, results_text};

use crate::exit::{Failure, log};

/// Where the results go.
pub(super) struct Outputs {
    json: Json,
    /// The first thing that cannot be written.
    lost: Option<Failure>,
}

enum Json {
    Nowhere,
    /// Standard output: the text then goes to standard error.
    Stdout,
    File(PathBuf, File),
}

impl Outputs {
    /// Opens what can be opened, and says at once what cannot.
    pub(super) fn open(path: Option<&Path>) -> Outputs {
        let mut lost = None;
        let json = match path {
            None => Json::Nowhere,
            Some(path) if path.as_os_str() == "-" => Json::Stdout,
            Some(path) => match File::create(path) {
                Ok(file) => Json::File(path.into(), file),
                Err(error) => {
                    log(format_args!("unstick: --json {}: {error}; the run goes on without it", path.display()));
                    lost = Some(Failure::cannot(format_args!("write {}", path.display()), &error));
                    Json::Nowhere
                }
            },
        };
        Outputs { json, lost }
    }

    /// Writes the results to all of them.
    pub(super) fn write(mut self, results: &Results) -> Result<(), Failure> {
        let report = results_text(results);
        match self.json {
            Json::Nowhere => self.lose(to_stdout(&report)),
            Json::Stdout => {
                log(format_args!("{report}"));
                self.lose(to_stdout(&results_json(results)));
            }
            Json::File(ref path, ref mut file) => {
                let written = file.write_all(format!("{}\n", results_json(results)).as_bytes());
                let written =
                    written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error));
                self.lose(written);
                self.lose(to_stdout(&report));
            }
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
