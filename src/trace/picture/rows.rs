//! Which segments of a connection are drawn, one row each, and what stands between them.

use std::cmp::Reverse;
use std::ops::Range;

use super::words::frames_in;
use crate::trace::{Direction, Flag, Trace};

/// Of a connection of so many segments all are drawn.
const ALL: usize = 32;
/// Of a longer one, so many at the beginning and at the end.
const FIRST: usize = 10;
const LAST: usize = 8;
/// Of those between: how many that have a mark, or a flag of an opening or a close; and how many of those with the most frames.
const MARKED: usize = 16;
const STUCK: usize = 4;
/// The shortest stretch that is left out.
const GAP: usize = 3;

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

/// The rows of a picture: however long the connection is, fewer than a hundred.
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

/// Which segments are drawn: the first, the last, and of the rest the remarkable ones.
fn drawn(trace: &Trace) -> Vec<bool> {
    let count = trace.segments.len();
    let mut drawn: Vec<bool> = (0..count).map(|index| count <= ALL || index < FIRST || index + LAST >= count).collect();
    for index in remarkable(trace, &drawn) {
        drawn[index] = true;
    }
    let mut index = 0;
    while index < count {
        let gap = drawn[index..].iter().take_while(|is_drawn| !**is_drawn).count();
        if gap < GAP {
            drawn[index..index + gap].fill(true);
        }
        index += gap + 1;
    }
    drawn
}

/// Of the segments that are not drawn: those with a mark or a flag that is not usual, and those with the most frames.
fn remarkable(trace: &Trace, drawn: &[bool]) -> Vec<usize> {
    let rest: Vec<usize> = (0..drawn.len()).filter(|index| !drawn[*index]).collect();
    let has_mark = |index: &usize| {
        let segment = &trace.segments[*index];
        !segment.marks.is_empty() || [Flag::Syn, Flag::Fin, Flag::Rst].iter().any(|flag| segment.has(*flag))
    };
    let marked = rest.iter().copied().filter(has_mark).take(MARKED);
    let frames_in = |index: usize| frames_in(&trace.segments[index].runs);
    let mut stuck: Vec<usize> = rest.iter().copied().filter(|index| frames_in(*index) > 1).collect();
    stuck.sort_by_key(|index| (Reverse(frames_in(*index)), *index));
    marked.chain(stuck.into_iter().take(STUCK)).collect()
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
