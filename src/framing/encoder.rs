//! Puts frames into a byte stream.

use alloc::vec::Vec;

use super::envelope::Envelope;
use super::error::EncodeError;
use super::format::Format;
use super::header::{Check, Header};

/// Puts frames into a byte stream: each frame whole, or not at all.
///
/// ```
/// use unstick::framing::{EncodeError, Encoder, Format};
/// let encoder = Encoder::new(Format::U8);
/// let mut wire = Vec::new();
/// encoder.encode("你好".as_bytes(), &mut wire)?;
/// assert_eq!(wire, b"\x06\xE4\xBD\xA0\xE5\xA5\xBD");
///
/// let refused = encoder.encode(&[0; 256], &mut wire);
/// assert_eq!(refused, Err(EncodeError::Oversize { payload_len: 256, max_payload_len: 255 }));
/// assert_eq!(wire.len(), 7); // nothing of it was written
/// # Ok::<(), EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder<H = Format> {
    header: H,
}

impl<H: Header> Encoder<H> {
    /// An encoder for `header`, usually a [`Format`].
    pub const fn new(header: H) -> Encoder<H> {
        Encoder { header }
    }

    /// The header, usually a [`Format`].
    pub const fn format(&self) -> &H {
        &self.header
    }

    /// Appends a frame to `out`, for a layout without prefix and trailer.
    ///
    /// # Errors
    /// [`EncodeError`], and `out` is as it was.
    // Always inline: the compiler finds it too long, though nearly all of it is refusals that never run.
    #[inline(always)]
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_with(Envelope::default(), payload, out)
    }

    /// Appends a frame to `out` with a prefix, or with an [`Envelope`] of prefix and trailer.
    ///
    /// # Errors
    /// [`EncodeError`], and `out` is as it was.
    ///
    /// ```
    /// use unstick::framing::{Encoder, Endian, Envelope, Format, Layout};
    /// let layout = Layout::fixed(2, Endian::Big).offset(1).trailer(1);
    /// let encoder = Encoder::new(Format::new(layout, 1024)?);
    /// let mut wire = Vec::new();
    /// encoder.encode_with(Envelope { prefix: b"#", trailer: b"\n" }, b"hello", &mut wire)?;
    /// assert_eq!(wire, b"#\x00\x05hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn encode_with<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let envelope = envelope.into();
        let mut check = self.header(envelope, payload.len(), out)?;
        check.update(payload);
        out.extend_from_slice(payload);
        self.trailer(&check, envelope, out);
        Ok(())
    }

    /// Appends only the header to `out`, for a payload of `payload_len` bytes that the caller writes after it. Pass the
    /// payload's bytes to the check that is returned, then write the [`trailer`](Encoder::trailer) after the payload.
    ///
    /// # Errors
    /// [`EncodeError`], and `out` is as it was.
    ///
    /// ```
    /// use unstick::framing::{Check, Encoder, Envelope, Format};
    /// let (encoder, mut wire) = (Encoder::new(Format::U8), Vec::new());
    /// let mut check = encoder.header(Envelope::default(), 5, &mut wire)?;
    /// for piece in ["hel", "lo"] {
    ///     check.update(piece.as_bytes());
    ///     wire.extend_from_slice(piece.as_bytes());
    /// }
    /// encoder.trailer(&check, Envelope::default(), &mut wire);
    /// assert_eq!(wire, b"\x05hello");
    /// # Ok::<(), unstick::framing::EncodeError>(())
    /// ```
    #[inline(always)]
    pub fn header<'a>(
        &self,
        envelope: impl Into<Envelope<'a>>,
        payload_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<H::Check, EncodeError> {
        let before = out.len();
        self.header.write(envelope.into(), payload_len, out).inspect_err(|_| out.truncate(before))?;
        Ok(if H::Check::COMPUTES { self.header.check(&out[before..]) } else { H::Check::default() })
    }

    /// Appends the trailer: what `check` computed, or the envelope's trailer if the header computes none.
    #[inline(always)]
    pub fn trailer<'a>(&self, check: &H::Check, envelope: impl Into<Envelope<'a>>, out: &mut Vec<u8>) {
        if H::Check::COMPUTES {
            check.write(out);
        } else {
            out.extend_from_slice(envelope.into().trailer);
        }
    }
}
