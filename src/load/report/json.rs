//! Outcomes and results as JSON: `docs/load.schema.json` says what is in it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::load::outcome::Outcome;
use crate::load::results::Results;

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

/// The results as one line of JSON. A single run that is compared with nothing is written as [`json`] writes it.
pub fn results_json(results: &Results) -> String {
    match (&results.runs[..], &results.curve, &results.comparison) {
        ([run], None, None) => json(run),
        _ => serde_json::to_string(results).expect("results have no map with other keys than text"),
    }
}

/// The results that were written by [`results_json`], or the outcome that was written by [`json`], as results of one
/// run.
///
/// # Errors
/// Where the text is neither, with its line and column.
pub fn results_from_json(text: &str) -> serde_json::Result<Results> {
    /// What results have and an outcome has not.
    #[derive(Deserialize)]
    struct Peek {
        runs: Option<IgnoredAny>,
    }
    match serde_json::from_str(text)? {
        Peek { runs: Some(IgnoredAny) } => serde_json::from_str(text),
        Peek { runs: None } => Ok(Results::of_runs(vec![from_json(text)?])),
    }
}
