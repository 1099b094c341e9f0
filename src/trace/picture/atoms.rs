//! The bytes of one direction beside each other on lines: each piece cut at the edges of headers, payloads and reads.

use super::bytes::{Piece, Stretch, inner_edges, stretches};
use super::shape::Area;
use super::sheet::Sheet;
use super::text::{mono_width, printable};
use crate::trace::{Direction, Trace};

/// How many ends of reads are drawn in a piece, at most; of more, the first and the last.
const READS: usize = 8;
/// The widths of a byte of a header, of a byte of a short payload, and of bytes that are not drawn.
const HEADER_BYTE: f64 = 17.0;
const PAYLOAD_BYTE: f64 = 10.0;
const LEFT_OUT: f64 = 150.0;
/// The widest payload that is as wide as its text, and the size of that.
const TEXT: f64 = 300.0;
pub(super) const TEXT_SIZE: f64 = 11.5;

/// Bytes that are next to each other and look the same: a header, a payload, what was left out.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) x: f64,
    pub(super) width: f64,
    /// `None` for bytes that are not drawn.
    pub(super) piece: Option<Piece>,
    pub(super) is_length: bool,
    pub(super) stretch: Stretch,
}

/// How wide so many bytes are: to scale up to 12, then ever less; and never too narrow to be seen.
fn scaled(len: u64) -> f64 {
    let len = len as f64;
    let wide = if len <= 12.0 { len } else { 12.0 + 2.4 * (len / 12.0).log2() };
    (PAYLOAD_BYTE * wide).max(26.0)
}

/// What is drawn, cut at every edge, without its place.
pub(super) fn atoms(trace: &Trace, direction: Direction) -> Vec<Atom> {
    let reads = read_edges(trace, direction);
    let mut atoms = Vec::new();
    for stretch in stretches(trace, direction) {
        let (piece, edges) = match stretch {
            Stretch::Drawn(piece) => (Some(piece), edges(trace, &piece, &reads)),
            Stretch::LeftOut { .. } => (None, vec![stretch.offset(), stretch.end()]),
        };
        let payload = piece.and_then(|piece| piece.frame).map(|index| inner_edges(&trace.frames[index])[0]);
        for edge in edges.windows(2) {
            let (offset, end) = (edge[0], edge[1]);
            let is_length = payload.is_some_and(|payload| offset < payload);
            let width = match piece {
                None => LEFT_OUT,
                Some(_) if is_length => HEADER_BYTE * (end - offset) as f64,
                Some(piece) => scaled(end - offset).max(text_width(trace, &piece, offset, end)),
            };
            atoms.push(Atom { offset, end, x: 0.0, width, piece, is_length, stretch });
        }
    }
    atoms
}

/// Where a piece begins, ends, and is cut between.
fn edges(trace: &Trace, piece: &Piece, reads: &[u64]) -> Vec<u64> {
    let (offset, end) = (piece.offset, piece.offset + piece.len);
    let is_inside = |edge: &u64| *edge > offset && *edge < end;
    let reads: Vec<u64> = reads.iter().copied().filter(is_inside).collect();
    let mut edges = vec![offset, end];
    if reads.len() > READS {
        edges.extend(reads[..READS / 2].iter().chain(&reads[reads.len() - READS / 2..]));
    } else {
        edges.extend(reads);
    }
    if let Some(index) = piece.frame {
        edges.extend(inner_edges(&trace.frames[index]).into_iter().filter(is_inside));
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// How wide the text of a short payload is, if these bytes are all of it.
fn text_width(trace: &Trace, piece: &Piece, offset: u64, end: u64) -> f64 {
    let Some(frame) = piece.frame.map(|index| &trace.frames[index]) else { return 0.0 };
    let text = frame.text.as_deref().filter(|text| text.len() as u64 == frame.payload_len);
    let is_all = inner_edges(frame) == [offset, end];
    // A pixel more, as sums of places are rounded.
    text.filter(|_| is_all).map_or(0.0, |text| (shown_width(&printable(text)) + 1.0).min(TEXT))
}

/// How wide a payload has to be for its text.
pub(super) fn shown_width(text: &str) -> f64 {
    mono_width(text, TEXT_SIZE) + 10.0
}

/// The offsets at which reads of the receiver ended.
pub(super) fn read_edges(trace: &Trace, direction: Direction) -> Vec<u64> {
    let reads = trace.flow(direction).reads.iter().flatten();
    reads
        .scan(0, |end: &mut u64, len| {
            *end = u64::saturating_add(*end, *len);
            Some(*end)
        })
        .collect()
}

/// Puts atoms beside each other, on as many lines as they need. What belongs to one piece stays on one line.
pub(super) fn lines(atoms: &[Atom], sheet: &Sheet) -> Vec<Vec<Atom>> {
    let (track, right) = (sheet.track, sheet.right());
    let mut lines: Vec<Vec<Atom>> = Vec::new();
    let mut x = track;
    for atoms in atoms.chunk_by(|a, b| a.stretch == b.stretch) {
        let width: f64 = atoms.iter().map(|atom| atom.width).sum();
        let scale = (right - track) / width.max(right - track);
        if lines.is_empty() || x + width * scale > right + 0.01 {
            lines.push(Vec::new());
            x = track;
        }
        for atom in atoms {
            let width = atom.width * scale;
            lines.last_mut().expect("one was pushed").push(Atom { x, width, ..atom.clone() });
            x += width;
        }
    }
    lines
}

pub(super) fn segment_of(atom: &Atom) -> (Option<usize>, Option<u64>) {
    // Bytes of no segment are apart from others of no segment if they are not drawn.
    let segment = atom.piece.and_then(|piece| piece.segment);
    (segment, segment.is_none().then_some(atom.stretch.offset()))
}

pub(super) fn frame_of(atom: &Atom) -> (Option<usize>, Option<u64>) {
    let frame = atom.piece.and_then(|piece| piece.frame);
    (frame, frame.is_none().then_some(atom.stretch.offset()))
}

pub(super) fn area(atoms: &[Atom], y: f64, height: f64) -> Area {
    let last = &atoms[atoms.len() - 1];
    Area::new(atoms[0].x, y, last.x + last.width - atoms[0].x, height)
}
