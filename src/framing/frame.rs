//! A frame, borrowed from the buffer it arrived in.

use core::fmt;
use core::str::Utf8Error;

use super::envelope::Envelope;
use super::header::Span;

/// One frame: header, payload and trailer, borrowed from the buffer they arrived in, without a copy.
///
/// ```
/// use unstick::framing::{Decoder, Endian, Format, Layout};
/// let layout = Layout::fixed(2, Endian::Big).offset(1).trailer(1);
/// let mut decoder = Decoder::new(Format::new(layout, 1024)?);
/// decoder.feed(b"\x07\x00\x05hello!");
/// let frame = decoder.next_frame()?.unwrap();
/// assert_eq!(frame.prefix(), b"\x07");
/// assert_eq!(frame.header(), b"\x07\x00\x05");
/// assert_eq!(frame.payload(), b"hello");
/// assert_eq!(frame.text()?, "hello");
/// assert_eq!(frame.trailer(), b"!");
/// assert_eq!(frame.as_bytes(), b"\x07\x00\x05hello!");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    /// `bytes[header_len..]` without the trailer.
    payload: &'a [u8],
    /// `prefix_len ≤ header_len`, and `header_len + payload.len() ≤ bytes.len()`.
    prefix_len: u16,
    header_len: u16,
}

impl<'a> Frame<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], span: Span) -> Frame<'a> {
        let Span { start, end, header_len, prefix_len, trailer_len } = span;
        debug_assert!(usize::from(prefix_len) <= header_len && bytes.len() == end - start);
        let payload = &bytes[header_len..bytes.len() - usize::from(trailer_len)];
        Frame { bytes, payload, prefix_len, header_len: header_len as u16 }
    }

    /// The payload.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// The bytes before the length field: as many as the layout's `offset`.
    #[inline]
    pub fn prefix(self) -> &'a [u8] {
        &self.bytes[..usize::from(self.prefix_len)]
    }

    /// The header: prefix and length field.
    #[inline]
    pub fn header(self) -> &'a [u8] {
        &self.bytes[..usize::from(self.header_len)]
    }

    /// The bytes after the payload: as many as the layout's `trailer`, or a checksum.
    #[inline]
    pub fn trailer(self) -> &'a [u8] {
        &self.bytes[usize::from(self.header_len) + self.payload.len()..]
    }

    /// The prefix and the trailer, to send another payload with them.
    #[inline]
    pub fn envelope(self) -> Envelope<'a> {
        Envelope { prefix: self.prefix(), trailer: self.trailer() }
    }

    /// The bytes of the whole frame as received, to forward it.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The payload as UTF-8 text.
    ///
    /// # Errors
    /// If the payload is not UTF-8; the error says up to which byte it is valid.
    pub fn text(self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.payload())
    }
}

/// Shows lengths, never the payload, which may not belong in a log.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("prefix_len", &self.prefix_len)
            .field("header_len", &self.header_len)
            .field("payload_len", &self.payload.len())
            .field("trailer_len", &self.trailer().len())
            .finish()
    }
}
