//! What a header must tell the decoder and the encoder, so that any layout can be served.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::decoder::DecodeErrorKind;
use super::diagnosis::Diagnosis;
use super::encoder::EncodeError;

/// Bytes of the longest header that any format may have: 255 of prefix and ten of varint.
pub const MAX_HEADER_LEN: usize = 255 + 10;

/// A header: how long is what stands before the payload, and how long is the payload.
///
/// [`Format`](super::Format) is the one that nearly everyone needs. Implement this for what no field description covers:
/// a magic number to check, two lengths to add, a length whose width depends on its first byte (the example).
///
/// An implementation must be a function of the bytes alone: what it says of some bytes, it says of them however they
/// arrived. It must never ask for more bytes than the header has, and one that is not whole is [`Parsed::Need`].
///
/// # Panics
/// The decoder panics on a [`Head`] whose `header_len` is not 1 to [`MAX_HEADER_LEN`], or whose `prefix_len` is above it.
///
/// ```
/// use unstick::framing::{DecodeErrorKind, Decoder, EncodeError, Head, Header, Parsed};
///
/// /// WebSocket's way: below 126 one byte is the length, 126 says that a big-endian u16 follows.
/// struct Short;
///
/// impl Header for Short {
///     fn max_header_len(&self) -> usize { 3 }
///     fn max_payload_len(&self) -> usize { 65_535 }
///     fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
///         let head = |header_len, field| Ok(Parsed::Head(Head { prefix_len: 0, header_len, field, payload_len: field }));
///         match *bytes {
///             [] => Ok(Parsed::Need(1)),
///             [126] => Ok(Parsed::Need(2)),
///             [126, _] => Ok(Parsed::Need(1)),
///             [126, high, low, ..] => head(3, u64::from(u16::from_be_bytes([high, low]))),
///             [127..=255, ..] => Err(DecodeErrorKind::Custom("a length byte is 0 to 126")),
///             [short, ..] => head(1, u64::from(short)),
///         }
///     }
///     fn write(&self, _prefix: &[u8], payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
///         match u16::try_from(payload_len) {
///             Ok(short @ ..126) => out.push(short as u8),
///             Ok(long) => { out.push(126); out.extend_from_slice(&long.to_be_bytes()); }
///             Err(_) => return Err(EncodeError::Oversize { payload_len, max_payload_len: 65_535 }),
///         }
///         Ok(())
///     }
/// }
///
/// let mut decoder = Decoder::new(Short);
/// decoder.feed(b"\x02hi\x7E\x00\x03abc");
/// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"hi");
/// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"abc");
/// # Ok::<(), unstick::framing::DecodeError>(())
/// ```
pub trait Header {
    /// Bytes of the longest header, at most [`MAX_HEADER_LEN`].
    fn max_header_len(&self) -> usize;

    /// The limit on a payload, in bytes, at most `isize::MAX as usize - MAX_HEADER_LEN`: above that, lengths overflow and the
    /// decoder may panic. The decoder compares each payload with it; the encoder does not, so `write` must refuse what is
    /// longer.
    fn max_payload_len(&self) -> usize;

    /// Reads the header at the start of `bytes`, which may hold less than the header or much more.
    ///
    /// # Errors
    /// Where no frame can begin with these bytes. An oversize payload is no error here: the decoder compares.
    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind>;

    /// Where the frame is that begins at `start`, if all of it is in `bytes` and within the limit: what the decoder asks
    /// first, as it is mostly so. It says what [`parse`](Header::parse) says of `bytes[start..]`, and is here so that a
    /// [`Format`](super::Format) can say it faster.
    #[doc(hidden)]
    #[inline]
    fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
        Span::parsed(self, bytes, start)
    }

    /// Appends the header of a payload of `payload_len` bytes to `out`.
    ///
    /// # Errors
    /// Where the header cannot say that length, or `prefix` is not what this header needs.
    fn write(&self, prefix: &[u8], payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// What the header bytes of an error look like. `offset` is the frame's place in the stream.
    fn diagnose(&self, kind: DecodeErrorKind, offset: u64, header: &[u8]) -> Option<Diagnosis> {
        let _ = kind;
        Diagnosis::of_protocol(offset, header).or_else(|| Diagnosis::of_text(header))
    }
}

/// Where the frame is that begins at `start`, also where the bytes end too soon behind its header for the quick way.
#[cold]
pub(crate) fn frame_at(header: &impl Header, bytes: &[u8], start: usize) -> Option<Span> {
    Span::parsed(header, bytes, start)
}

/// A header that many decoders share.
impl<H: Header + ?Sized> Header for Rc<H> {
    #[inline]
    fn max_header_len(&self) -> usize {
        (**self).max_header_len()
    }

    #[inline]
    fn max_payload_len(&self) -> usize {
        (**self).max_payload_len()
    }

    #[inline]
    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        (**self).parse(bytes)
    }

    #[inline(always)]
    fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
        (**self).whole_frame(bytes, start)
    }

    #[inline(always)]
    fn write(&self, prefix: &[u8], payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        (**self).write(prefix, payload_len, out)
    }

    fn diagnose(&self, kind: DecodeErrorKind, offset: u64, header: &[u8]) -> Option<Diagnosis> {
        (**self).diagnose(kind, offset, header)
    }
}

/// What [`Header::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header is not whole: at least so many more bytes are needed before it can say more. Never 0.
    Need(usize),
    /// The header is whole.
    Head(Head),
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the prefix; at most `header_len`.
    pub prefix_len: usize,
    /// Bytes of the header, prefix included; 1 to [`MAX_HEADER_LEN`].
    pub header_len: usize,
    /// The length field's number as it stands on the wire.
    pub field: u64,
    /// Bytes of the payload that is declared; nothing is believed of it before it is compared with the limit.
    pub payload_len: u64,
}

/// Where a whole frame is in the bytes that it was looked for in: `prefix_len ≤ header_len ≤ end - start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) header_len: u16,
    pub(crate) prefix_len: u16,
}

impl Span {
    /// The span of the frame that begins at `start`, as [`Header::parse`] finds it: if its payload is within the limit, and all
    /// of it is in `bytes`.
    #[inline]
    pub(crate) fn parsed<H: Header + ?Sized>(header: &H, bytes: &[u8], start: usize) -> Option<Span> {
        // Mostly all is taken, and there is nothing to parse.
        let unread = bytes.get(start..).filter(|unread| !unread.is_empty())?;
        match header.parse(unread).ok()? {
            Parsed::Head(head) if head.payload_len <= header.max_payload_len() as u64 => {
                Span::within(head, start, bytes.len())
            }
            _ => None,
        }
    }

    /// The span of a frame with this header, whose payload is within the limit, if it ends within `available` bytes.
    #[inline]
    pub(crate) fn within(head: Head, start: usize, available: usize) -> Option<Span> {
        let Head { prefix_len, header_len, .. } = head;
        assert!(
            prefix_len <= header_len && (1..=MAX_HEADER_LEN).contains(&header_len),
            "a header has 1 to {MAX_HEADER_LEN} bytes and its prefix is in it: {header_len} and {prefix_len}"
        );
        let end = start + header_len + head.payload_len as usize;
        let span = Span { start, end, header_len: header_len as u16, prefix_len: prefix_len as u16 };
        (end <= available).then_some(span)
    }
}
