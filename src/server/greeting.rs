//! What a server says first.

use std::error::Error;
use std::fmt;

use crate::close::CloseReason;
use crate::framing::{EncodeError, Encoder, Format};

/// What a server says first.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    pub(super) fn wire(&self, format: Format) -> Result<Vec<u8>, Unfit> {
        let mut bytes = Vec::new();
        match self {
            Greeting::Frame(payload) => {
                let around = format.layout().zeros();
                Encoder::new(format).encode_with(around, payload, &mut bytes).map_err(Unfit)?;
            }
            Greeting::Raw(raw) => bytes.extend_from_slice(raw),
            Greeting::None => {}
        }
        Ok(bytes)
    }
}

/// Lengths, and never the bytes.
impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Greeting::Frame(payload) => f.debug_struct("Frame").field("len", &payload.len()).finish(),
            Greeting::Raw(bytes) => f.debug_struct("Raw").field("len", &bytes.len()).finish(),
            Greeting::None => f.write_str("None"),
        }
    }
}

/// A greeting that the format cannot say.
#[derive(Debug)]
pub(super) struct Unfit(EncodeError);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the greeting cannot be encoded")
    }
}

impl Error for Unfit {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
