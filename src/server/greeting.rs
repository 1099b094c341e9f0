//! What a server says by itself: first, or to a peer that there is no place for.

use std::error::Error;
use std::fmt;

use crate::framing::{EncodeError, Encoder, Format};

/// What a server says by itself: first ([`ServerConfig::greeting`](crate::ServerConfig::greeting)), or to a peer that there is no
/// place for ([`ServerConfig::refusal`](crate::ServerConfig::refusal)).
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
    /// The greeting as it goes over the wire; `what` names it in an error.
    ///
    /// # Errors
    /// Where the format cannot say it.
    pub(super) fn wire(&self, what: &'static str, format: Format) -> Result<Vec<u8>, Unfit> {
        let mut bytes = Vec::new();
        match self {
            Greeting::Frame(payload) => {
                let around = format.layout().zeros();
                let encoded = Encoder::new(format).encode_with(around, payload, &mut bytes);
                encoded.map_err(|error| Unfit { what, error })?;
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

/// A greeting or a refusal that the format cannot say.
#[derive(Debug)]
pub(super) struct Unfit {
    what: &'static str,
    error: EncodeError,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be encoded", self.what)
    }
}

impl Error for Unfit {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
