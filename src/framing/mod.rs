//! The framing core: bytes in, frames out, and back. No I/O, no clock, no dependency, `no_std + alloc`.
//!
//! ```text
//!             ┌───────────────── header ─────────────────┐
//!  stream:  … │ prefix (offset bytes) │ length field     │ payload …           │ next frame …
//!             └───────────────────────┴──────────────────┴─────────────────────┘
//!                                       field + adjustment = payload_len
//! ```
//!
//! A [`Layout`] says where the length field is and what it counts. [`Format::new`] checks a layout and a limit once, so
//! that everything behind it is total. A [`Decoder`] takes frames out of a byte stream however it was cut; an
//! [`Encoder`] puts them in. Any other header implements the trait [`Header`] and is served by the same two types.

mod buffer;
mod decoder;
mod diagnosis;
mod encoder;
mod format;
mod frame;
mod header;
mod spec;
mod text;

pub use decoder::{DEFAULT_READ_LEN, DecodeError, DecodeErrorKind, Decoder, Feed, Oversize, Part, Phase, Skipped};
pub use diagnosis::Diagnosis;
pub use encoder::{EncodeError, Encoder};
pub use format::{DEFAULT_MAX_PAYLOAD_LEN, Endian, Field, Format, FormatError, Layout};
pub use frame::Frame;
pub use header::{Head, Header, MAX_HEADER_LEN, Parsed, Span};
pub use spec::{PRESETS, SpecError};
pub use text::Utf8Reader;
