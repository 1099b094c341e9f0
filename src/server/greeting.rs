//! What a server sends first.

use std::error::Error;
use std::fmt;

use super::encode::{Encoding, with_zeros};
use crate::framing::EncodeError;

/// What a server sends first: its greeting, or its refusal.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeting {
    /// A frame with this payload. The bytes that the format has before its length field or after the payload are zeros.
    Frame(Vec<u8>),
    /// These bytes without framing, for clients that expect an unframed text.
    Raw(Vec<u8>),
    /// Nothing.
    None,
}

impl Greeting {
    /// Appends it; the prefix and the trailer of a frame are zeros.
    ///
    /// # Errors
    /// If the header cannot encode it; nothing is appended.
    pub(super) fn append(&self, encode: &Encoding, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Greeting::Frame(payload) => with_zeros(encode, payload, out)?,
            Greeting::Raw(bytes) => out.extend_from_slice(bytes),
            Greeting::None => {}
        }
        Ok(())
    }

    /// Checks that it can be encoded; `what` is *greeting* or *refusal*.
    ///
    /// # Errors
    /// If the header cannot encode it.
    pub(super) fn check(&self, what: &'static str, encode: &Encoding) -> Result<(), Unfit> {
        self.append(encode, &mut Vec::new()).map_err(|error| Unfit { what, error })
    }
}

/// Shows lengths, never the bytes.
impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Greeting::Frame(payload) => f.debug_struct("Frame").field("len", &payload.len()).finish(),
            Greeting::Raw(bytes) => f.debug_struct("Raw").field("len", &bytes.len()).finish(),
            Greeting::None => f.write_str("None"),
        }
    }
}

/// A greeting or a refusal that the format cannot encode.
#[derive(Debug)]
pub(super) struct Unfit {
    what: &'static str,
    error: EncodeError,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} cannot be encoded", self.what)
    }
}

impl Error for Unfit {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
