//! A piece of a frame as a coloured bar: torn where the frame goes on elsewhere, hatched if it came in several segments.

use super::shape::{Anchor, Area, Shape, Text};
use super::text::width;

/// How wide and how far apart the teeth of a torn edge are, in pixels.
const TOOTH: (f64, f64) = (4.0, 5.0);

/// What a piece looks like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Its frame's number, which chooses the colour; `None` for bytes of no frame.
    pub(super) frame: Option<u64>,
    pub(super) torn_left: bool,
    pub(super) torn_right: bool,
    pub(super) hatched: bool,
    /// Whether its bytes came before: an outline without colour.
    pub(super) again: bool,
}

/// The class of a frame's colour: neighbours differ in lightness, too.
fn colour(look: Look) -> String {
    match look.frame {
        _ if look.again => "segment-again".to_owned(),
        Some(number) => format!("piece frame-{}", number.saturating_sub(1) % 4),
        None => "piece unframed".to_owned(),
    }
}

/// The shapes of a piece.
pub(super) fn piece(area: Area, look: Look) -> Vec<Shape> {
    let outline = outline(area, look);
    let mut shapes = vec![Shape::path(&outline, true, colour(look))];
    if look.hatched {
        shapes.push(Shape::path(&outline, true, "hatch"));
    }
    shapes
}

/// The number of a frame in the middle of its piece, if there is room.
pub(super) fn number(area: Area, frame: u64, again: bool) -> Option<Shape> {
    let label = format!("#{frame}");
    let class = if again { "strong" } else { "strong-frame" };
    let is_room = width(&label, 11.0) * 1.07 + 8.0 <= area.width;
    is_room.then(|| {
        let text = Text::new(area.x + area.width / 2.0, area.y + area.height / 2.0 + 4.0, Anchor::Middle, 11.0);
        text.with(class, label).into()
    })
}

/// The corners of a piece, clockwise from the top left.
fn outline(area: Area, look: Look) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let teeth = teeth(area);
    match look.torn_right {
        true => points.extend(teeth.iter().map(|(y, depth)| (area.right() - depth, *y))),
        false => points.extend([(area.right(), area.y), (area.right(), area.bottom())]),
    }
    match look.torn_left {
        // The same teeth, so that the torn ends of two pieces fit together.
        true => points.extend(teeth.iter().rev().map(|(y, depth)| (area.x + TOOTH.0 - depth, *y))),
        false => points.extend([(area.x, area.bottom()), (area.x, area.y)]),
    }
    points
}

/// From top to bottom: where a torn edge turns, and how deep it is there.
fn teeth(area: Area) -> Vec<(f64, f64)> {
    let count = (area.height / TOOTH.1).round().max(2.0) as usize;
    let step = area.height / count as f64;
    let depth = TOOTH.0.min(area.width / 2.0);
    (0..=count).map(|index| (area.y + index as f64 * step, if index % 2 == 0 { 0.0 } else { depth })).collect()
}
