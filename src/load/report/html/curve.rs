//! Latency over the rate that was offered, or over connections, with the knee.

use super::chart::{Axis, Chart, Line, Scale, Stroke, TALL, Unit};
use super::figure::figure;
use crate::load::curve::{Curve, Point};
use crate::load::outcome::Outcome;
use crate::load::show::{count, plural};
use crate::load::sweep::Swept;

/// The quantiles that are drawn, from the top.
const LINES: [(&str, f64, u8, Stroke); 3] =
    [("p99.9", 0.999, 3, Stroke::DashDotted), ("p99", 0.99, 1, Stroke::Solid), ("p50", 0.5, 2, Stroke::Dashed)];

pub(super) fn figures(curve: &Curve) -> String {
    let points = sorted(curve);
    if points.len() < 2 {
        return String::new();
    }
    latency(curve, &points) + &answered(curve, &points)
}

/// The value at which this run of the curve was, in words.
pub(super) fn value(curve: &Curve, run: &Outcome) -> String {
    match curve.swept {
        Swept::Rate => format!("{} frames/s", count(run.rate_asked.unwrap_or(0.0) as u64)),
        Swept::Connections => plural(run.plan.connections, "connection"),
    }
}

/// In the order of their values; of several at one value the last counts.
fn sorted(curve: &Curve) -> Vec<&Point> {
    let mut points: Vec<&Point> = curve.points.iter().rev().collect();
    points.sort_by(|one, other| one.value.total_cmp(&other.value));
    points.dedup_by(|one, other| one.value == other.value);
    points
}

fn axis(curve: &Curve, points: &[&Point]) -> Axis {
    let (least, greatest) = (points[0].value, points[points.len() - 1].value);
    let scale = match greatest > 8.0 * least {
        true => Scale::Log { from: least.max(1e-3), to: greatest },
        false => Scale::Linear { from: 0.0, to: greatest },
    };
    match curve.swept {
        Swept::Rate => Axis { name: "rate asked for, in frames a second", scale, unit: Unit::Rate },
        Swept::Connections => Axis { name: "connections", scale, unit: Unit::Count },
    }
}

fn latency(curve: &Curve, points: &[&Point]) -> String {
    let line = |(name, quantile, colour, stroke): (&str, f64, u8, Stroke)| {
        let at = |point: &&Point| (point.value, point.outcome.response_ns.quantile(quantile).map(|time| time as f64));
        Line { has_dots: true, ..Line::new(name, colour, stroke, points.iter().map(at).collect()) }
    };
    let lines: Vec<Line> = LINES.into_iter().map(line).collect();
    let knee = curve.knee.map(|knee| {
        let x = axis(curve, points);
        (knee, format!("knee: {}", x.unit.tick(knee)))
    });
    let chart = Chart {
        x: axis(curve, points),
        y: Axis { name: "response time", scale: Scale::ratios(lines.iter().flat_map(Line::values)), unit: Unit::Time },
        height: TALL,
        lines,
        marks: knee.into_iter().collect(),
        described: "Percentiles of the response time over what was varied.".into(),
    };
    let limits: Vec<String> = curve.limits.iter().map(ToString::to_string).collect();
    let limits = if limits.is_empty() { String::new() } else { format!(" and kept {}", limits.join(" and ")) };
    let explained = format!(
        "Each dot is a run. The knee is the greatest value up to which runs were measured as asked, had every byte right{limits}. \
         Where frames come faster than they are answered, the wait grows for as long as a run goes on."
    );
    figure("How much can it take?", &chart, &explained)
}

/// What was reached, beside what was asked for.
fn answered(curve: &Curve, points: &[&Point]) -> String {
    let of = |value: fn(&Outcome) -> f64| -> Vec<(f64, Option<f64>)> {
        points.iter().map(|point| (point.value, Some(value(&point.outcome)))).collect()
    };
    let answered = Line { has_dots: true, ..Line::new("answered", 1, Stroke::Solid, of(|run| run.frames_per_second)) };
    let mut lines = vec![answered];
    if curve.swept == Swept::Rate {
        lines.push(Line::new("asked", 3, Stroke::Dotted, of(|run| run.rate_asked.unwrap_or(0.0))));
    }
    let values = lines.iter().flat_map(Line::values);
    let x = axis(curve, points);
    let scale = match x.scale {
        Scale::Log { .. } if curve.swept == Swept::Rate => Scale::ratios(values),
        _ => Scale::from_zero(values.fold(0.0, f64::max)),
    };
    let chart = Chart {
        x,
        y: Axis { name: "frames a second", scale, unit: Unit::Rate },
        height: super::chart::LOW,
        lines,
        marks: curve.knee.map(|knee| (knee, String::new())).into_iter().collect(),
        described: "Frames answered a second over what was varied.".into(),
    };
    figure(
        "How much did it answer?",
        &chart,
        "Where the line bends away from what was asked for, the server, or the load generator, gave all it had.",
    )
}
