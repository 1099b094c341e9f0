//! The framing core: bytes in, frames out, and back. No I/O, no clock, no dependency, `no_std + alloc`.
//!
//! ```text
//!             ┌───────────────── header ─────────────────┐
//!  stream:  … │ prefix (offset bytes) │ length field     │ payload …           │ trailer │ next frame …
//!             └───────────────────────┴──────────────────┴─────────────────────┴─────────┘
//!                                       field + adjustment = payload_len
//! ```
//!
//! A [`Layout`] says where the length field is and what it counts. [`Format::new`] checks a layout and a limit once;
//! after that nothing can overflow or loop. A [`Decoder`] takes frames out of a byte stream however it was cut; an
//! [`Encoder`] puts them in. For any other header, implement the trait [`Header`]: both types take it.

mod buffer;
mod decoder;
mod encoder;
mod envelope;
mod error;
mod format;
mod frame;
mod header;
pub(crate) mod slice;
mod spec;
mod text;

pub use decoder::{DEFAULT_READ_LEN, Decoder, Oversize, Part, Skipped};
pub use encoder::Encoder;
pub use envelope::Envelope;
pub use error::{DecodeError, DecodeErrorKind, Diagnosis, EncodeError, Fault, Phase};
pub use format::{DEFAULT_MAX_PAYLOAD_LEN, Endian, Field, Format, FormatError, Layout, PRESETS};
pub use frame::Frame;
pub use header::{Check, Head, Header, MAX_HEADER_LEN, MAX_TRAILER_LEN, Parsed, Span};
pub use slice::{Frames, split_first};
pub use spec::SpecError;
pub use text::Utf8Reader;
