//! How late frames were sent, over time.

use super::chart::{Axis, Chart, LOW, Line, Scale, Stroke, Unit};
use super::figure::figure as framed;
use super::seconds::{Span, end, through};
use crate::load::times::Times;

pub(super) fn figure(spans: &[Span]) -> String {
    if spans.iter().all(|span| span.interval.send_lag_ns.count() == 0) {
        return String::new();
    }
    let line = |name: &str, colour, stroke, quantile, of: fn(&Span) -> &Times| {
        Line::new(name, colour, stroke, through(spans, |span| of(span).quantile(quantile).map(|time| time as f64)))
    };
    let lines = vec![
        line("max", 4, Stroke::Dotted, 1.0, |span| &span.interval.send_lag_ns),
        line("p99", 1, Stroke::Solid, 0.99, |span| &span.interval.send_lag_ns),
        line("own p99", 2, Stroke::Dashed, 0.99, |span| &span.interval.own_lag_ns),
    ];
    let chart = Chart {
        x: Axis { name: "", scale: Scale::up_to(end(spans)), unit: Unit::Clock },
        y: Axis { name: "send lag", scale: Scale::ratios(lines.iter().flat_map(Line::values)), unit: Unit::Time },
        height: LOW,
        lines,
        marks: Vec::new(),
        described: "How late frames were sent, over time.".into(),
    };
    framed(
        "Were frames sent in time?",
        &chart,
        "Send lag: how long after its scheduled time a frame was sent. Own: the part that is the load generator's fault; the rest \
         waited for the server to take more.",
    )
}
