//! The bytes of one direction in the order of the stream, cut wherever something changes: a segment, a frame, a part of a
//! frame, a read. Long stretches in which nothing new happens are left out.

use crate::trace::{Direction, Frame, Part, Trace};

/// How many pieces at both ends of a stretch are kept, if its middle is left out.
const KEPT: usize = 2;
/// How many pieces of a direction are drawn, at most.
const DRAWN: usize = 32;

/// Bytes of one segment that belong to one frame, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The index of the segment that brought them first; `None` for bytes that were not captured.
    pub(super) segment: Option<usize>,
    pub(super) frame: Option<usize>,
    pub(super) part: Part,
}

/// What is drawn of a direction, in the order of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Drawn(Piece),
    /// So many bytes that are not drawn: frames in one segment, segments in one frame, or frames that have a segment each.
    LeftOut {
        offset: u64,
        len: u64,
        frames: usize,
        segments: usize,
    },
}

impl Stretch {
    pub(super) fn offset(&self) -> u64 {
        match self {
            Stretch::Drawn(piece) => piece.offset,
            Stretch::LeftOut { offset, .. } => *offset,
        }
    }

    pub(super) fn end(&self) -> u64 {
        match self {
            Stretch::Drawn(piece) => piece.offset + piece.len,
            Stretch::LeftOut { offset, len, .. } => offset + len,
        }
    }
}

/// What is drawn of the bytes of `direction`: at most 32 pieces.
pub(super) fn stretches(trace: &Trace, direction: Direction) -> Vec<Stretch> {
    let pieces = pieces(trace, direction);
    let mut is_drawn = vec![true; pieces.len()];
    leave_out(&pieces, &mut is_drawn, |a, b| a.segment == b.segment);
    leave_out(&pieces, &mut is_drawn, |a, b| a.frame.is_some() && a.frame == b.frame);
    let alone =
        |piece: &Piece| piece.frame.map(|index| &trace.frames[index]).is_some_and(|frame| !frame.split && !frame.stuck);
    leave_out(&pieces, &mut is_drawn, |a, b| alone(a) && alone(b));
    limit(&mut is_drawn);
    joined(&pieces, &is_drawn)
}

/// Leaves out the middle of each run of pieces that are the `same`.
fn leave_out(pieces: &[Piece], is_drawn: &mut [bool], same: impl Fn(&Piece, &Piece) -> bool) {
    let mut start = 0;
    for run in pieces.chunk_by(same) {
        if run.len() > 2 * KEPT + 2 {
            is_drawn[start + KEPT..start + run.len() - KEPT].fill(false);
        }
        start += run.len();
    }
}

/// Leaves out the middle, so that no more than [`DRAWN`] are drawn.
fn limit(is_drawn: &mut [bool]) {
    let drawn: Vec<usize> = (0..is_drawn.len()).filter(|index| is_drawn[*index]).collect();
    if drawn.len() > DRAWN {
        let (first, last) = (drawn[DRAWN * 2 / 3], drawn[drawn.len() - DRAWN / 3]);
        is_drawn[first..last].fill(false);
    }
}

/// All pieces of a direction, each byte once, in the order of the stream.
fn pieces(trace: &Trace, direction: Direction) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (index, segment) in trace.segments.iter().enumerate().filter(|(_, segment)| segment.direction == direction) {
        let new = segment.runs.iter().filter(|run| !run.again);
        pieces.extend(new.map(|run| Piece {
            offset: run.offset,
            len: run.len,
            segment: Some(index),
            frame: run.frame,
            part: run.part,
        }));
    }
    let holes = trace.flow(direction).holes.iter();
    pieces.extend(holes.map(|hole| {
        let frame = trace.frames.iter().position(|frame| {
            frame.direction == direction && frame.offset <= hole.offset && hole.offset + hole.len <= frame.end()
        });
        Piece { offset: hole.offset, len: hole.len, segment: None, frame, part: Part::Undecoded }
    }));
    pieces.sort_by_key(|piece| piece.offset);
    pieces
}

/// Puts what is not drawn together.
fn joined(pieces: &[Piece], is_drawn: &[bool]) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut index = 0;
    while index < pieces.len() {
        if is_drawn[index] {
            stretches.push(Stretch::Drawn(pieces[index]));
            index += 1;
            continue;
        }
        let count = is_drawn[index..].iter().take_while(|is_drawn| !**is_drawn).count();
        let left_out = &pieces[index..index + count];
        index += count;
        stretches.push(Stretch::LeftOut {
            offset: left_out[0].offset,
            len: left_out.iter().map(|piece| piece.len).sum(),
            frames: distinct(left_out.iter().filter_map(|piece| piece.frame)),
            segments: distinct(left_out.iter().filter_map(|piece| piece.segment)),
        });
    }
    stretches
}

fn distinct(indices: impl Iterator<Item = usize>) -> usize {
    indices.collect::<std::collections::BTreeSet<_>>().len()
}

/// The offsets inside `piece` at which it is cut for its look: the edges of header and trailer of its frame.
pub(super) fn inner_edges(frame: &Frame) -> [u64; 2] {
    let payload = frame.offset + frame.header_len;
    [payload, payload + frame.payload_len]
}
