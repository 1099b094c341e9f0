//! Puts frames into a byte stream.

use alloc::vec::Vec;
use core::fmt;

use super::format::Format;
use super::header::Header;

/// Puts frames into a byte stream: all of a frame, or nothing of it.
///
/// ```
/// use unstick::framing::{EncodeError, Encoder, Format};
/// let encoder = Encoder::new(Format::U8);
/// let mut wire = Vec::new();
/// encoder.encode(&[], "你好".as_bytes(), &mut wire)?;
/// assert_eq!(wire, b"\x06\xE4\xBD\xA0\xE5\xA5\xBD");
///
/// let refused = encoder.encode(&[], &[0; 256], &mut wire);
/// assert_eq!(refused, Err(EncodeError::Oversize { payload_len: 256, max_payload_len: 255 }));
/// assert_eq!(wire.len(), 7); // nothing of it was written
/// # Ok::<(), EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder<H = Format> {
    header: H,
}

impl<H: Header> Encoder<H> {
    /// An encoder for `header`, mostly a [`Format`].
    pub const fn new(header: H) -> Encoder<H> {
        Encoder { header }
    }

    /// The header, mostly a [`Format`].
    pub const fn format(&self) -> &H {
        &self.header
    }

    /// Appends a frame to `out`. `prefix` is what stands before the length field: empty, unless the layout has an offset.
    ///
    /// # Errors
    /// [`EncodeError`], and `out` is as it was.
    // Always inline: the compiler takes it for too long, though nearly all of it are refusals that never run.
    #[inline(always)]
    pub fn encode(&self, prefix: &[u8], payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.header(prefix, payload.len(), out)?;
        out.extend_from_slice(payload);
        Ok(())
    }

    /// Appends the header alone to `out`, for a payload of `payload_len` bytes that is written behind it from where it is.
    ///
    /// # Errors
    /// [`EncodeError`], and `out` is as it was.
    #[inline(always)]
    pub fn header(&self, prefix: &[u8], payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let before = out.len();
        self.header.write(prefix, payload_len, out).inspect_err(|_| out.truncate(before))
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
            EncodeError::Custom(reason) => f.write_str(reason),
        }
    }
}

impl core::error::Error for EncodeError {}
