//! Encoding, whatever the header is: what a responder and an outbox ask of it, neither of which names a type for it.

use bytes::Bytes;

use crate::adapters::Queue;
use crate::framing::{Check, EncodeError, Encoder, Envelope, Header};

/// Puts frames into a queue, all of a frame or nothing of it.
pub(super) trait Encode: Send + Sync {
    /// Copies the payload.
    ///
    /// # Errors
    /// Where the header cannot say the frame.
    fn copied(&self, envelope: Envelope<'_>, payload: &[u8], queue: &mut Queue) -> Result<(), EncodeError>;

    /// Leaves the payload where it is.
    ///
    /// # Errors
    /// Where the header cannot say the frame.
    fn shared(&self, envelope: Envelope<'_>, payload: Bytes, queue: &mut Queue) -> Result<(), EncodeError>;
}

impl<H: Header + Send + Sync> Encode for Encoder<H> {
    fn copied(&self, envelope: Envelope<'_>, payload: &[u8], queue: &mut Queue) -> Result<(), EncodeError> {
        self.encode_with(envelope, payload, queue.copied())
    }

    fn shared(&self, envelope: Envelope<'_>, payload: Bytes, queue: &mut Queue) -> Result<(), EncodeError> {
        let mut check = self.header(envelope, payload.len(), queue.copied())?;
        check.update(&payload);
        queue.push(payload);
        self.trailer(&check, envelope, queue.copied());
        Ok(())
    }
}

/// Queues a frame with zeros around its payload, as many as the header has bytes there.
///
/// # Errors
/// Where the header cannot say the frame.
pub(super) fn with_zeros(encode: &dyn Encode, payload: &[u8], queue: &mut Queue) -> Result<(), EncodeError> {
    const ZEROS: &[u8] = &[0; u8::MAX as usize];
    let mut around = Envelope::default();
    loop {
        match encode.copied(around, payload, queue) {
            Err(EncodeError::Prefix { prefix_len: 0, offset: len @ 1..=255 }) => around.prefix = &ZEROS[..len],
            Err(EncodeError::Trailer { trailer_len: 0, expected: len @ 1..=255 }) => around.trailer = &ZEROS[..len],
            result => return result,
        }
    }
}
