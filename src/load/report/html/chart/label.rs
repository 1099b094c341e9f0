//! Names at the ends of lines, moved apart so that each can be read.

use super::Line;

/// A name, at the height of its line's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'a> {
    pub(super) at: f64,
    pub(super) line: &'a Line,
}

/// The labels from top to bottom, `gap` apart at least, and between `top` and `bottom` where there is room for all.
pub(super) fn apart(mut labels: Vec<Label<'_>>, gap: f64, top: f64, bottom: f64) -> Vec<Label<'_>> {
    labels.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut free_from = top;
    for label in &mut labels {
        label.at = label.at.max(free_from);
        free_from = label.at + gap;
    }
    let mut free_to = bottom;
    for label in labels.iter_mut().rev() {
        label.at = label.at.min(free_to);
        free_to = label.at - gap;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::super::Stroke;
    use super::*;

    #[test]
    fn labels_stand_apart_and_inside() {
        let line = Line::new("", 1, Stroke::Solid, Vec::new());
        let at = |at| Label { at, line: &line };
        let moved = apart(vec![at(98.0), at(50.0), at(52.0), at(99.0)], 10.0, 0.0, 100.0);
        let moved: Vec<f64> = moved.iter().map(|label| label.at).collect();
        assert_eq!(moved, [50.0, 60.0, 90.0, 100.0]);
    }
}
