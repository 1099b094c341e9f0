//! The right result for a stream, found in the simplest way: from the whole of it at once, with one number type for
//! everything.

use alloc::vec::Vec;
use core::fmt;

use crate::framing::{Check, DecodeErrorKind, Endian, Field, Format, Head, Header, Layout, Oversize, Parsed, Phase};

/// The right result for a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// The frames whose header is whole and not refused, in order. Only the last one may be cut short by the end, or
    /// refused by its check.
    pub frames: Vec<Located>,
    /// How the stream ends.
    pub end: End,
}

/// Where a frame is in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Located {
    /// The offset of its first byte.
    pub start: usize,
    /// Bytes of its prefix.
    pub prefix_len: usize,
    /// Bytes of its header, prefix included.
    pub header_len: usize,
    /// Bytes of its payload.
    pub payload_len: u64,
    /// Bytes of its trailer.
    pub trailer_len: usize,
    /// Whether it is over the limit and skipped.
    pub skipped: bool,
    /// Whether all of it came, and its check holds.
    pub whole: bool,
}

impl Located {
    /// Bytes of the whole frame, saturating.
    pub fn frame_len(&self) -> u64 {
        ((self.header_len + self.trailer_len) as u64).saturating_add(self.payload_len)
    }

    /// The offset after its last byte, saturating.
    pub fn end(&self) -> u64 {
        (self.start as u64).saturating_add(self.frame_len())
    }

    /// The bytes of the payload that came.
    pub fn payload<'a>(&self, stream: &'a [u8]) -> &'a [u8] {
        let body = &stream[self.start + self.header_len..];
        &body[..self.payload_len.min(body.len() as u64) as usize]
    }
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After a whole frame.
    Clean,
    /// Inside a frame.
    Truncated {
        /// The offset of the frame.
        start: usize,
        /// The part of the frame in which it ends.
        phase: Phase,
        /// Bytes of the frame that came.
        have: u64,
        /// Bytes of the frame that are known to be needed.
        need: u64,
    },
    /// At a frame that is refused: no decoder continues after it.
    Refused {
        /// The offset of the frame.
        start: usize,
        /// Bytes of the frame that decide that.
        decided: usize,
        /// Bytes of its header that the error shows: none if the header is good, and the check of the whole frame
        /// decides.
        shown: usize,
        /// Why.
        kind: DecodeErrorKind,
    },
}

impl Expected {
    /// Reads the whole stream.
    pub fn of<H: Oracle>(header: &H, oversize: Oversize, stream: &[u8]) -> Expected {
        Expected::read(header, oversize, stream, |_| true)
    }

    /// As [`of`](Expected::of), but a frame's check counts only if `is_checked` says so for the frame's index, counted
    /// from 0 without skipped frames.
    pub(crate) fn read<H: Oracle>(
        header: &H,
        oversize: Oversize,
        stream: &[u8],
        is_checked: impl Fn(usize) -> bool,
    ) -> Expected {
        let mut frames = Vec::new();
        let mut index = 0;
        let mut start = 0;
        let end = loop {
            let left = &stream[start..];
            if left.is_empty() {
                break End::Clean;
            }
            let head = match header.seen(left) {
                Seen::Short { need } => {
                    break End::Truncated { start, phase: Phase::Header, have: left.len() as u64, need: need as u64 };
                }
                Seen::Bad { decided, kind } => break End::refused(start, decided, kind),
                Seen::Whole(head) => head,
            };
            let Head { prefix_len, header_len, payload_len, trailer_len, .. } = head;
            let skipped = match is_skipped(head, header.max_payload_len(), oversize) {
                Ok(skipped) => skipped,
                Err(kind) => break End::refused(start, header_len, kind),
            };
            let mut frame = Located { start, prefix_len, header_len, payload_len, trailer_len, skipped, whole: true };
            let (have, need) = (left.len() as u64, frame.frame_len());
            frame.whole = need <= have;
            if !frame.whole {
                frames.push(frame);
                let is_payload = have < (header_len as u64).saturating_add(payload_len);
                let phase = if is_payload { Phase::Payload } else { Phase::Trailer };
                break End::Truncated { start, phase, have, need };
            }
            let whole = &left[..need as usize];
            let checked = if skipped || !is_checked(index) { Ok(()) } else { header.checked(head, whole) };
            frame.whole = checked.is_ok();
            frames.push(frame);
            if let Err(kind) = checked {
                break End::Refused { start, decided: whole.len(), shown: 0, kind };
            }
            index += usize::from(!skipped);
            start = frame.end() as usize;
        };
        Expected { frames, end }
    }

    /// The frames that are yielded.
    pub fn yielded(&self) -> impl Iterator<Item = &Located> {
        self.frames.iter().filter(|frame| frame.whole && !frame.skipped)
    }
}

/// The most bytes of a header that an error shows.
pub(crate) const MOST_SHOWN: usize = 16;

impl End {
    /// The end at a refused header.
    fn refused(start: usize, decided: usize, kind: DecodeErrorKind) -> End {
        End::Refused { start, decided, shown: decided.min(MOST_SHOWN), kind }
    }
}

/// A header whose streams the oracle can read.
///
/// For your own header, `impl Oracle for Mine {}` is enough; every check of this module then takes a
/// [`Case`](super::Case) of it. The oracle calls [`Header::parse`] again with every byte more, so that it also finds a
/// `parse` that breaks its contract.
pub trait Oracle: Header + Clone + fmt::Debug {
    /// Whether the trailer of a whole frame with this header is what its bytes give. For a header with a check, compute
    /// that in another way than the check does.
    ///
    /// # Errors
    /// If it is not.
    fn checked(&self, head: Head, frame: &[u8]) -> Result<(), DecodeErrorKind> {
        let (front, trailer) = frame.split_at(frame.len() - head.trailer_len);
        let (header, payload) = front.split_at(head.header_len);
        let mut check = self.check(header);
        check.update(payload);
        check.verify(trailer)
    }

    /// What `bytes`, at least one, begin with.
    ///
    /// # Panics
    /// If `parse` breaks the contract of [`Header`]: it asks for no byte or for more than the header has, or it reports
    /// another header length than the bytes that decided.
    fn seen(&self, bytes: &[u8]) -> Seen {
        let mut need = 0;
        for decided in 1..=bytes.len() {
            match self.parse(&bytes[..decided]) {
                Ok(Parsed::Need(more)) => {
                    assert!(more > 0, "a header that is not whole needs a byte: {self:?}");
                    need = need.max(decided + more);
                }
                Ok(Parsed::Head(head)) => {
                    assert!(need <= decided, "{need} bytes were asked for, and the header has {decided}: {self:?}");
                    assert_eq!(head.header_len, decided, "the bytes that decide are the header: {self:?}");
                    assert!(head.prefix_len <= decided && decided <= self.max_header_len(), "{head:?} of {self:?}");
                    return Seen::Whole(head);
                }
                Err(kind) => return Seen::Bad { decided, kind },
            }
        }
        match self.parse(bytes) {
            Ok(Parsed::Need(more)) => Seen::Short { need: bytes.len() + more },
            other => unreachable!("a header is a function of its bytes: {other:?} of {self:?}"),
        }
    }
}

/// What some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A header that is not whole.
    Short {
        /// Bytes of the frame that are known to be needed.
        need: usize,
    },
    /// No header.
    Bad {
        /// Bytes that decide that.
        decided: usize,
        /// Why.
        kind: DecodeErrorKind,
    },
    /// A header, whose payload may be over the limit.
    Whole(Head),
}

/// Reads a format by its own arithmetic, without [`Header::parse`].
impl Oracle for Format {
    fn seen(&self, bytes: &[u8]) -> Seen {
        let layout = self.layout();
        let (header_len, field) = match field(&layout, bytes) {
            Ok(found) => found,
            Err(seen) => return seen,
        };
        let Ok(payload_len) = u128::try_from(i128::from(field) + i128::from(layout.adjustment)) else {
            let kind = DecodeErrorKind::Underflow { field, adjustment: layout.adjustment };
            return Seen::Bad { decided: header_len, kind };
        };
        let payload_len = u64::try_from(payload_len).unwrap_or(u64::MAX);
        let head = Head::new(header_len, payload_len).prefix(usize::from(layout.offset)).field(field);
        Seen::Whole(head.trailer(usize::from(layout.trailer)))
    }
}

/// The length of the header, and the number in its field.
fn field(layout: &Layout, bytes: &[u8]) -> Result<(usize, u64), Seen> {
    let offset = usize::from(layout.offset);
    match layout.field {
        Field::Fixed { width, endian } => {
            let header_len = offset + usize::from(width);
            let Some(digits) = bytes.get(offset..header_len) else { return Err(Seen::Short { need: header_len }) };
            let sum = |field: u64, digit: &u8| field * 256 + u64::from(*digit);
            let field = match endian {
                Endian::Big => digits.iter().fold(0, sum),
                Endian::Little => digits.iter().rev().fold(0, sum),
            };
            Ok((header_len, field))
        }
        Field::Varint { max_width, minimal } => {
            let mut field = 0u128;
            for width in 1..=usize::from(max_width) {
                let header_len = offset + width;
                let Some(&byte) = bytes.get(header_len - 1) else { return Err(Seen::Short { need: header_len }) };
                field += u128::from(byte % 128) << (7 * (width - 1));
                let bad = |kind| Err(Seen::Bad { decided: header_len, kind });
                let Ok(field) = u64::try_from(field) else { return bad(DecodeErrorKind::VarintOverflow) };
                if byte < 128 {
                    return match minimal && width > 1 && byte == 0 {
                        true => bad(DecodeErrorKind::VarintNotMinimal { width: width as u8, field }),
                        false => Ok((header_len, field)),
                    };
                }
            }
            let decided = offset + usize::from(max_width);
            Err(Seen::Bad { decided, kind: DecodeErrorKind::VarintTooLong { max_width } })
        }
    }
}

/// Whether a payload is skipped. It is refused if it is over the limit and not to be skipped.
fn is_skipped(head: Head, max_payload_len: usize, oversize: Oversize) -> Result<bool, DecodeErrorKind> {
    let Head { field, payload_len, .. } = head;
    match oversize {
        _ if payload_len <= max_payload_len as u64 => Ok(false),
        Oversize::Skip { max_discard } if payload_len <= max_discard => Ok(true),
        _ => Err(DecodeErrorKind::Oversize { field, payload_len, max_payload_len }),
    }
}
