//! What was sent again of the bytes of a line.

use super::atoms::Atom;
use crate::trace::{Direction, Trace};

/// How many rows of it are drawn, at most, and how many segments in each.
const ROWS: usize = 3;
const SEGMENTS: usize = 12;

/// Bytes that a segment carried and an earlier one had brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// The number of the segment's packet.
    pub(super) packet: u64,
    pub(super) offset: u64,
    pub(super) end: u64,
}

/// What was sent again of a line, in as few rows as it needs.
pub(super) fn again(trace: &Trace, direction: Direction, atoms: &[Atom]) -> Vec<Vec<Again>> {
    let (start, end) = (atoms[0].offset, atoms[atoms.len() - 1].end);
    let mut rows: Vec<Vec<Again>> = Vec::new();
    for segment in trace.segments.iter().filter(|segment| segment.direction == direction) {
        for runs in segment.runs.chunk_by(|a, b| a.again && b.again).filter(|runs| runs[0].again) {
            let last = &runs[runs.len() - 1];
            let (offset, end) = (runs[0].offset.max(start), end.min(last.offset + last.len));
            let is_drawn = |atom: &Atom| atom.piece.is_some() && atom.offset < end && offset < atom.end;
            if offset >= end || !atoms.iter().any(is_drawn) {
                continue;
            }
            let again = Again { packet: segment.packet, offset, end };
            let has_room = |row: &Vec<Again>| {
                row.len() < SEGMENTS && row.iter().all(|other| other.end <= offset || end <= other.offset)
            };
            match rows.iter().position(has_room) {
                Some(row) => rows[row].push(again),
                None if rows.len() < ROWS => rows.push(vec![again]),
                None => {}
            }
        }
    }
    rows
}
