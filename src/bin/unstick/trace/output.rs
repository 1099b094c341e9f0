//! What traces leave behind: text, and JSON where it is asked for.

use std::io::{self, Write};
use std::path::Path;

use unstick::trace::{Trace, json, text};

use crate::exit::{Failure, log};

/// A trace and what is said above it.
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) lesson: String,
    pub(super) trace: Trace,
}

/// Writes the texts to standard output, and the JSON to its file. If the JSON goes to standard output, the texts go to standard
/// error.
pub(super) fn write(shown: &[Shown], path: Option<&Path>) -> Result<(), Failure> {
    let text = all_text(shown);
    match path {
        Some(path) if path.as_os_str() == "-" => {
            log(format_args!("{text}"));
            to_stdout(&all_json(shown))
        }
        Some(path) => {
            let written = std::fs::write(path, format!("{}\n", all_json(shown)));
            to_stdout(&text)?;
            written.map_err(|error| Failure::cannot(format_args!("write {}", path.display()), &error))
        }
        None => to_stdout(&text),
    }
}

/// The trace, or all of them in an array.
fn all_json(shown: &[Shown]) -> String {
    match shown {
        [one] => json(&one.trace),
        _ => format!("[{}]", shown.iter().map(|shown| json(&shown.trace)).collect::<Vec<_>>().join(",\n")),
    }
}

/// The texts, each below what is said of it.
fn all_text(shown: &[Shown]) -> String {
    let texts = shown.iter().map(|Shown { name, title, lesson, trace }| match title.is_empty() {
        true => text(trace),
        false => format!("{name}: {title}\n{lesson}\n\n{}", text(trace)),
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
