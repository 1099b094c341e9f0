//! The bytes of a frame that are neither length field nor payload.

use alloc::vec::Vec;
use core::fmt;

/// The prefix and the trailer of a frame: the bytes before the length field, and those after the payload. Empty for
/// most formats.
///
/// A slice converts into an envelope with that prefix and no trailer: `encoder.encode_with(b"\x07", payload, &mut
/// out)`. [`Frame::envelope`](super::Frame::envelope) is the envelope of a received frame.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The bytes before the length field: as many as the layout's `offset`.
    pub prefix: &'a [u8],
    /// The bytes after the payload: as many as the layout's `trailer`. Ignored if a [`Check`](super::Check) computes
    /// the trailer.
    pub trailer: &'a [u8],
}

impl<'a> From<&'a [u8]> for Envelope<'a> {
    #[inline]
    fn from(prefix: &'a [u8]) -> Envelope<'a> {
        Envelope { prefix, trailer: &[] }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Envelope<'a> {
    #[inline]
    fn from(prefix: &'a [u8; N]) -> Envelope<'a> {
        Envelope { prefix, trailer: &[] }
    }
}

impl<'a> From<&'a Vec<u8>> for Envelope<'a> {
    #[inline]
    fn from(prefix: &'a Vec<u8>) -> Envelope<'a> {
        Envelope { prefix, trailer: &[] }
    }
}

/// Shows lengths, never the bytes.
impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("prefix_len", &self.prefix.len())
            .field("trailer_len", &self.trailer.len())
            .finish()
    }
}
