//! The rate asked for, sent and answered, over time.

use super::chart::{Axis, Chart, LOW, Line, Scale, Shape, Stroke, Unit};
use super::figure::figure as framed;
use super::seconds::{Span, end, steps};
use crate::load::outcome::Outcome;
use crate::load::plan::Reply;

pub(super) fn figure(outcome: &Outcome, spans: &[Span]) -> String {
    let line = |name: &str, colour, stroke, value: &dyn Fn(&Span) -> f64| Line {
        shape: Shape::Steps,
        ..Line::new(name, colour, stroke, steps(spans, value))
    };
    // What covers another line is not solid.
    let mut lines = vec![line("sent", 1, Stroke::Solid, &|span| span.a_second(span.interval.sent_by_clock))];
    if let Some(asked) = outcome.rate_asked {
        lines.push(line("asked", 3, Stroke::Dotted, &|_| asked));
    }
    if outcome.plan.reply != Reply::None {
        let name = if outcome.plan.reply == Reply::Push { "delivered" } else { "answered" };
        lines.push(line(name, 2, Stroke::Dashed, &|span| span.a_second(span.interval.answered_by_clock)));
    }
    let greatest = lines.iter().flat_map(Line::values).fold(0.0, f64::max);
    if greatest == 0.0 {
        return String::new();
    }
    let chart = Chart {
        x: Axis { name: "", scale: Scale::up_to(end(spans)), unit: Unit::Clock },
        y: Axis { name: "frames a second", scale: Scale::from_zero(greatest), unit: Unit::Rate },
        height: LOW,
        lines,
        marks: Vec::new(),
        described: "Frames a second that were asked for, sent and answered, over time.".into(),
    };
    framed(
        "Was the rate kept?",
        &chart,
        match outcome.rate_asked {
            Some(_) => {
                "Frames sent below the rate asked for were held up; a dip of those answered is a stall, and the peak after it \
                 is the server catching up."
            }
            None => "In a closed loop the next frame is sent when a reply has come: so the server sets the rate.",
        },
    )
}
