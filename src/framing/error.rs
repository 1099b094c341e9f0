//! Why a stream is not a stream of frames, and why a frame is not put into one.

mod diagnosis;

use alloc::boxed::Box;
use core::fmt;
use core::ops::Deref;

pub use diagnosis::Diagnosis;

/// Why a stream is not a stream of frames: what, where, with its numbers, and what it looks like. Final.
///
/// It is one pointer long, as every frame is handed out in a `Result` beside it; behind the pointer is a [`Fault`], whose
/// methods it has. It is allocated where a stream fails.
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

/// Why bytes are no frames: what, where, with its numbers, and what they look like. It is what a [`DecodeError`] points at;
/// functions that read a slice return it as it is, as they allocate nothing.
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

    /// The header, as far as it decided: at most its first 16 bytes. None where the header is not what is wrong.
    pub fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    /// What the header looks like, where it looks like anything.
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
    /// A payload is declared that is over the limit.
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
    /// A varint goes on after the longest that the layout has.
    VarintTooLong {
        /// Bytes of the longest.
        max_width: u8,
    },
    /// A varint says more than 64 bits.
    VarintOverflow,
    /// A varint is longer than its number needs, where the layout refuses that.
    VarintNotMinimal {
        /// Bytes that it has.
        width: u8,
        /// Its number.
        field: u64,
    },
    /// The stream ended inside a frame.
    Truncated {
        /// In which part of the frame it ended.
        phase: Phase,
        /// Bytes of the frame that came, header included.
        have: u64,
        /// Bytes that it has, header and trailer included; in the header phase only those of the header are known and counted.
        need: u64,
    },
    /// A frame's trailer is not what its bytes give.
    Mismatch {
        /// What the trailer says.
        stated: u64,
        /// What was computed over the frame.
        computed: u64,
    },
    /// A custom header's own reason.
    Custom(&'static str),
}

impl DecodeErrorKind {
    /// The field's number, where the error is about it.
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
                write!(f, "a varint goes on after {max_width} bytes")
            }
            DecodeErrorKind::VarintOverflow => f.write_str("a varint says more than 64 bits"),
            DecodeErrorKind::VarintNotMinimal { width, field } => {
                write!(f, "a varint of {width} bytes says {field}, which needs fewer")
            }
            DecodeErrorKind::Truncated { phase, have, need } => {
                let place = match phase {
                    Phase::Header => "the header of a frame",
                    Phase::Payload => "a frame",
                    Phase::Trailer => "the trailer of a frame",
                };
                write!(f, "the stream ended inside {place}: {} of {need} bytes missing", need - have)
            }
            DecodeErrorKind::Mismatch { stated, computed } => {
                write!(f, "the trailer says {stated:#x}, and the frame gives {computed:#x}")
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
    /// The payload is shorter than the layout can say: its adjustment is positive.
    Undersize {
        /// Bytes of the payload.
        payload_len: usize,
        /// The least that the layout can say, in bytes.
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
        /// Bytes that the layout has behind its payload.
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
                write!(f, "a payload of {payload_len} bytes is below the {least} that the format can say")
            }
            EncodeError::Prefix { prefix_len, offset } => {
                write!(f, "a prefix of {prefix_len} bytes where the format has {offset} before its length field")
            }
            EncodeError::Trailer { trailer_len, expected } => {
                write!(f, "a trailer of {trailer_len} bytes where the format has {expected} behind its payload")
            }
            EncodeError::Custom(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for EncodeError {}
