//! A frame that owns its bytes.

use std::fmt;
use std::str::Utf8Error;

use bytes::{Buf, Bytes, BytesMut};

use crate::framing::{Envelope, Span};

/// One frame: header, payload and trailer, in the memory that they were read into, without a copy.
///
/// It keeps that memory alive, like any part of a [`BytesMut`]: even a small frame keeps the whole read that it came
/// in. Copy the payload of a frame that you keep for long.
///
/// ```
/// use bytes::BytesMut;
/// use tokio_util::codec::Decoder;
/// use unstick::codec::FrameCodec;
/// use unstick::framing::{Endian, Format, Layout};
///
/// let layout = Layout::fixed(2, Endian::Big).offset(1).trailer(1);
/// let mut received = BytesMut::from(&b"\x07\x00\x05hello!"[..]);
/// let frame = FrameCodec::new(Format::new(layout, 1024)?).decode(&mut received)?.unwrap();
/// assert_eq!(frame.prefix(), b"\x07");
/// assert_eq!(frame.header(), b"\x07\x00\x05");
/// assert_eq!(frame.payload(), b"hello");
/// assert_eq!(frame.trailer(), b"!");
/// assert_eq!(frame.as_bytes(), b"\x07\x00\x05hello!");
/// assert_eq!(frame.into_payload(), "hello"); // as `Bytes`, which is cheap to clone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(PartialEq, Eq)]
// The lengths come first, without a gap: each layer of a stream moves a frame, and so moves the lengths as one word,
// and the other words as they were written. With the compiler's order two of these moves stall, and the stream takes a
// quarter longer.
#[repr(C)]
pub struct OwnedFrame {
    /// `prefix_len ≤ header_len`, and `header_len + trailer_len ≤ bytes.len()`.
    prefix_len: u16,
    header_len: u16,
    trailer_len: u32,
    bytes: BytesMut,
}

impl OwnedFrame {
    /// Takes the frame that `received` begins with.
    // Always inline, as `decode`.
    #[inline(always)]
    pub(super) fn split_from(received: &mut BytesMut, span: Span) -> OwnedFrame {
        debug_assert_eq!(span.start, 0);
        let Span { end, header_len, prefix_len, trailer_len, .. } = span;
        let (header_len, trailer_len) = (header_len as u16, u32::from(trailer_len));
        OwnedFrame { prefix_len, header_len, trailer_len, bytes: received.split_to(end) }
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.header_len)..self.payload_end()]
    }

    /// The payload as `Bytes`, to keep it or to forward it, without a copy.
    #[inline]
    pub fn into_payload(mut self) -> Bytes {
        self.bytes.truncate(self.payload_end());
        self.bytes.advance(usize::from(self.header_len));
        self.bytes.freeze()
    }

    /// The bytes before the length field: as many as the layout's `offset`.
    #[inline]
    pub fn prefix(&self) -> &[u8] {
        &self.bytes[..usize::from(self.prefix_len)]
    }

    /// The header: prefix and length field.
    #[inline]
    pub fn header(&self) -> &[u8] {
        &self.bytes[..usize::from(self.header_len)]
    }

    /// The bytes after the payload: as many as the layout's `trailer`, or a checksum.
    #[inline]
    pub fn trailer(&self) -> &[u8] {
        &self.bytes[self.payload_end()..]
    }

    /// The prefix and the trailer, to send another payload with them.
    #[inline]
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope { prefix: self.prefix(), trailer: self.trailer() }
    }

    /// The bytes of the whole frame as received.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole frame as received, as `Bytes`, without a copy.
    #[inline]
    pub fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    /// The payload as UTF-8 text.
    ///
    /// # Errors
    /// If the payload is not UTF-8; the error says up to which byte it is valid.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.payload())
    }

    #[inline]
    fn payload_end(&self) -> usize {
        self.bytes.len() - self.trailer_len as usize
    }
}

/// Shows lengths, never the payload, which may not belong in a log.
impl fmt::Debug for OwnedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedFrame")
            .field("prefix_len", &self.prefix_len)
            .field("header_len", &self.header_len)
            .field("payload_len", &self.payload().len())
            .field("trailer_len", &self.trailer_len)
            .finish()
    }
}
