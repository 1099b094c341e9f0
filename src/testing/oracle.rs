//! What a stream is, found in the simplest way there is: the whole of it at once, and one number type for everything.

use alloc::vec::Vec;

use crate::framing::{DecodeErrorKind, Endian, Field, Format, Header, Layout, Oversize, Phase};

/// What a stream of bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The frames whose header is whole and not refused, in order. Only the last one may be cut short by the end.
    pub frames: Vec<Located>,
    /// How the stream ends.
    pub end: End,
}

/// Where a frame is in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The place of its first byte.
    pub start: usize,
    /// Bytes of its prefix.
    pub prefix_len: usize,
    /// Bytes of its header, prefix included.
    pub header_len: usize,
    /// Bytes of its payload.
    pub payload_len: u64,
    /// Whether it is over the limit and skipped.
    pub skipped: bool,
    /// Whether all of it came.
    pub whole: bool,
}

impl Located {
    /// Bytes of the whole frame, or the greatest number where there are more.
    pub fn frame_len(&self) -> u64 {
        (self.header_len as u64).saturating_add(self.payload_len)
    }

    /// The place behind its last byte, or the greatest number where that is beyond it.
    pub fn end(&self) -> u64 {
        (self.start as u64).saturating_add(self.frame_len())
    }

    /// The payload, as far as it came.
    pub fn payload<'a>(&self, stream: &'a [u8]) -> &'a [u8] {
        &stream[self.start + self.header_len..self.end().min(stream.len() as u64) as usize]
    }
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Behind a frame.
    Clean,
    /// Inside a frame.
    Truncated {
        /// Where the frame begins.
        start: usize,
        /// Inside which part of it.
        phase: Phase,
        /// Bytes of the frame that came.
        have: u64,
        /// Bytes of it that are known to be needed.
        need: u64,
    },
    /// Not at all: no decoder goes on behind this frame.
    Refused {
        /// Where the frame begins.
        start: usize,
        /// Bytes of it that decide that.
        decided: usize,
        /// Why.
        kind: DecodeErrorKind,
    },
}

impl Expected {
    /// Reads the whole stream.
    pub fn of(format: &Format, oversize: Oversize, stream: &[u8]) -> Expected {
        let mut frames = Vec::new();
        let mut start = 0;
        let end = loop {
            let left = &stream[start..];
            if left.is_empty() {
                break End::Clean;
            }
            let (header_len, field) = match head(&format.layout(), left) {
                Seen::Short { need } => {
                    break End::Truncated { start, phase: Phase::Header, have: left.len() as u64, need: need as u64 };
                }
                Seen::Bad { decided, kind } => break End::Refused { start, decided, kind },
                Seen::Whole { header_len, field } => (header_len, field),
            };
            let (payload_len, skipped) = match payload(format, oversize, field) {
                Ok(judged) => judged,
                Err(kind) => break End::Refused { start, decided: header_len, kind },
            };
            let prefix_len = usize::from(format.layout().offset);
            let mut frame = Located { start, prefix_len, header_len, payload_len, skipped, whole: true };
            frame.whole = frame.frame_len() <= left.len() as u64;
            frames.push(frame);
            if !frame.whole {
                let (have, need) = (left.len() as u64, frame.frame_len());
                break End::Truncated { start, phase: Phase::Payload, have, need };
            }
            start = frame.end() as usize;
        };
        Expected { frames, end }
    }

    /// The frames that are yielded.
    pub fn yielded(&self) -> impl Iterator<Item = &Located> {
        self.frames.iter().filter(|frame| frame.whole && !frame.skipped)
    }
}

enum Seen {
    Short { need: usize },
    Bad { decided: usize, kind: DecodeErrorKind },
    Whole { header_len: usize, field: u64 },
}

fn head(layout: &Layout, bytes: &[u8]) -> Seen {
    let offset = usize::from(layout.offset);
    match layout.field {
        Field::Fixed { width, endian } => {
            let header_len = offset + usize::from(width);
            let Some(digits) = bytes.get(offset..header_len) else { return Seen::Short { need: header_len } };
            let sum = |field: u64, digit: &u8| field * 256 + u64::from(*digit);
            let field = match endian {
                Endian::Big => digits.iter().fold(0, sum),
                Endian::Little => digits.iter().rev().fold(0, sum),
            };
            Seen::Whole { header_len, field }
        }
        Field::Varint { max_width, minimal } => {
            let mut field = 0u128;
            for width in 1..=usize::from(max_width) {
                let header_len = offset + width;
                let Some(&byte) = bytes.get(header_len - 1) else { return Seen::Short { need: header_len } };
                field += u128::from(byte % 128) << (7 * (width - 1));
                let bad = |kind| Seen::Bad { decided: header_len, kind };
                let Ok(field) = u64::try_from(field) else { return bad(DecodeErrorKind::VarintOverflow) };
                if byte < 128 {
                    return match minimal && width > 1 && byte == 0 {
                        true => bad(DecodeErrorKind::VarintNotMinimal { width: width as u8, field }),
                        false => Seen::Whole { header_len, field },
                    };
                }
            }
            let decided = offset + usize::from(max_width);
            Seen::Bad { decided, kind: DecodeErrorKind::VarintTooLong { max_width } }
        }
    }
}

/// The payload's length, and whether it is skipped.
fn payload(format: &Format, oversize: Oversize, field: u64) -> Result<(u64, bool), DecodeErrorKind> {
    let adjustment = format.layout().adjustment;
    let Ok(payload_len) = u128::try_from(i128::from(field) + i128::from(adjustment)) else {
        return Err(DecodeErrorKind::Underflow { field, adjustment });
    };
    let payload_len = u64::try_from(payload_len).unwrap_or(u64::MAX);
    let max_payload_len = format.max_payload_len();
    match oversize {
        _ if payload_len <= max_payload_len as u64 => Ok((payload_len, false)),
        Oversize::Skip { max_discard } if payload_len <= max_discard => Ok((payload_len, true)),
        _ => Err(DecodeErrorKind::Oversize { field, payload_len, max_payload_len }),
    }
}
