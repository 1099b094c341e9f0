//! A trace as JSON: `docs/trace.schema.json` says what is in it.

use super::model::Trace;

/// The trace as one line of JSON.
pub fn json(trace: &Trace) -> String {
    serde_json::to_string(trace).expect("a trace has no map with other keys than text")
}

/// The trace that was written by [`json`].
///
/// # Errors
/// Where the text is none, with its line and column.
pub fn from_json(text: &str) -> serde_json::Result<Trace> {
    serde_json::from_str(text)
}
