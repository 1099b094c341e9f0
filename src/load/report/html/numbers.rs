//! The numbers behind the charts, in tables.

use super::curve::value;
use super::escape::escape;
use crate::load::compare::{Comparison, Difference};
use crate::load::curve::Curve;
use crate::load::outcome::{Outcome, Verdict};
use crate::load::plan::Pacing;
use crate::load::results::Results;
use crate::load::show::{count, duration};
use crate::load::times::Times;

const QUANTILES: [(&str, f64); 7] = [
    ("50 %", 0.5),
    ("90 %", 0.9),
    ("99 %", 0.99),
    ("99.9 %", 0.999),
    ("99.99 %", 0.9999),
    ("99.999 %", 0.99999),
    ("all", 1.0),
];

pub(super) fn tables(results: &Results, shown: &Outcome) -> String {
    let tables = [
        results.curve.as_ref().map(of_curve).unwrap_or_default(),
        if results.runs.len() > 1 { of_runs(&results.runs, &results.baseline) } else { String::new() },
        results.comparison.as_ref().map(of_comparison).unwrap_or_default(),
        of_times(shown),
    ];
    format!("<h2>The numbers</h2>\n{}", tables.concat())
}

/// How long what part of the frames took.
fn of_times(shown: &Outcome) -> String {
    let closed = shown.plan.pacing == Pacing::Closed;
    let mut columns: Vec<(&str, &Times)> = match shown.is_round_trip() {
        true => vec![("round trip", &shown.response_ns)],
        false => vec![("response", &shown.response_ns), ("service", &shown.service_ns)],
    };
    if !closed {
        columns.extend([("send lag", &shown.send_lag_ns), ("our own lag", &shown.own_lag_ns)]);
    }
    columns.retain(|(_, times)| times.count() > 0);
    if columns.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = std::iter::once("of frames, within").chain(columns.iter().map(|(name, _)| *name)).collect();
    let count = shown.response_ns.count() as f64;
    let told_apart = |quantile: &f64| *quantile == 1.0 || count * (1.0 - quantile) >= 1.0;
    let rows = QUANTILES.iter().filter(|(_, quantile)| told_apart(quantile)).map(|(name, quantile)| {
        let times = columns.iter().map(|(_, times)| times.quantile(*quantile).map_or_else(|| "–".into(), duration));
        std::iter::once((*name).to_owned()).chain(times).collect()
    });
    table(&names, &rows.collect::<Vec<_>>())
}

fn of_runs(runs: &[Outcome], baseline: &[Outcome]) -> String {
    let row = |name: String, run: &Outcome| [vec![name], of_run(run)].concat();
    let before = baseline.iter().enumerate().map(|(index, run)| row(format!("baseline {}", index + 1), run));
    let after = runs.iter().enumerate().map(|(index, run)| row(format!("run {}", index + 1), run));
    table(&["", "verdict", "frames/s", "p50", "p99", "p99.9", "max"], &before.chain(after).collect::<Vec<_>>())
}

fn of_curve(curve: &Curve) -> String {
    let rows = curve.points.iter().map(|point| {
        let mark = if Some(point.value) == curve.knee { " ◂ knee" } else { "" };
        [vec![value(curve, &point.outcome) + mark], of_run(&point.outcome)].concat()
    });
    table(&["at", "verdict", "answered /s", "p50", "p99", "p99.9", "max"], &rows.collect::<Vec<_>>())
}

fn of_run(run: &Outcome) -> Vec<String> {
    let verdict = match run.verdict {
        Verdict::Verified => "✓ verified",
        Verdict::Incomplete => "… incomplete",
        Verdict::ExpectationMissed => "✗ missed",
        Verdict::NotAsAsked => "! not as asked",
        Verdict::Wrong => "✗ wrong",
    };
    let times =
        [0.5, 0.99, 0.999, 1.0].map(|quantile| run.response_ns.quantile(quantile).map_or_else(|| "–".into(), duration));
    [vec![verdict.into(), count(run.frames_per_second as u64)], times.to_vec()].concat()
}

fn of_comparison(comparison: &Comparison) -> String {
    let rows = comparison.differences.iter().map(|it| {
        let Difference { measure, unit, difference, p, seen, .. } = it;
        let (before, after) = it.medians();
        let shown = |value: f64| match &unit[..] {
            "ns" if value < 0.0 => format!("−{}", duration(-value as u64)),
            "ns" => duration(value as u64),
            _ if value < 0.0 => format!("−{}", count(-value as u64)),
            _ => count(value as u64),
        };
        vec![
            measure.clone(),
            shown(before),
            shown(after),
            format!("{} ({} to {})", shown(difference.value), shown(difference.low), shown(difference.high)),
            format!("{p:.3}"),
            if *seen { "yes" } else { "no" }.into(),
        ]
    });
    let names = ["median of", "before", "after", "difference, 95 % interval", "p", "seen"];
    table(&names, &rows.collect::<Vec<_>>())
}

/// The first column names the rows.
fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let heads: String = names.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    let rows = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(index, cell)| match index {
            0 => format!("<th scope=\"row\">{}</th>", escape(cell)),
            _ => format!("<td>{}</td>", escape(cell)),
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    });
    let rows: String = rows.collect();
    format!("<div class=\"scroll\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}
