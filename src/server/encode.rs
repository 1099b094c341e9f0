//! Encoding with any header, for responders and outboxes, which do not name its type.

use std::any::Any;
use std::sync::Arc;

use crate::framing::{Check, EncodeError, Encoder, Envelope, Format, Header};

/// Encodes a whole frame, or nothing.
pub(super) enum Encoding {
    /// The usual case: the header is a format, and its code is inlined.
    Format(Encoder<Format>),
    Other(Box<dyn Encode>),
}

impl Encoding {
    pub(super) fn new<H: Header + Send + Sync + 'static>(header: &Arc<H>) -> Encoding {
        match (header as &dyn Any).downcast_ref::<Arc<Format>>() {
            Some(format) => Encoding::Format(Encoder::new(**format)),
            None => Encoding::Other(Box::new(Encoder::new(Arc::clone(header)))),
        }
    }

    /// Appends a frame with a copy of the payload.
    ///
    /// # Errors
    /// If the header cannot encode the frame.
    // The envelope is a reference: it was written in parts, and a copy would read it as a whole, which the processor
    // cannot forward from its store buffer.
    #[inline]
    pub(super) fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Encoding::Format(encoder) => encoder.encode_with(*envelope, payload, out),
            Encoding::Other(encoder) => encoder.copied(envelope, payload, out),
        }
    }

    /// Appends prefix and header to `before`, and the trailer to `after`.
    ///
    /// # Errors
    /// If the header cannot encode the frame.
    pub(super) fn header_and_trailer(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        after: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let encoder: &dyn Encode = match self {
            Encoding::Format(encoder) => encoder,
            Encoding::Other(encoder) => &**encoder,
        };
        encoder.header_and_trailer(envelope, payload, before, after)
    }
}

/// An encoder with any header.
pub(super) trait Encode: Send + Sync {
    fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError>;
    fn header_and_trailer(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        after: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;
}

impl<H: Header + Send + Sync> Encode for Encoder<H> {
    fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_with(*envelope, payload, out)
    }

    fn header_and_trailer(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        after: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut check = self.header(envelope, payload.len(), before)?;
        check.update(payload);
        self.trailer(&check, envelope, after);
        Ok(())
    }
}

/// Appends a frame whose prefix and trailer are zeros.
///
/// # Errors
/// If the header cannot encode the frame.
pub(super) fn with_zeros(encode: &Encoding, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    const ZEROS: &[u8] = &[0; u8::MAX as usize];
    let mut envelope = Envelope::default();
    loop {
        match encode.copied(&envelope, payload, out) {
            Err(EncodeError::Prefix { prefix_len: 0, offset: len @ 1..=255 }) => envelope.prefix = &ZEROS[..len],
            Err(EncodeError::Trailer { trailer_len: 0, expected: len @ 1..=255 }) => envelope.trailer = &ZEROS[..len],
            result => return result,
        }
    }
}
