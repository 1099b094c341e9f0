//! The bytes of one direction by their offsets in the stream.

use super::model::{Hole, HoleCause};
use super::reassembly::Piece;
use super::segments::Half;

/// The bytes of one direction, by offset: pieces in order, and what is not captured between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes<'a> {
    /// The position of offset 0.
    pub(super) origin: i64,
    /// The pieces, none of which begins before the origin.
    pub(super) pieces: Vec<Piece<'a>>,
}

/// Bytes that follow each other, or that are not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent<'a> {
    Bytes(&'a [u8]),
    Hole(Hole),
}

impl<'a> Bytes<'a> {
    pub(super) fn of(half: &Half<'a>) -> Bytes<'a> {
        let first = half.stream.pieces().next().map(|piece| piece.start);
        let origin = if half.has_start { 1 } else { first.unwrap_or(1) };
        let pieces = half.stream.pieces().filter_map(|piece| piece.behind(origin)).collect();
        Bytes { origin, pieces }
    }

    /// Those before an offset, at which a segment begins.
    pub(super) fn before(&self, offset: u64) -> Bytes<'a> {
        let end = self.origin.saturating_add_unsigned(offset);
        let pieces = self.pieces.iter().copied().take_while(|piece| piece.start < end).collect();
        Bytes { origin: self.origin, pieces }
    }

    /// The offset of a position; negative before the origin.
    pub(super) fn offset(&self, position: i64) -> i64 {
        position - self.origin
    }

    /// The offset behind the last byte.
    pub(super) fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| self.offset(piece.end) as u64)
    }

    /// The indices of the pieces that have bytes from `from` to `to`, by offset.
    pub(super) fn pieces_of(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let position = |offset: u64| self.origin.saturating_add_unsigned(offset);
        let first = self.pieces.partition_point(|piece| piece.end <= position(from));
        let end = self.pieces.partition_point(|piece| piece.start < position(to));
        first..end.max(first)
    }

    /// All that is there and all that is missing, from an offset on.
    pub(super) fn extents(&self, from: u64) -> Vec<Extent<'a>> {
        let mut extents = Vec::new();
        let mut at = self.origin.saturating_add_unsigned(from);
        for piece in &self.pieces[self.pieces_of(from, u64::MAX)] {
            extents.extend(self.hole(at, piece.start, HoleCause::Missing));
            let start = at.max(piece.start);
            let known_end = piece.start + piece.bytes.len() as i64;
            if start < known_end {
                extents.push(Extent::Bytes(&piece.bytes[(start - piece.start) as usize..]));
            }
            extents.extend(self.hole(start.max(known_end), piece.end, HoleCause::CutShort));
            at = piece.end;
        }
        extents
    }

    /// What is missing between two positions, if they are two.
    fn hole(&self, start: i64, end: i64, cause: HoleCause) -> Option<Extent<'a>> {
        let hole = || Hole { offset: self.offset(start) as u64, len: (end - start) as u64, cause };
        (start < end).then(|| Extent::Hole(hole()))
    }

    /// What is missing.
    pub(super) fn holes(&self) -> Vec<Hole> {
        let holes = self.extents(0).into_iter().filter_map(|extent| match extent {
            Extent::Hole(hole) => Some(hole),
            Extent::Bytes(_) => None,
        });
        holes.collect()
    }
}
