//! The outline of lines, in units of the picture.

use std::fmt::Write;

/// How a line goes from point to point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// Straight.
    Straight,
    /// A point's value goes on until the next point.
    Steps,
}

/// Points that are nearer than this are one.
const NEAR: f64 = 0.3;

/// A path through these points, with gaps where there is no value.
pub(super) fn path(points: &[(f64, Option<f64>)], shape: Shape) -> String {
    let mut text = String::new();
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in points {
        let Some(y) = *y else {
            if let (Shape::Steps, Some(_)) = (shape, last) {
                _ = write!(text, "H{x:.1}");
            }
            last = None;
            continue;
        };
        match last {
            None => _ = write!(text, "M{x:.1} {y:.1}"),
            Some((last_x, last_y)) if (x - last_x).abs() < NEAR && (y - last_y).abs() < NEAR => continue,
            Some(_) if shape == Shape::Steps => _ = write!(text, "H{x:.1}V{y:.1}"),
            Some(_) => _ = write!(text, "L{x:.1} {y:.1}"),
        }
        last = Some((*x, y));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_and_drops_points_that_do_not_show() {
        let points = [(0.0, Some(1.0)), (0.1, Some(1.1)), (2.0, Some(3.0)), (3.0, None), (4.0, Some(5.0))];
        assert_eq!(path(&points, Shape::Straight), "M0.0 1.0L2.0 3.0M4.0 5.0");
        assert_eq!(path(&points, Shape::Steps), "M0.0 1.0H2.0V3.0H3.0M4.0 5.0");
        assert_eq!(path(&[], Shape::Straight), "");
    }
}
