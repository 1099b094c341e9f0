//! Encoding, whatever the header is: what a responder and an outbox ask of it, neither of which names a type for it.

use std::any::Any;
use std::sync::Arc;

use crate::framing::{Check, EncodeError, Encoder, Envelope, Format, Header};

/// Encodes frames, all of a frame or nothing of it.
pub(super) enum Encoding {
    /// The header is a format, as mostly: its code is part of its callers'.
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
    /// Where the header cannot say the frame.
    // The envelope by reference: what was written in parts is then read in parts, as a copy in one piece cannot be forwarded
    // from the processor's store buffer.
    #[inline]
    pub(super) fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Encoding::Format(encoder) => encoder.encode_with(*envelope, payload, out),
            Encoding::Other(encoder) => encoder.copied(envelope, payload, out),
        }
    }

    /// Appends what stands before the payload, and what stands behind it.
    ///
    /// # Errors
    /// Where the header cannot say the frame.
    pub(super) fn around(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        behind: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        match self {
            Encoding::Format(encoder) => encoder.around(envelope, payload, before, behind),
            Encoding::Other(encoder) => encoder.around(envelope, payload, before, behind),
        }
    }
}

/// An encoder with any header.
pub(super) trait Encode: Send + Sync {
    fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError>;
    fn around(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        behind: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;
}

impl<H: Header + Send + Sync> Encode for Encoder<H> {
    fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_with(*envelope, payload, out)
    }

    fn around(
        &self,
        envelope: Envelope<'_>,
        payload: &[u8],
        before: &mut Vec<u8>,
        behind: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut check = self.header(envelope, payload.len(), before)?;
        check.update(payload);
        self.trailer(&check, envelope, behind);
        Ok(())
    }
}

/// Appends a frame whose prefix and trailer are zeros.
///
/// # Errors
/// Where the header cannot say the frame.
pub(super) fn with_zeros(encode: &Encoding, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    const ZEROS: &[u8] = &[0; u8::MAX as usize];
    let mut around = Envelope::default();
    loop {
        match encode.copied(&around, payload, out) {
            Err(EncodeError::Prefix { prefix_len: 0, offset: len @ 1..=255 }) => around.prefix = &ZEROS[..len],
            Err(EncodeError::Trailer { trailer_len: 0, expected: len @ 1..=255 }) => around.trailer = &ZEROS[..len],
            result => return result,
        }
    }
}
