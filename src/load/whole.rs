//! Frames of one short length, of header and payload alone: most of what is sent at high rates. They are made and
//! compared whole, many at a time, without encoder or decoder.

use super::pattern::Pattern;
use super::plan::Plan;
use super::sizes::Sizes;
use crate::framing::{Encoder, Envelope};

/// Bytes of the longest payload. A longer frame is compared as it comes, and what a frame costs is no matter there.
const LONGEST: usize = 8 * 1024;
/// Bytes that hold any header, and are written and compared at once.
const WORD_LEN: usize = 8;

/// What all frames of a plan have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    run: u64,
    header_len: usize,
    frame_len: usize,
    /// The header, and zeros behind it; and the same with a header of ones.
    header: u64,
    mask: u64,
}

impl Whole {
    /// `None` where frames are of several lengths, long, shorter than a word, or have more than header and payload.
    pub(super) fn new(plan: &Plan) -> Option<Whole> {
        let Sizes::Fixed(payload_len @ ..=LONGEST) = plan.payload else { return None };
        let mut header = Vec::new();
        Encoder::new(plan.format).header(Envelope::default(), payload_len, &mut header).ok()?;
        let (header_len, frame_len) = (header.len(), header.len() + payload_len);
        if !plan.is_bare() || header_len > WORD_LEN || frame_len < WORD_LEN {
            return None;
        }
        let word = |bytes: &[u8]| {
            let mut word = [0; WORD_LEN];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let mask = word(&vec![0xFF; header_len]);
        Some(Whole { run: plan.run, header_len, frame_len, header: word(&header), mask })
    }

    /// Bytes of a frame.
    pub(super) fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Makes so many frames of a connection, from number `first` on, in the place of what is in `out`.
    pub(super) fn make(&self, connection: u64, first: u64, frames: u64, out: &mut Vec<u8>) {
        out.clear();
        out.resize(frames as usize * self.frame_len, 0);
        for (frame, sequence) in out.chunks_exact_mut(self.frame_len).zip(first..) {
            if let Some(word) = frame.first_chunk_mut() {
                *word = self.header.to_le_bytes();
            }
            Pattern::new(self.run, connection, sequence).fill(&mut frame[self.header_len..]);
        }
    }

    /// How many frames of a connection, from number `first` on and `most` at most, are at the front of `bytes`, and
    /// right.
    pub(super) fn right(&self, connection: u64, first: u64, most: u64, bytes: &[u8]) -> u64 {
        let mut right = 0;
        for frame in bytes.chunks_exact(self.frame_len) {
            let word = frame.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            let pattern = Pattern::new(self.run, connection, first + right);
            if right == most || (word ^ self.header) & self.mask != 0 || !pattern.matches(&frame[self.header_len..]) {
                break;
            }
            right += 1;
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Layout;
    use crate::load::plan::Target;

    fn plan(layout: &str, payload_len: usize) -> Plan {
        let payload = Sizes::Fixed(payload_len);
        let format = Plan::fit(layout.parse::<Layout>().expect("a layout"), &payload).expect("it fits");
        Plan { payload, format, ..Plan::new(Target::Unix("/nowhere".into())) }
    }

    #[test]
    fn frames_are_those_of_encoder_and_pattern() {
        for (layout, payload_len) in [("u32le", 64), ("u8", 7), ("width=8", 0), ("u16be", 1000), ("varint", 129)] {
            let plan = plan(layout, payload_len);
            let whole = Whole::new(&plan).expect(layout);
            let (mut made, mut expected) = (vec![7; 3], Vec::new());
            whole.make(5, 1000, 3, &mut made);
            for sequence in 1000..1003 {
                let mut payload = Vec::new();
                Pattern::new(plan.run, 5, sequence).append(0, payload_len, &mut payload);
                Encoder::new(plan.format).encode(&payload, &mut expected).expect("it fits");
            }
            assert_eq!(made, expected, "{layout}");
            assert_eq!(whole.right(5, 1000, 9, &made), 3, "{layout}");
            assert_eq!(whole.right(5, 1000, 2, &made), 2, "{layout}");
        }
    }

    #[test]
    fn a_frame_is_right_to_its_last_byte_or_it_is_not() {
        let whole = Whole::new(&plan("u32le", 61)).expect("short frames of one length");
        let mut made = Vec::new();
        whole.make(0, 0, 3, &mut made);
        for at in 0..made.len() {
            made[at] ^= 1;
            assert_eq!(whole.right(0, 0, 3, &made), (at / whole.frame_len()) as u64, "byte {at}");
            made[at] ^= 1;
        }
        assert_eq!(whole.right(0, 0, 3, &made[..made.len() - 1]), 2, "a frame that is not whole");
        assert_eq!(whole.right(1, 0, 3, &made), 0, "another connection's");
    }

    #[test]
    fn other_frames_are_not_made_whole() {
        for (layout, payload_len) in [("u32le", LONGEST + 1), ("u8", 6), ("offset=2", 64), ("trailer=1", 64)] {
            assert!(Whole::new(&plan(layout, payload_len)).is_none(), "{layout}");
        }
        let plan = Plan { payload: Sizes::Uniform { least: 64, greatest: 65 }, ..plan("u32le", 64) };
        assert!(Whole::new(&plan).is_none());
    }
}
