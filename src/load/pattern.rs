//! The payloads: each byte is a function of run, connection, sequence and position, so that what is expected need not
//! be kept.
//!
//! ```text
//! id   = connection × 2^40 + (sequence + 1 + SPREAD × connection) mod 2^40
//! word(position / 8) = RUN + SEQUENCE × id + POSITION × (position / 8)    (mod 2^64)
//! ```
//!
//! The words stand in little-endian order. That is a sum, so it is made and compared as fast as memory is read.
//! `SEQUENCE` is odd: the first byte alone tells 256 frames in a row of a connection apart, n bytes tell 256^n, and the
//! first eight say whose frame it is and which ([`Pattern::identify`]). No factor has a byte 00 or FF: from one frame
//! to the next *every* byte changes, whatever is carried, so that a byte of a neighbour shows wherever it stands.

const SEQUENCE: u64 = 0x9E37_79B9_7F4A_7C15;
const POSITION: u64 = 0x1656_67B1_9E37_79F9;
const SPREAD: u64 = 0x27D4_EB4F;
const RUN: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// The inverse of `SEQUENCE`: `SEQUENCE × UNSEQUENCE = 1 (mod 2^64)`.
const UNSEQUENCE: u64 = inverse(SEQUENCE);

/// Bits of a sequence; those above them are the connection's.
const SEQUENCE_BITS: u32 = 40;
const SEQUENCES: u64 = (1 << SEQUENCE_BITS) - 1;

/// Where the bytes of a prefix and of a trailer stand: behind any payload, and such that they differ in every byte.
const PREFIX_POSITION: usize = (1 << 40) + 8 * 1001;
const TRAILER_POSITION: usize = (1 << 40) + 8 * 5003;

/// Bytes that are made at a time: so many go through registers, and memory is written once.
const BLOCK_LEN: usize = 64;

/// The bytes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    first_word: u64,
}

/// A byte that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) position: usize,
    pub(super) sent: u8,
    pub(super) came: u8,
}

impl Pattern {
    /// The frame of this number on this connection of this run.
    pub(super) fn new(run: u64, connection: u64, sequence: u64) -> Pattern {
        let low = sequence.wrapping_add(1).wrapping_add(SPREAD.wrapping_mul(connection)) & SEQUENCES;
        let id = connection << SEQUENCE_BITS | low;
        Pattern { first_word: RUN.wrapping_mul(run).wrapping_add(SEQUENCE.wrapping_mul(id)) }
    }

    /// The connection and the sequence of the frame that begins with these bytes, where it is one of this run's. `None`
    /// where there are less than eight.
    pub(super) fn identify(run: u64, payload: &[u8]) -> Option<(u64, u64)> {
        let first_word = u64::from_le_bytes(*payload.first_chunk()?);
        let id = UNSEQUENCE.wrapping_mul(first_word.wrapping_sub(RUN.wrapping_mul(run)));
        let connection = id >> SEQUENCE_BITS;
        let sequence = id.wrapping_sub(1).wrapping_sub(SPREAD.wrapping_mul(connection)) & SEQUENCES;
        Some((connection, sequence))
    }

    /// Appends `len` bytes of the payload to `out`, from `position` on, which is a multiple of 8.
    // Always inline: most of what is sent is a short frame, and a call for each is a third of what that costs.
    #[inline(always)]
    pub(super) fn append(self, position: usize, len: usize, out: &mut Vec<u8>) {
        debug_assert!(position.is_multiple_of(8), "{position} is no word's begin");
        let mut word = self.word(position / 8);
        let mut next_block = || {
            let mut block = [[0; 8]; BLOCK_LEN / 8];
            for bytes in &mut block {
                *bytes = word.to_le_bytes();
                word = word.wrapping_add(POSITION);
            }
            block
        };
        out.reserve(len);
        for _ in 0..len / BLOCK_LEN {
            out.extend_from_slice(next_block().as_flattened());
        }
        let rest = len % BLOCK_LEN;
        if rest > 0 {
            out.extend_from_slice(&next_block().as_flattened()[..rest]);
        }
    }

    /// Puts the payload, from its begin on, in the place of what is there.
    #[inline(always)]
    pub(super) fn fill(self, payload: &mut [u8]) {
        let mut word = self.first_word;
        let (words, tail) = payload.as_chunks_mut::<8>();
        for bytes in words {
            *bytes = word.to_le_bytes();
            word = word.wrapping_add(POSITION);
        }
        tail.copy_from_slice(&word.to_le_bytes()[..tail.len()]);
    }

    /// Appends the prefix of the frame, of `len` bytes, to `out`.
    pub(super) fn append_prefix(self, len: usize, out: &mut Vec<u8>) {
        self.append(PREFIX_POSITION, len, out);
    }

    /// Appends the trailer of the frame, of `len` bytes, to `out`.
    pub(super) fn append_trailer(self, len: usize, out: &mut Vec<u8>) {
        self.append(TRAILER_POSITION, len, out);
    }

    /// Whether this is a whole payload, every byte of it right.
    #[inline(always)]
    pub(super) fn matches(self, payload: &[u8]) -> bool {
        let (words, tail) = payload.as_chunks::<8>();
        let mut word = self.first_word;
        let mut differing = 0;
        for bytes in words {
            differing |= word ^ u64::from_le_bytes(*bytes);
            word = word.wrapping_add(POSITION);
        }
        differing == 0 && (tail.is_empty() || word.to_le_bytes()[..tail.len()] == *tail)
    }

    /// Compares a piece of the payload that begins at `position`; `None` where every byte is right.
    #[inline]
    pub(super) fn difference(self, position: usize, bytes: &[u8]) -> Option<Difference> {
        let (head, aligned) = bytes.split_at(bytes.len().min(position.wrapping_neg() % 8));
        let (words, tail) = aligned.as_chunks::<8>();
        let mut word = self.word((position + head.len()) / 8);
        let mut differing = 0;
        for bytes in words {
            differing |= word ^ u64::from_le_bytes(*bytes);
            word = word.wrapping_add(POSITION);
        }
        let ends = |at: usize, bytes: &[u8]| bytes.iter().enumerate().all(|(i, byte)| *byte == self.byte(at + i));
        let same = differing == 0
            && (head.is_empty() || ends(position, head))
            && (tail.is_empty() || ends(position + bytes.len() - tail.len(), tail));
        if same { None } else { self.first_difference(position, bytes) }
    }

    /// Compares a prefix. The positions of its bytes are counted from its own begin.
    pub(super) fn prefix_difference(self, prefix: &[u8]) -> Option<Difference> {
        let difference = self.difference(PREFIX_POSITION, prefix)?;
        Some(Difference { position: difference.position - PREFIX_POSITION, ..difference })
    }

    /// Compares a trailer. The positions of its bytes are counted from its own begin.
    pub(super) fn trailer_difference(self, trailer: &[u8]) -> Option<Difference> {
        let difference = self.difference(TRAILER_POSITION, trailer)?;
        Some(Difference { position: difference.position - TRAILER_POSITION, ..difference })
    }

    #[cold]
    fn first_difference(self, position: usize, bytes: &[u8]) -> Option<Difference> {
        let mut pairs = bytes.iter().enumerate().map(|(i, came)| (position + i, *came));
        let (position, came) = pairs.find(|(position, came)| *came != self.byte(*position))?;
        Some(Difference { position, sent: self.byte(position), came })
    }

    /// The word at eight times this position.
    pub(super) fn word(self, index: usize) -> u64 {
        self.first_word.wrapping_add(POSITION.wrapping_mul(index as u64))
    }

    fn byte(self, position: usize) -> u8 {
        self.word(position / 8).to_le_bytes()[position % 8]
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right_bits = 3;
    while right_bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right_bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn payload(connection: u64, sequence: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        Pattern::new(5, connection, sequence).append(0, len, &mut bytes);
        bytes
    }

    #[test]
    fn pieces_make_the_whole_and_any_piece_compares() {
        let pattern = Pattern::new(5, 3, 1000);
        let whole = payload(3, 1000, 100);
        let mut pieces = Vec::new();
        for (position, len) in [(0, 8), (8, 48), (56, 44)] {
            pattern.append(position, len, &mut pieces);
        }
        assert_eq!(pieces, whole);
        pieces.fill(0);
        pattern.fill(&mut pieces);
        assert_eq!(pieces, whole);
        for len in 0..=whole.len() {
            assert!(pattern.matches(&whole[..len]), "{len} bytes");
        }
        for from in 0..=whole.len() {
            for to in from..=whole.len() {
                assert_eq!(pattern.difference(from, &whole[from..to]), None, "{from}..{to}");
            }
        }
    }

    #[test]
    fn any_altered_byte_shows_in_any_piece_with_its_place() {
        let pattern = Pattern::new(5, 0, 0);
        let whole = payload(0, 0, 37);
        for (at, from) in (0..37).flat_map(|at| (0..=at).map(move |from| (at, from))) {
            let mut altered = whole.clone();
            altered[at] ^= 0x10;
            assert!(!pattern.matches(&altered), "byte {at}");
            let expected = Difference { position: at, sent: whole[at], came: altered[at] };
            assert_eq!(pattern.difference(from, &altered[from..]), Some(expected), "byte {at}, piece from {from}");
        }
    }

    #[test]
    fn every_byte_differs_from_its_neighbours() {
        for sequence in 0..10_000 {
            let (this, next, other) =
                (payload(7, sequence, 64), payload(7, sequence + 1, 64), payload(8, sequence, 64));
            assert!(this.iter().zip(&next).all(|(a, b)| a != b), "sequence {sequence}");
            assert!(this.iter().zip(&other).all(|(a, b)| a != b), "sequence {sequence}");
            assert!(this[..56].iter().zip(&this[8..]).all(|(a, b)| a != b), "sequence {sequence}");
        }
    }

    #[test]
    fn a_single_byte_tells_256_frames_in_a_row_apart() {
        let bytes: HashSet<u8> = (500..756).map(|sequence| payload(1, sequence, 1)[0]).collect();
        assert_eq!(bytes.len(), 256);
    }

    #[test]
    fn no_word_comes_twice() {
        let mut words = HashSet::new();
        for (connection, sequence) in (0..100).flat_map(|c| (0..1000).map(move |s| (c, s))) {
            for bytes in payload(connection, sequence, 64).chunks(8) {
                assert!(words.insert(bytes.to_vec()), "connection {connection}, sequence {sequence}");
            }
        }
    }

    #[test]
    fn the_first_word_says_whose_frame_it_is_and_which() {
        for connection in [0, 1, 9, (1 << 24) - 1] {
            for sequence in [0, 1, 255, (1 << 40) - 1] {
                let payload = payload(connection, sequence, 8);
                assert_eq!(Pattern::identify(5, &payload), Some((connection, sequence)));
                assert_ne!(Pattern::identify(6, &payload), Some((connection, sequence)));
            }
        }
        assert_eq!(Pattern::identify(0, &[1; 7]), None);
    }

    #[test]
    fn prefix_and_trailer_are_compared_as_well() {
        let (mut prefix, mut trailer) = (Vec::new(), Vec::new());
        let pattern = Pattern::new(5, 2, 5);
        pattern.append_prefix(3, &mut prefix);
        pattern.append_trailer(3, &mut trailer);
        assert_eq!((pattern.prefix_difference(&prefix), pattern.trailer_difference(&trailer)), (None, None));
        assert!(pattern.prefix_difference(&trailer).is_some());
        (prefix[2], trailer[1]) = (prefix[2] ^ 1, trailer[1] ^ 1);
        assert_eq!(pattern.prefix_difference(&prefix).map(|d| d.position), Some(2));
        assert_eq!(pattern.trailer_difference(&trailer).map(|d| d.position), Some(1));
    }
}
