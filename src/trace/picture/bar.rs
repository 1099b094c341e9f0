//! The bytes of a segment as a bar on its arrow, cut at the edges of frames.

use super::piece::{Look, number, piece};
use super::shape::{Anchor, Area, Shape, Text};
use super::sheet::Sheet;
use crate::trace::{Part, Run, Trace};

/// Half of the height of a bar.
pub(super) const HALF_BAR: f64 = 11.0;
/// How many pieces are drawn, at most; of more, the first and the last.
const PIECES: usize = 24;
/// The width of what stands for the others.
const ELLIPSIS: f64 = 26.0;

/// The bar of a segment that carries `runs`, in the middle of its arrow.
pub(super) fn bar(trace: &Trace, runs: &[Run], sheet: &Sheet, middle: f64) -> Vec<Shape> {
    let shown = shown(runs);
    let widths = shown.iter().map(|run| run.map_or(ELLIPSIS, natural_width));
    let total: f64 = widths.clone().sum();
    let scale = (sheet.bar / total.max(1.0)).min(1.0);
    let mut x = sheet.middle() - total * scale / 2.0;
    let mut shapes = Vec::new();
    for (run, width) in shown.iter().zip(widths) {
        let area = Area::new(x, middle - HALF_BAR, width * scale, 2.0 * HALF_BAR);
        x = area.right();
        match run {
            Some(run) => shapes.extend(run_piece(trace, run, area)),
            None => shapes.extend(ellipsis(area)),
        }
    }
    shapes
}

/// The runs that are drawn; `None` for those that are not.
fn shown(runs: &[Run]) -> Vec<Option<&Run>> {
    if runs.len() <= PIECES {
        return runs.iter().map(Some).collect();
    }
    let (first, last) = (&runs[..PIECES / 2], &runs[runs.len() - PIECES / 2..]);
    first.iter().map(Some).chain([None]).chain(last.iter().map(Some)).collect()
}

fn natural_width(run: &Run) -> f64 {
    24.0 + 6.0 * (run.len as f64).sqrt().min(32.0)
}

fn ellipsis(area: Area) -> Vec<Shape> {
    let mut shapes = piece(area, Look::default());
    let text = Text::new(area.x + area.width / 2.0, area.y + HALF_BAR + 3.0, Anchor::Middle, 11.0);
    shapes.push(text.with("dim", "…").into());
    shapes
}

fn run_piece(trace: &Trace, run: &Run, area: Area) -> Vec<Shape> {
    let Some(frame) = run.frame.map(|index| &trace.frames[index]) else {
        return piece(area, Look { torn_right: run.part == Part::Unfinished, again: run.again, ..Look::default() });
    };
    let look = Look {
        frame: Some(frame.number),
        torn_left: run.offset > frame.offset,
        torn_right: run.offset + run.len < frame.end(),
        hatched: frame.split,
        again: run.again,
    };
    let mut shapes = piece(area, look);
    shapes.extend(number(area, frame.number, run.again));
    shapes
}
