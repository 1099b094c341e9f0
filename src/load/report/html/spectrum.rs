//! The percentile spectrum: how long what part of the frames took, on an axis of nines.

use super::chart::{Axis, Chart, Line, Scale, Stroke, TALL, Unit};
use super::figure::figure as framed;
use super::middle;
use crate::load::outcome::Outcome;
use crate::load::results::Results;
use crate::load::times::Times;

/// The longest axis: 99.9999 %.
const MOST_NINES: f64 = 6.3;

pub(super) fn figure(results: &Results, shown: &Outcome) -> String {
    let runs = if results.runs.is_empty() { std::slice::from_ref(shown) } else { &results.runs };
    let most = runs.iter().chain(&results.baseline).map(|run| run.response_ns.count()).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let lines = lines(runs, &results.baseline, shown);
    let x = Axis {
        name: "part of all frames",
        scale: Scale::Nines { to: ((most as f64).log10() + 0.15).clamp(1.2, MOST_NINES) },
        unit: Unit::Part,
    };
    let y =
        Axis { name: "time to the reply", scale: Scale::ratios(lines.iter().flat_map(Line::values)), unit: Unit::Time };
    let described = "How long the replies took, by the part of all frames that took no longer.".into();
    let chart = Chart { x, y, height: TALL, lines, marks: Vec::new(), described };
    framed("How long did replies take?", &chart, &explained(runs.len() + results.baseline.len(), shown))
}

fn lines(runs: &[Outcome], baseline: &[Outcome], shown: &Outcome) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |name: &str, colour, stroke, times: &Times| {
        lines.push(Line::new(name, colour, stroke, spectrum(times)));
    };
    if let Some(before) = middle(baseline) {
        baseline.iter().for_each(|run| add("", 3, Stroke::Thin, &run.response_ns));
        add("baseline", 3, Stroke::DashDotted, &before.response_ns);
    }
    if runs.len() > 1 {
        runs.iter().for_each(|run| add("", 1, Stroke::Thin, &run.response_ns));
    }
    if shown.is_round_trip() {
        add("round trip", 1, Stroke::Solid, &shown.response_ns);
    } else {
        add("response", 1, Stroke::Solid, &shown.response_ns);
        // Where it covers the other, both are seen.
        add("service", 2, Stroke::Dashed, &shown.service_ns);
    }
    lines
}

/// For each time the part of the frames that took no longer: its begin and its end, as many took the same.
fn spectrum(times: &Times) -> Vec<(f64, Option<f64>)> {
    let (count, min, max) = (times.count() as f64, times.min().unwrap_or(0), times.max().unwrap_or(0));
    let mut up_to = 0;
    let step = |(value, frames): (u64, u64)| {
        let (begin, value) = (up_to, Some(value.clamp(min, max) as f64));
        up_to += frames;
        [(begin as f64 / count, value), (up_to as f64 / count, value)]
    };
    times.buckets().flat_map(step).collect()
}

fn explained(runs: usize, shown: &Outcome) -> String {
    let mut text =
        String::from("At 99 %, 99 of 100 frames were answered within the time on the left, and one took longer.");
    if !shown.is_round_trip() {
        text += " Response counts from when a frame was to be sent, which is what a user feels; service from when it was sent.";
    }
    if runs > 1 {
        text += " Thin lines are the single runs, thick ones the run in the middle.";
    }
    text
}
