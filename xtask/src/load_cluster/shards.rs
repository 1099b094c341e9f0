//! What the shards of a recipe measured, and what was merged of it.

use std::error::Error;
use std::fs;
use std::path::Path;

use unstick::load::{self, Outcome, ShardFile, Times};

use crate::text::count;

/// A number of an outcome, and times of it.
type Count = fn(&Outcome) -> u64;
type Kind = fn(&Outcome) -> &Times;

/// The shards of each recipe.
const SHARDS: usize = 4;

/// Checks that what the program merged is the sum of the shards, and that it printed that; says what it is.
///
/// # Errors
/// Where it is not, or a file is missing.
pub(super) fn check(folder: &Path, printed: &str) -> Result<String, Box<dyn Error>> {
    let mut shards = Vec::new();
    for number in 0..SHARDS {
        let name = folder.join(format!("shard-{number}.json"));
        let content = fs::read(&name).map_err(|error| format!("{}: {error}", name.display()))?;
        shards.push(ShardFile::read(name.display().to_string(), &content)?);
    }
    let merged = load::from_json(&fs::read_to_string(folder.join("load.json"))?)?;
    if merged.verdict.is_unusable() {
        return Err(load::text(&merged).into());
    }
    if !printed.contains(&load::text(&merged)) {
        return Err(format!("it printed another report:\n{printed}").into());
    }
    let outcomes: Vec<&Outcome> = shards.iter().map(ShardFile::outcome).collect();
    let sums: [(&str, Count); 5] = [
        ("sent", |outcome| outcome.frames_sent),
        ("right", |outcome| outcome.frames_verified),
        ("wrong", |outcome| outcome.frames_wrong),
        ("lost", |outcome| outcome.frames_lost),
        ("in flight", |outcome| outcome.frames_in_flight),
    ];
    for (what, of) in sums {
        let (sum, is) = (outcomes.iter().map(|outcome| of(outcome)).sum::<u64>(), of(&merged));
        if sum != is {
            return Err(format!("frames {what}: {is} merged, and {sum} in all shards").into());
        }
    }
    let kinds: [(&str, Kind); 4] = [
        ("response", |outcome| &outcome.response_ns),
        ("service", |outcome| &outcome.service_ns),
        ("send lag", |outcome| &outcome.send_lag_ns),
        ("own lag", |outcome| &outcome.own_lag_ns),
    ];
    for (what, of) in kinds {
        let mut all = Times::default();
        outcomes.iter().for_each(|outcome| all.add_all(of(outcome)));
        if all != *of(&merged) {
            return Err(format!("{what} times: merged they are not those of all shards").into());
        }
    }
    let within = merged.merged.as_ref().and_then(|merged| merged.began_within).ok_or("no shard began")?;
    Ok(format!(
        "{}\n{SHARDS} shards began within {:.1} ms of each other; their {} frames and {} response times add up to what was merged",
        load::text(&merged),
        1e3 * within,
        count(merged.frames_sent),
        count(merged.response_ns.count()),
    ))
}
