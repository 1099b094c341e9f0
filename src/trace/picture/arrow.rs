//! The arrow of a segment, from one rail to the other.

use super::shape::Shape;
use super::sheet::Sheet;
use crate::trace::{Direction, Flag, Mark, Segment};

/// Half of how far an arrow falls on its way.
pub(super) const HALF_FALL: f64 = 12.0;

/// The line of a segment and its head; across that of a reset, a cross.
pub(super) fn arrow(segment: &Segment, sheet: &Sheet, middle: f64) -> Vec<Shape> {
    let (from, to) = match segment.direction {
        Direction::ToServer => (sheet.client + 4.0, sheet.server - 4.0),
        Direction::ToClient => (sheet.server - 4.0, sheet.client + 4.0),
    };
    let (start, tip) = ((from, middle - HALF_FALL), (to, middle + HALF_FALL));
    let is_reset = segment.has(Flag::Rst);
    let [back, upper, lower] =
        [(6.0, 0.0), (11.0, -4.5), (11.0, 4.5)].map(|(along, across)| behind(start, tip, along, across));
    let mut shapes = vec![
        Shape::line(start, back, line(segment)),
        Shape::path(&[tip, upper, lower], true, if is_reset { "head-bad" } else { "head" }),
    ];
    if is_reset {
        shapes.extend(cross(behind(start, tip, 34.0, 0.0)));
    }
    shapes
}

/// The class of the line.
fn line(segment: &Segment) -> &'static str {
    let is_any = |marks: &[Mark]| marks.iter().any(|mark| segment.is(*mark));
    if segment.has(Flag::Rst) {
        "arrow-bad"
    } else if is_any(&[
        Mark::Retransmission,
        Mark::SpuriousRetransmission,
        Mark::PartialRetransmission,
        Mark::Duplicate,
    ]) {
        "arrow-again"
    } else if is_any(&[Mark::OutOfOrder]) {
        "arrow-late"
    } else {
        "arrow"
    }
}

/// The point so far behind the tip, and so far beside the line.
fn behind(start: (f64, f64), tip: (f64, f64), along: f64, across: f64) -> (f64, f64) {
    let (dx, dy) = (tip.0 - start.0, tip.1 - start.1);
    let length = dx.hypot(dy);
    let (dx, dy) = (dx / length, dy / length);
    (tip.0 - along * dx - across * dy, tip.1 - along * dy + across * dx)
}

/// The sign of a reset.
pub(super) fn cross((x, y): (f64, f64)) -> [Shape; 2] {
    [-6.0, 6.0].map(|rise| Shape::line((x - 6.0, y - rise), (x + 6.0, y + rise), "arrow-bad"))
}
