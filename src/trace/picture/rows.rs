//! Which segments of a connection are drawn, one row each, and what stands between them.

use std::ops::Range;

use crate::trace::{Direction, Flag, Trace};

/// The segments at the beginning, and at the end, that are always drawn.
const FIRST: usize = 12;
const LAST: usize = 10;
/// The remarkable segments between those that are drawn, at most.
const REMARKABLE: usize = 16;

/// A step down the time axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Row {
    /// A segment, by its index.
    Segment(usize),
    /// Nothing happened, for so many microseconds.
    Pause(u64),
    /// Segments that are not drawn.
    LeftOut(Range<usize>),
    /// From here on one direction is closed, the one of this FIN.
    HalfClosed(Direction),
}

/// The rows of a picture: at most 12 + 10 + 16 segments, and those that stand alone between them.
pub(super) fn rows(trace: &Trace) -> Vec<Row> {
    let drawn = drawn(trace);
    let half_close = half_close(trace);
    let idle = idle(trace);
    let mut rows = Vec::new();
    let mut index = 0;
    while index < trace.segments.len() {
        if !drawn[index] {
            let end = (index..drawn.len()).find(|next| drawn[*next]).unwrap_or(drawn.len());
            rows.push(Row::LeftOut(index..end));
            index = end;
            continue;
        }
        if index > 0 && drawn[index - 1] {
            let gap = micros(trace.segments[index].time - trace.segments[index - 1].time);
            if gap >= idle {
                rows.push(Row::Pause(gap));
            }
        }
        rows.push(Row::Segment(index));
        if half_close.as_ref().is_some_and(|window| window.start == index) {
            rows.push(Row::HalfClosed(trace.segments[index].direction));
        }
        index += 1;
    }
    rows
}

/// Which segments are drawn: the first, the last, and of the rest those that have a mark or a flag of an opening or a close.
fn drawn(trace: &Trace) -> Vec<bool> {
    let count = trace.segments.len();
    let mut drawn: Vec<bool> = (0..count).map(|index| index < FIRST || index + LAST >= count).collect();
    let mut room = REMARKABLE;
    for (index, segment) in trace.segments.iter().enumerate() {
        let is_remarkable =
            !segment.marks.is_empty() || [Flag::Syn, Flag::Fin, Flag::Rst].iter().any(|flag| segment.has(*flag));
        if !drawn[index] && is_remarkable && room > 0 {
            drawn[index] = true;
            room -= 1;
        }
    }
    // A row that says that one segment is left out is no shorter than that segment.
    for index in 1..count.saturating_sub(1) {
        drawn[index] = drawn[index] || (drawn[index - 1] && drawn[index + 1]);
    }
    drawn
}

/// The segments in the half-close: from the first FIN to that of the other end, or to what ends the connection before it.
pub(super) fn half_close(trace: &Trace) -> Option<Range<usize>> {
    let start = trace.segments.iter().position(|segment| segment.has(Flag::Fin))?;
    let first = trace.segments[start].direction;
    let ends = trace.segments[start..]
        .iter()
        .position(|segment| (segment.has(Flag::Fin) && segment.direction != first) || segment.has(Flag::Rst));
    Some(start..ends.map_or(trace.segments.len(), |after| start + after))
}

/// From how many microseconds on a gap is a pause: ten times the usual gap, and at least 5 ms.
fn idle(trace: &Trace) -> u64 {
    let mut gaps: Vec<u64> = trace.segments.windows(2).map(|pair| micros(pair[1].time - pair[0].time)).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
    usual.saturating_mul(10).max(5_000)
}

/// Seconds in microseconds; a clock that went back gives 0.
pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}
