//! An outcome as JSON: `docs/load.schema.json` says what is in it.

use crate::load::outcome::Outcome;

/// The outcome as one line of JSON.
pub fn json(outcome: &Outcome) -> String {
    serde_json::to_string(outcome).expect("an outcome has no map with other keys than text")
}

/// The outcome that was written by [`json`].
///
/// # Errors
/// Where the text is none, with its line and column.
pub fn from_json(text: &str) -> serde_json::Result<Outcome> {
    serde_json::from_str(text)
}
