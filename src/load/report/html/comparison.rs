//! The differences to earlier runs, each with its interval.

use super::chart::{Interval, Row, Rows};
use super::escape::escape;
use crate::load::compare::{Comparison, Difference};

pub(super) fn figure(comparison: &Comparison) -> String {
    let drawable =
        |it: &&Difference| [it.ratio.low, it.ratio.value, it.ratio.high].iter().all(|ratio| ratio.is_finite());
    let rows: Vec<Row> = comparison.differences.iter().filter(drawable).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let (before, after) =
        comparison.differences.first().map_or((0, 0), |difference| (difference.before.len(), difference.after.len()));
    let explained = format!(
        "The change of each median from {before} earlier to {after} new runs, as a dot, with the interval in which it is with a confidence of \
         95 %. A line that crosses 0 % may be chance. Runs are compared, not frames: the frames of a run share its luck."
    );
    let notes: String = comparison.notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    let notes = if notes.is_empty() { notes } else { format!("<ul class=\"notes\">\n{notes}</ul>\n") };
    let described = "The change of each measure from the baseline, with its interval.".into();
    let chart = Rows { name: "change from the baseline", rows, described }.draw();
    format!(
        "<figure>\n<h3>Is it different from before?</h3>\n{chart}<figcaption>{}</figcaption>\n{notes}</figure>\n",
        escape(&explained)
    )
}

fn row(difference: &Difference) -> Row {
    let change = |ratio: f64| ratio - 1.0;
    let ratio = difference.ratio;
    let text = match (difference.seen, difference.is_better()) {
        (true, true) => "better",
        (true, false) => "worse",
        (false, _) => "no difference seen",
    };
    let needed = difference.runs_needed;
    Row {
        name: difference.measure.clone(),
        interval: Interval { low: change(ratio.low), value: change(ratio.value), high: change(ratio.high) },
        is_seen: difference.seen,
        text,
        more: needed.map_or(String::new(), |runs| format!("; {runs} runs a side would show one of this size")),
    }
}
