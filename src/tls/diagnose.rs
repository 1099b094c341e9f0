//! Says what a peer speaks instead of TLS.

use crate::framing::{Decoder, Header};
use crate::handshake::HandshakeError;

impl HandshakeError {
    /// Adds to [`HandshakeError::NotTls`] what the first bytes look like to this header. Other errors stay as they are.
    pub(crate) fn diagnosed(self, header: impl Header) -> HandshakeError {
        let HandshakeError::NotTls { first, .. } = self else { return self };
        let mut decoder = Decoder::new(header);
        decoder.feed(&first);
        let (diagnosis, is_frame) = match decoder.next_frame().map(|frame| frame.is_some()) {
            Ok(true) => (None, true),
            Ok(false) => {
                let diagnosis = decoder.finish().err().and_then(|error| error.diagnosis());
                (diagnosis, diagnosis.is_none())
            }
            Err(error) => (error.diagnosis(), false),
        };
        HandshakeError::NotTls { first, diagnosis, is_frame }
    }
}
