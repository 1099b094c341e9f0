//! Encoding, whatever the header is: what a responder and an outbox ask of it, neither of which names a type for it.

use crate::framing::{Check, EncodeError, Encoder, Envelope, Header};

/// Encodes frames, all of a frame or nothing of it.
pub(super) trait Encode: Send + Sync {
    /// Appends a frame with a copy of the payload.
    ///
    /// # Errors
    /// Where the header cannot say the frame.
    // The envelope by reference: what was written in parts is then read in parts, as a copy in one piece cannot be forwarded
    // from the processor's store buffer.
    fn copied(&self, envelope: &Envelope<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends what stands before the payload, and what stands behind it.
    ///
    /// # Errors
    /// Where the header cannot say the frame.
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
pub(super) fn with_zeros(encode: &dyn Encode, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
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
