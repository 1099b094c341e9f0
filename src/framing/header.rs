//! The traits that any header implements for the decoder and the encoder.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::envelope::Envelope;
use super::error::{DecodeErrorKind, Diagnosis, EncodeError};

/// Bytes of the longest header that any format may have: 255 of prefix and 10 of varint.
pub const MAX_HEADER_LEN: usize = 255 + 10;

/// Bytes of the longest trailer that any format may have.
pub const MAX_TRAILER_LEN: usize = 255;

/// Parses and writes a frame's header.
///
/// [`Format`](super::Format) implements it and is what nearly everyone needs. Implement it yourself for a header that
/// no [`Layout`](super::Layout) describes: a magic number to check, two lengths to add, a length whose width depends on
/// its first byte (the example), a checksum after the payload ([`Check`]).
///
/// An implementation must be a pure function of the bytes. For a header that is not whole it returns [`Parsed::Need`],
/// and it never asks for more bytes than the header has.
///
/// # Panics
/// The decoder panics on a [`Head`] whose `header_len` is not 1 to [`MAX_HEADER_LEN`], whose `prefix_len` is above it, or
/// whose `trailer_len` is above [`MAX_TRAILER_LEN`].
///
/// ```
/// use unstick::framing::{DecodeErrorKind, Decoder, EncodeError, Envelope, Head, Header, Parsed};
///
/// /// WebSocket's way: below 126 one byte is the length, 126 says that a big-endian u16 follows.
/// struct Short;
///
/// impl Header for Short {
///     type Check = (); // no checksum
///
///     fn max_header_len(&self) -> usize { 3 }
///     fn max_payload_len(&self) -> usize { 65_535 }
///     fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
///         match *bytes {
///             [] => Ok(Parsed::Need(1)),
///             [126] => Ok(Parsed::Need(2)),
///             [126, _] => Ok(Parsed::Need(1)),
///             [126, high, low, ..] => Ok(Parsed::Head(Head::new(3, u64::from(u16::from_be_bytes([high, low]))))),
///             [127..=255, ..] => Err(DecodeErrorKind::Custom("a length byte is 0 to 126")),
///             [short, ..] => Ok(Parsed::Head(Head::new(1, u64::from(short)))),
///         }
///     }
///     fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
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
    /// Computed over each frame and compared with its trailer; `()` for no check. (Stable Rust has no default for
    /// associated types, so each header names it.)
    type Check: Check;

    /// Bytes of the longest header, at most [`MAX_HEADER_LEN`].
    fn max_header_len(&self) -> usize;

    /// The limit on a payload, in bytes. At most `isize::MAX as usize - MAX_HEADER_LEN - MAX_TRAILER_LEN`: above that,
    /// lengths overflow and the decoder may panic. The decoder refuses a longer payload; for the encoder, `write` must
    /// refuse it.
    fn max_payload_len(&self) -> usize;

    /// Parses the header at the start of `bytes`, which may be shorter than the header or much longer.
    ///
    /// # Errors
    /// If no frame can begin with these bytes. A payload over the limit is not an error here: the decoder checks that.
    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind>;

    /// Appends the header for a payload of `payload_len` bytes to `out`, with the prefix of `envelope`. Do not write
    /// the trailer: the encoder does.
    ///
    /// # Errors
    /// If the header cannot express that length, or `envelope` is not what this header needs.
    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// The check of a frame with this header, before any byte of its payload. `header` is exactly the header's bytes,
    /// prefix included. Override it if the check also covers them: `let mut crc = Crc::default(); crc.update(header);
    /// crc`.
    fn check(&self, header: &[u8]) -> Self::Check {
        let _ = header;
        Self::Check::default()
    }

    /// What `bytes` look like: the bytes of a refused header, or, if `kind` is [`DecodeErrorKind::Truncated`], all that
    /// was received of the stream's first frame. `offset` is the frame's offset in the stream.
    fn diagnose(&self, kind: DecodeErrorKind, offset: u64, bytes: &[u8]) -> Option<Diagnosis> {
        match kind {
            DecodeErrorKind::Truncated { .. } => Diagnosis::of_begin(bytes),
            _ => Diagnosis::of_protocol(offset, bytes).or_else(|| Diagnosis::of_text(bytes)),
        }
    }

    /// The span of the frame that begins at `start`, if all of it is in `bytes`, within the limit, and its check holds.
    /// The decoder asks this first, as it is the common case. It agrees with [`parse`](Header::parse) on
    /// `bytes[start..]`, and exists so that a [`Format`](super::Format) can answer faster.
    #[doc(hidden)]
    #[inline]
    fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
        Span::parsed(self, bytes, start)
    }
}

/// A check computed over a frame piece by piece, such as a checksum. So a frame larger than memory is checked, too.
///
/// ```
/// use unstick::framing::{
///     Check, DecodeErrorKind, Decoder, EncodeError, Encoder, Envelope, Format, Head, Header, Parsed,
/// };
///
/// /// A byte that counts the payload, the payload, and a byte: all bytes of the payload added up.
/// struct Summed;
///
/// #[derive(Clone, Debug, Default)]
/// struct Sum(u8);
///
/// impl Check for Sum {
///     fn update(&mut self, payload: &[u8]) {
///         self.0 = payload.iter().fold(self.0, |sum, byte| sum.wrapping_add(*byte));
///     }
///     fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind> {
///         let (stated, computed) = (u64::from(trailer[0]), u64::from(self.0));
///         if stated == computed { Ok(()) } else { Err(DecodeErrorKind::Mismatch { stated, computed }) }
///     }
///     fn write(&self, out: &mut Vec<u8>) {
///         out.push(self.0);
///     }
/// }
///
/// impl Header for Summed {
///     type Check = Sum;
///
///     fn max_header_len(&self) -> usize { 1 }
///     fn max_payload_len(&self) -> usize { 255 }
///     fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
///         let Some(&len) = bytes.first() else { return Ok(Parsed::Need(1)) };
///         Ok(Parsed::Head(Head::new(1, u64::from(len)).trailer(1)))
///     }
///     fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
///         Format::U8.write(Envelope::default(), payload_len, out) // a part of a header may be another one's
///     }
/// }
///
/// let mut wire = Vec::new();
/// Encoder::new(Summed).encode(&[1, 2, 3], &mut wire)?;
/// assert_eq!(wire, [3, 1, 2, 3, 6]);
/// wire[4] = 7;
///
/// let mut decoder = Decoder::new(Summed);
/// decoder.feed(&wire);
/// let error = decoder.next_frame().unwrap_err();
/// assert_eq!(error.kind(), DecodeErrorKind::Mismatch { stated: 7, computed: 6 });
/// # Ok::<(), EncodeError>(())
/// ```
pub trait Check: Clone + Default + Unpin {
    /// Whether this computes the trailer, as all but `()` do. If so, an encoder ignores the trailer of its envelope.
    const COMPUTES: bool = true;

    /// Takes the next bytes of the payload. The result must not depend on how they are cut.
    fn update(&mut self, payload: &[u8]);

    /// Compares with a trailer, whose length is the [`Head`]'s `trailer_len`.
    ///
    /// # Errors
    /// If they differ: usually [`DecodeErrorKind::Mismatch`].
    fn verify(&self, trailer: &[u8]) -> Result<(), DecodeErrorKind>;

    /// Appends the trailer to `out`; its length is the [`Head`]'s `trailer_len`.
    fn write(&self, out: &mut Vec<u8>);
}

/// Computes nothing: the caller provides the trailer, if there is one.
impl Check for () {
    const COMPUTES: bool = false;

    #[inline]
    fn update(&mut self, _payload: &[u8]) {}

    #[inline]
    fn verify(&self, _trailer: &[u8]) -> Result<(), DecodeErrorKind> {
        Ok(())
    }

    #[inline]
    fn write(&self, _out: &mut Vec<u8>) {}
}

/// A header that many decoders share, or one that is chosen at run time.
macro_rules! header_behind {
    ($($pointer:ty),*) => {$(
        impl<H: Header + ?Sized> Header for $pointer {
            type Check = H::Check;

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
            fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                (**self).write(envelope, payload_len, out)
            }

            #[inline]
            fn check(&self, header: &[u8]) -> H::Check {
                (**self).check(header)
            }

            fn diagnose(&self, kind: DecodeErrorKind, offset: u64, bytes: &[u8]) -> Option<Diagnosis> {
                (**self).diagnose(kind, offset, bytes)
            }

            #[inline(always)]
            fn whole_frame(&self, bytes: &[u8], start: usize) -> Option<Span> {
                (**self).whole_frame(bytes, start)
            }
        }
    )*};
}

header_behind!(&H, Box<H>, Rc<H>, Arc<H>);

/// What [`Header::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parsed {
    /// The header is not whole: it needs at least this many more bytes. Never 0.
    Need(usize),
    /// The header is whole.
    Head(Head),
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Bytes of the prefix; at most `header_len`.
    pub prefix_len: usize,
    /// Bytes of the header, prefix included; 1 to [`MAX_HEADER_LEN`].
    pub header_len: usize,
    /// The length field's number as it is on the wire.
    pub field: u64,
    /// Bytes of the declared payload; the decoder compares it with the limit before it uses it.
    pub payload_len: u64,
    /// Bytes of the trailer, after the payload; at most [`MAX_TRAILER_LEN`].
    pub trailer_len: usize,
}

impl Head {
    /// A header of `header_len` bytes whose field is the payload's length; without prefix and trailer.
    pub const fn new(header_len: usize, payload_len: u64) -> Head {
        Head { prefix_len: 0, header_len, field: payload_len, payload_len, trailer_len: 0 }
    }

    /// The same with a prefix: the first `prefix_len` bytes of the header.
    #[must_use]
    pub const fn prefix(self, prefix_len: usize) -> Head {
        Head { prefix_len, ..self }
    }

    /// The same with a field whose number is not the payload's length.
    #[must_use]
    pub const fn field(self, field: u64) -> Head {
        Head { field, ..self }
    }

    /// The same with a trailer.
    #[must_use]
    pub const fn trailer(self, trailer_len: usize) -> Head {
        Head { trailer_len, ..self }
    }

    /// Bytes of the whole frame, saturating.
    pub const fn frame_len(self) -> u64 {
        self.payload_len.saturating_add((self.header_len + self.trailer_len) as u64)
    }
}

/// Where a whole frame is in the bytes that were searched.
///
/// Invariant: `prefix_len ≤ header_len`, and `header_len + trailer_len ≤ end - start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) header_len: usize,
    pub(crate) prefix_len: u16,
    pub(crate) trailer_len: u16,
}

impl Span {
    /// Bytes of the whole frame.
    pub fn frame_len(self) -> usize {
        self.end - self.start
    }

    /// The span of the frame that begins at `start`, by [`Header::parse`], if its payload is within the limit, all of
    /// it is in `bytes`, and its check holds.
    #[inline]
    pub(super) fn parsed<H: Header + ?Sized>(header: &H, bytes: &[u8], start: usize) -> Option<Span> {
        // In most cases everything was taken, and there is nothing to parse.
        let unread = bytes.get(start..).filter(|unread| !unread.is_empty())?;
        match header.parse(unread).ok()? {
            Parsed::Head(head) if head.payload_len <= header.max_payload_len() as u64 => {
                Span::within(head, start, bytes.len()).filter(|span| span.verify(header, bytes).is_ok())
            }
            _ => None,
        }
    }

    /// The span of a frame with this header, whose payload is within the limit, if it ends within `available` bytes.
    #[inline]
    pub(super) fn within(head: Head, start: usize, available: usize) -> Option<Span> {
        let Head { prefix_len, header_len, trailer_len, .. } = head;
        assert!(
            prefix_len <= header_len && (1..=MAX_HEADER_LEN).contains(&header_len) && trailer_len <= MAX_TRAILER_LEN,
            "a header has 1 to {MAX_HEADER_LEN} bytes and its prefix is in it, a trailer has {MAX_TRAILER_LEN} at most: {head:?}"
        );
        let end = start + header_len + head.payload_len as usize + trailer_len;
        let (prefix_len, trailer_len) = (prefix_len as u16, trailer_len as u16);
        (end <= available).then_some(Span { start, end, header_len, prefix_len, trailer_len })
    }

    /// Whether the frame's trailer is what was computed over its bytes.
    ///
    /// # Errors
    /// If it is not.
    #[inline]
    pub(super) fn verify<H: Header + ?Sized>(self, header: &H, bytes: &[u8]) -> Result<(), DecodeErrorKind> {
        if !H::Check::COMPUTES {
            return Ok(());
        }
        let payload = self.start + self.header_len;
        let trailer = self.end - usize::from(self.trailer_len);
        let mut check = header.check(&bytes[self.start..payload]);
        check.update(&bytes[payload..trailer]);
        check.verify(&bytes[trailer..self.end])
    }
}

/// The span of the frame that begins at `start`, also if too few bytes follow its header for the fast path.
#[cold]
pub(super) fn frame_at(header: &impl Header, bytes: &[u8], start: usize) -> Option<Span> {
    Span::parsed(header, bytes, start)
}
