//! Response times over time.

use super::chart::{Axis, Chart, Line, Scale, Stroke, TALL, Unit};
use super::figure::figure as framed;
use super::seconds::{Span, end, through};

/// What is drawn, from the top, and how.
const LINES: [(&str, f64, u8, Stroke); 4] = [
    ("max", 1.0, 4, Stroke::Dotted),
    ("p99.9", 0.999, 3, Stroke::DashDotted),
    ("p99", 0.99, 1, Stroke::Solid),
    ("p50", 0.5, 2, Stroke::Dashed),
];

pub(super) fn figure(spans: &[Span]) -> String {
    if spans.iter().all(|span| span.interval.response_ns.count() == 0) {
        return String::new();
    }
    let line = |(name, quantile, colour, stroke): (&str, f64, u8, Stroke)| {
        let value = |span: &Span| span.interval.response_ns.quantile(quantile).map(|time| time as f64);
        // A second alone is no line.
        Line { has_dots: spans.len() <= 12, ..Line::new(name, colour, stroke, through(spans, value)) }
    };
    let lines: Vec<Line> = LINES.into_iter().map(line).collect();
    let chart = Chart {
        x: Axis { name: "", scale: Scale::up_to(end(spans)), unit: Unit::Clock },
        y: Axis { name: "response time", scale: Scale::ratios(lines.iter().flat_map(Line::values)), unit: Unit::Time },
        height: TALL,
        lines,
        marks: Vec::new(),
        described: "Percentiles of the response time over time.".into(),
    };
    framed(
        "Were replies as fast all the time?",
        &chart,
        "Of the frames that were to be sent in a second, half were answered within p50 and 99 of 100 within p99. A peak is a \
         stall: frames waited.",
    )
}
