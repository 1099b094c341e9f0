//! The bytes of one direction in the order of the stream, and for each of them the segment that it came in first.

use std::collections::BTreeMap;

/// The bytes that were seen of a direction, by position.
///
/// Invariant: pieces do not overlap, none is empty, and `bytes.len() ≤ end - start`.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream<'a> {
    /// By where they start.
    pieces: BTreeMap<i64, Rest<'a>>,
}

/// A piece without its start.
#[derive(Clone, Copy, Debug)]
struct Rest<'a> {
    end: i64,
    segment: usize,
    bytes: &'a [u8],
}

/// Bytes that came first in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The position of the first of them.
    pub(super) start: i64,
    /// The position behind the last one.
    pub(super) end: i64,
    /// The index of the segment.
    pub(super) segment: usize,
    /// Those of them that were captured.
    pub(super) bytes: &'a [u8],
}

/// What a segment brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// Bytes that were not seen before.
    pub(super) new: u64,
    /// Whether bytes that were seen before differ from what they were.
    pub(super) differs: bool,
}

impl<'a> Stream<'a> {
    /// Adds what a segment carried from position `start` to `end`, of which the first `bytes` were captured. Of bytes that were
    /// seen before, the first ones count.
    pub(super) fn add(&mut self, segment: usize, start: i64, end: i64, bytes: &'a [u8]) -> Added {
        let mut added = Added::default();
        let mut new = Vec::new();
        let mut at = start;
        while at < end {
            // Before `at` nothing is left to do; a piece that covers it is passed over, and what is before the next one is new.
            match self.piece_at(at).or_else(|| self.piece_after(at)) {
                Some(piece) if piece.start <= at => {
                    added.differs |= piece.differs(start, bytes);
                    at = piece.end;
                }
                next => {
                    let stop = next.map_or(end, |piece| piece.start.min(end));
                    new.push((at, stop));
                    at = stop;
                }
            }
        }
        for (from, to) in new {
            let captured = part(bytes, from - start, to - start);
            self.pieces.insert(from, Rest { end: to, segment, bytes: captured });
            added.new += (to - from) as u64;
        }
        added
    }

    /// The pieces in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'a>> {
        self.pieces.iter().map(|(start, rest)| rest.at(*start))
    }

    /// The piece in which a position is.
    fn piece_at(&self, at: i64) -> Option<Piece<'a>> {
        let (start, rest) = self.pieces.range(..=at).next_back()?;
        (rest.end > at).then(|| rest.at(*start))
    }

    /// The first piece that starts after a position.
    fn piece_after(&self, at: i64) -> Option<Piece<'a>> {
        self.pieces.range(at..).next().map(|(start, rest)| rest.at(*start))
    }
}

impl<'a> Rest<'a> {
    fn at(self, start: i64) -> Piece<'a> {
        Piece { start, end: self.end, segment: self.segment, bytes: self.bytes }
    }
}

impl<'a> Piece<'a> {
    /// The part of it from a position on, if it has one.
    pub(super) fn behind(self, position: i64) -> Option<Piece<'a>> {
        let start = self.start.max(position);
        let bytes = part(self.bytes, start - self.start, i64::MAX);
        (start < self.end).then_some(Piece { start, bytes, ..self })
    }

    /// Whether bytes that start at `start` differ from these where both are known.
    fn differs(&self, start: i64, bytes: &[u8]) -> bool {
        let from = self.start.max(start);
        let (ours, theirs) = (part(self.bytes, from - self.start, i64::MAX), part(bytes, from - start, i64::MAX));
        ours.iter().zip(theirs).any(|(ours, theirs)| ours != theirs)
    }
}

/// The bytes from `from` to `to`, as far as they are there.
fn part(bytes: &[u8], from: i64, to: i64) -> &[u8] {
    let clamped = |at: i64| usize::try_from(at).unwrap_or(0).min(bytes.len());
    &bytes[clamped(from)..clamped(to).max(clamped(from))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, end and segment of each piece.
    fn shape(stream: &Stream<'_>) -> Vec<(i64, i64, usize)> {
        stream.pieces().map(|piece| (piece.start, piece.end, piece.segment)).collect()
    }

    #[test]
    fn a_byte_belongs_to_the_segment_that_it_came_in_first() {
        let mut stream = Stream::default();
        assert_eq!(stream.add(0, 10, 14, b"abcd"), Added { new: 4, differs: false });
        assert_eq!(stream.add(1, 20, 22, b"kl"), Added { new: 2, differs: false });
        assert_eq!(stream.add(2, 8, 24, b"yzabcdefghijklmn"), Added { new: 10, differs: false });
        assert_eq!(shape(&stream), [(8, 10, 2), (10, 14, 0), (14, 20, 2), (20, 22, 1), (22, 24, 2)]);
        let bytes: Vec<u8> = stream.pieces().flat_map(|piece| piece.bytes).copied().collect();
        assert_eq!(bytes, b"yzabcdefghijklmn");
        assert_eq!(stream.add(3, 10, 12, b"aX"), Added { new: 0, differs: true });
    }

    #[test]
    fn bytes_that_were_not_captured_are_seen_and_unknown() {
        let mut stream = Stream::default();
        stream.add(0, 0, 10, b"abc");
        assert_eq!(stream.add(1, 2, 12, b"cdefghijkl"), Added { new: 2, differs: false });
        let bytes: Vec<&[u8]> = stream.pieces().map(|piece| piece.bytes).collect();
        assert_eq!((shape(&stream), bytes), (vec![(0, 10, 0), (10, 12, 1)], vec![&b"abc"[..], b"kl"]));
        assert_eq!(stream.add(2, 5, 5, b""), Added::default());
    }
}
