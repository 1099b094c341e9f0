//! Where text and numbers go. Opened before the run, so that a mistake is not told after it.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

#[derive(Default)]
pub(super) struct Output {
    /// JSON goes to standard output, text to standard error.
    json_to_stdout: bool,
    json: Option<(PathBuf, File)>,
    /// Where the page goes.
    page: Option<(PathBuf, File)>,
    /// The page and the numbers of the runs.
    results: Option<(String, Value)>,
    /// What could not be written first.
    lost: Option<String>,
}

impl Output {
    /// The page goes to `html`, and otherwise, if it can be written, to `default`.
    pub(super) fn open(json: Option<&Path>, html: Option<&Path>, default: Option<PathBuf>) -> Result<Output, String> {
        let create = |flag: &str, path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => Err(format!("{flag} {}: {error}", path.display())),
        };
        let json_to_stdout = json.is_some_and(|path| path.as_os_str() == "-");
        let json = json.filter(|_| !json_to_stdout).map(|path| create("--json", path)).transpose()?;
        let page = match html {
            Some(path) => Some(create("--html", path)?),
            None => default.and_then(|path| create("", &path).ok()),
        };
        Ok(Output { json_to_stdout, json, page, ..Output::default() })
    }

    pub(super) fn results(&mut self, html: String, json: Value) {
        self.results = Some((html, json));
    }

    pub(super) fn say(&mut self, text: &str) {
        if self.json_to_stdout {
            eprintln!("{text}");
        } else {
            let said = writeln!(io::stdout(), "{text}");
            self.keep("standard output", said);
        }
    }

    /// Writes the results, if there are any.
    ///
    /// # Errors
    /// With what could not be written first.
    pub(super) fn finish(mut self) -> Result<(), Box<dyn Error>> {
        let Some((html, json)) = self.results.take() else { return Ok(()) };
        if let Some((path, mut file)) = self.page.take() {
            match file.write_all(html.as_bytes()) {
                Ok(()) => self.say(&format!("\nA page with charts, for a browser: {}", path.display())),
                failed => self.keep(&path.display().to_string(), failed),
            }
        }
        if self.json_to_stdout {
            let written = writeln!(io::stdout(), "{json}");
            self.keep("standard output", written);
        } else if let Some((path, mut file)) = self.json.take() {
            let written = writeln!(file, "{json}");
            self.keep(&format!("--json {}", path.display()), written);
        }
        Ok(self.lost.map_or(Ok(()), Err)?)
    }

    fn keep(&mut self, what: &str, written: io::Result<()>) {
        if let Err(error) = written {
            self.lost.get_or_insert(format!("{what}: {error}"));
        }
    }
}
