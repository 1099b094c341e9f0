//! What a trace leaves behind: text, and JSON where it is asked for.

use std::io::{self, Write};
use std::path::Path;

use unstick::trace::{Trace, json, text};

use crate::exit::{Failure, log};

/// Writes the text to standard output, and the JSON to its file. If the JSON goes to standard output, the text goes to standard
/// error.
pub(super) fn write(trace: &Trace, path: Option<&Path>) -> Result<(), Failure> {
    match path {
        Some(path) if path.as_os_str() == "-" => {
            log(format_args!("{}", text(trace)));
            to_stdout(&json(trace))
        }
        Some(path) => {
            let written = std::fs::write(path, format!("{}\n", json(trace)));
            to_stdout(&text(trace))?;
            written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error))
        }
        None => to_stdout(&text(trace)),
    }
}

fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
