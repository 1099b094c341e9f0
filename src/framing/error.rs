//! Why a stream cannot be decoded, and why a frame cannot be encoded.

mod diagnosis;

use alloc::boxed::Box;
use core::fmt;
use core::ops::Deref;

pub use diagnosis::Diagnosis;

/// Why a stream cannot be decoded: what is wrong, at which offset, with the numbers, and what the bytes look like.
/// Final.
///
/// It is a boxed [`Fault`] and has its methods. It is one pointer long, as every frame is returned in a `Result` with
/// it; the box is allocated when a stream fails.
///
/// ```
/// use unstick::framing::{Decoder, DecodeErrorKind, Diagnosis, Format};
/// let mut decoder = Decoder::new(Format::U32_BE);
/// decoder.feed(b"GET / HTTP/1.1\r\n");
/// let error = decoder.next_frame().unwrap_err();
/// assert!(matches!(error.kind(), DecodeErrorKind::Oversize { field: 0x47455420, .. }));
/// assert_eq!(error.offset(), 0);
/// assert_eq!(error.diagnosis(), Some(Diagnosis::Http));
/// assert_eq!(
///     error.to_string(),
///     "at byte 0: a payload of 1195725856 bytes is over the limit of 1048576 (header 47 45 54 20: looks like HTTP)",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(Box<Fault>);

impl Deref for DecodeError {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> DecodeError {
        DecodeError(Box::new(fault))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for DecodeError {}

/// Why bytes cannot be decoded: what is wrong, at which offset, with the numbers, and what the bytes look like. A
/// [`DecodeError`] is a boxed one; functions that read a slice return it unboxed, as they allocate nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    offset: u64,
    kind: DecodeErrorKind,
    /// The first bytes of the header: `header[..header_len]`.
    header: [u8; 16],
    header_len: u8,
    diagnosis: Option<Diagnosis>,
}

impl Fault {
    pub(super) fn new(offset: u64, kind: DecodeErrorKind, header: &[u8], diagnosis: Option<Diagnosis>) -> Fault {
        let mut first = [0; 16];
        let len = header.len().min(first.len());
        first[..len].copy_from_slice(&header[..len]);
        Fault { offset, kind, header: first, header_len: len as u8, diagnosis }
    }

    /// What is wrong.
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The offset in the stream of the first byte of the frame that is wrong.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes of the header that decided, at most 16. Empty if the header is not what is wrong.
    pub fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    /// What the bytes look like, if they look like anything known.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        self.diagnosis
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.kind)?;
        let Some((first, rest)) = self.header().split_first() else {
            return Ok(());
        };
        write!(f, " (header {first:02x}")?;
        for byte in rest {
            write!(f, " {byte:02x}")?;
        }
        match self.diagnosis {
            Some(diagnosis) => write!(f, ": {diagnosis})"),
            None => f.write_str(")"),
        }
    }
}

impl core::error::Error for Fault {}

/// What is wrong with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The declared payload is over the limit.
    Oversize {
        /// The field's number.
        field: u64,
        /// Bytes of the payload that it declares, after adjustment.
        payload_len: u64,
        /// The limit, in bytes.
        max_payload_len: usize,
    },
    /// The field plus the adjustment is negative.
    Underflow {
        /// The field's number.
        field: u64,
        /// The layout's adjustment.
        adjustment: i64,
    },
    /// A varint continues beyond the longest that the layout allows.
    VarintTooLong {
        /// Bytes of the longest varint allowed.
        max_width: u8,
    },
    /// A varint holds more than 64 bits.
    VarintOverflow,
    /// A varint is longer than its number needs, and the layout refuses that.
    VarintNotMinimal {
        /// Bytes that it has.
        width: u8,
        /// Its number.
        field: u64,
    },
    /// The stream ended inside a frame.
    Truncated {
        /// The part of the frame in which it ended.
        phase: Phase,
        /// Bytes of the frame that were received, header included.
        have: u64,
        /// Bytes of the whole frame, header and trailer included; in the header phase, only the bytes of the header
        /// that are known to be needed.
        need: u64,
    },
    /// A frame's trailer is not what was computed over its bytes.
    Mismatch {
        /// The value in the trailer.
        stated: u64,
        /// The value computed over the frame.
        computed: u64,
    },
    /// A custom header's own reason.
    Custom(&'static str),
}

impl DecodeErrorKind {
    /// The field's number, if the error is about it.
    pub(super) fn field(self) -> Option<u64> {
        match self {
            DecodeErrorKind::Oversize { field, .. } | DecodeErrorKind::Underflow { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// The part of a frame in which a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Inside the header.
    Header,
    /// After the header, before the payload's last byte.
    Payload,
    /// After the payload, before the trailer's last byte.
    Trailer,
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeErrorKind::Oversize { payload_len, max_payload_len, .. } => {
                write!(f, "a payload of {payload_len} bytes is over the limit of {max_payload_len}")
            }
            DecodeErrorKind::Underflow { field, adjustment } => {
                write!(f, "a length field of {field} with the adjustment {adjustment} is a negative payload")
            }
            DecodeErrorKind::VarintTooLong { max_width } => {
                write!(f, "a varint is longer than {max_width} bytes")
            }
            DecodeErrorKind::VarintOverflow => f.write_str("a varint holds more than 64 bits"),
            DecodeErrorKind::VarintNotMinimal { width, field } => {
                write!(f, "a varint of {width} bytes says {field}, which needs fewer")
            }
            DecodeErrorKind::Truncated { phase, have, need } => {
                let part = match phase {
                    Phase::Header => "the header of a frame",
                    Phase::Payload => "a frame",
                    Phase::Trailer => "the trailer of a frame",
                };
                write!(f, "the stream ended inside {part}: {} of {need} bytes missing", need - have)
            }
            DecodeErrorKind::Mismatch { stated, computed } => {
                write!(f, "the trailer is {stated:#x}, but {computed:#x} was computed")
            }
            DecodeErrorKind::Custom(reason) => f.write_str(reason),
        }
    }
}

/// Why a frame was not encoded. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is over the limit.
    Oversize {
        /// Bytes of the payload.
        payload_len: usize,
        /// The limit, in bytes.
        max_payload_len: usize,
    },
    /// The payload is shorter than the layout can express: its adjustment is positive.
    Undersize {
        /// Bytes of the payload.
        payload_len: usize,
        /// The least payload that the layout can express, in bytes.
        least: u64,
    },
    /// The prefix is not as long as the layout's offset.
    Prefix {
        /// Bytes of the prefix.
        prefix_len: usize,
        /// Bytes that the layout has before its length field.
        offset: usize,
    },
    /// The trailer is not as long as the layout's.
    Trailer {
        /// Bytes of the trailer.
        trailer_len: usize,
        /// Bytes that the layout has after its payload.
        expected: usize,
    },
    /// A custom header's own reason.
    Custom(&'static str),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EncodeError::Oversize { payload_len, max_payload_len } => {
                write!(f, "a payload of {payload_len} bytes is over the limit of {max_payload_len}")
            }
            EncodeError::Undersize { payload_len, least } => {
                write!(f, "a payload of {payload_len} bytes is below the format's least of {least}")
            }
            EncodeError::Prefix { prefix_len, offset } => {
                write!(f, "a prefix of {prefix_len} bytes where the format has {offset} before its length field")
            }
            EncodeError::Trailer { trailer_len, expected } => {
                write!(f, "a trailer of {trailer_len} bytes where the format has {expected} after its payload")
            }
            EncodeError::Custom(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for EncodeError {}
