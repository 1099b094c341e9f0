//! A frame, borrowed from the buffer it arrived in.

use core::str::Utf8Error;

use super::header::Span;

/// One frame: header and payload, borrowed where they arrived. Nothing was copied for it.
///
/// ```
/// use unstick::framing::{Decoder, Endian, Format, Layout};
/// let layout = Layout { offset: 1, ..Layout::fixed(2, Endian::Big) };
/// let mut decoder = Decoder::new(Format::new(layout, 1024)?);
/// decoder.feed(b"\x07\x00\x05hello");
/// let frame = decoder.next_frame()?.unwrap();
/// assert_eq!(frame.prefix(), b"\x07");
/// assert_eq!(frame.header(), b"\x07\x00\x05");
/// assert_eq!(frame.payload(), b"hello");
/// assert_eq!(frame.text()?, "hello");
/// assert_eq!(frame.as_bytes(), b"\x07\x00\x05hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    /// `prefix_len ≤ header_len ≤ bytes.len()`.
    prefix_len: u16,
    header_len: u16,
}

impl<'a> Frame<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], span: Span) -> Frame<'a> {
        let Span { start, end, header_len, prefix_len } = span;
        debug_assert!(prefix_len <= header_len && usize::from(header_len) <= bytes.len() && bytes.len() == end - start);
        Frame { bytes, prefix_len, header_len }
    }

    /// The payload.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        &self.bytes[usize::from(self.header_len)..]
    }

    /// What stands before the length field: the layout's `offset` bytes.
    #[inline]
    pub fn prefix(self) -> &'a [u8] {
        &self.bytes[..usize::from(self.prefix_len)]
    }

    /// The header: prefix and length field.
    #[inline]
    pub fn header(self) -> &'a [u8] {
        &self.bytes[..usize::from(self.header_len)]
    }

    /// The whole frame as it stands on the wire, for whoever passes it on.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The payload as UTF-8 text.
    ///
    /// # Errors
    /// Where the payload is not UTF-8; the error says up to which byte it is.
    pub fn text(self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.payload())
    }
}
