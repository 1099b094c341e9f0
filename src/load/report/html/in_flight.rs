//! Frames in flight, and frames that wait to be sent, over time; connections, where some ended.

use super::chart::{Axis, Chart, LOW, Line, Scale, Shape, Stroke, Unit};
use super::figure::figure as framed;
use super::seconds::{Span, end, steps};
use crate::load::outcome::Outcome;

pub(super) fn figure(outcome: &Outcome, spans: &[Span]) -> String {
    let waiting = chart(
        spans,
        "frames",
        vec![
            ("in flight", 1, Stroke::Solid, |span| span.interval.in_flight),
            ("not sent", 2, Stroke::Dashed, |span| span.interval.backlog),
        ],
        "Frames in flight over time.",
    );
    let connections = chart(
        spans,
        "connections",
        vec![("", 1, Stroke::Solid, |span| span.interval.connections)],
        "Connections over time.",
    );
    let waiting = waiting.map(|chart| {
        framed(
            "How many frames were on their way?",
            &chart,
            "In flight: sent and not yet answered. Not sent: due, and held back. What grows without an end is a queue: more comes \
             than the server can answer.",
        )
    });
    let asked = outcome.plan.connections as u64;
    let some_ended = spans.iter().any(|span| span.mean(span.interval.connections) < asked as f64);
    let connections = connections.filter(|_| some_ended).map(|chart| {
        framed("How many connections were there?", &chart, "Each that fails, or is ended on purpose, is one fewer.")
    });
    [waiting, connections].into_iter().flatten().collect()
}

/// A name, a colour and a stroke, and what is drawn of each span.
type Drawn = (&'static str, u8, Stroke, fn(&Span) -> u64);

fn chart(spans: &[Span], name: &'static str, drawn: Vec<Drawn>, described: &str) -> Option<Chart> {
    let lines = drawn.into_iter().map(|(name, colour, stroke, of)| Line {
        shape: Shape::Steps,
        ..Line::new(name, colour, stroke, steps(spans, |span| span.mean(of(span))))
    });
    let lines: Vec<Line> = lines.filter(|line| line.values().any(|value| value > 0.0)).collect();
    let greatest = lines.iter().flat_map(Line::values).fold(0.0, f64::max);
    (greatest > 0.0).then(|| Chart {
        x: Axis { name: "", scale: Scale::up_to(end(spans)), unit: Unit::Clock },
        y: Axis { name, scale: Scale::from_zero(greatest), unit: Unit::Count },
        height: LOW,
        lines,
        marks: Vec::new(),
        described: described.into(),
    })
}
