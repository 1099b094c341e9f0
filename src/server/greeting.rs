//! What a server says first.

use crate::close::CloseReason;
use crate::framing::{EncodeError, Encoder, Format};

/// What a server says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// A frame with this payload. Where the format has bytes before its length field or behind the payload, they are zeros.
    Frame(Vec<u8>),
    /// These bytes without framing: what the tutorial's clients wait for.
    Raw(Vec<u8>),
    /// Nothing.
    None,
}

impl Greeting {
    /// The same kind of greeting, or a frame where there is none, for a peer that there is no place for.
    pub(super) fn refusal(&self, max_connections: usize) -> Greeting {
        let text = CloseReason::Refused { max_connections }.to_string().into_bytes();
        match self {
            Greeting::Frame(_) | Greeting::None => Greeting::Frame(text),
            Greeting::Raw(_) => Greeting::Raw(text),
        }
    }

    /// The greeting as it goes over the wire.
    ///
    /// # Errors
    /// Where the format cannot say it.
    pub(super) fn wire(&self, format: Format) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        match self {
            Greeting::Frame(payload) => {
                Encoder::new(format).encode_with(format.layout().zeros(), payload, &mut bytes)?;
            }
            Greeting::Raw(raw) => bytes.extend_from_slice(raw),
            Greeting::None => {}
        }
        Ok(bytes)
    }
}
