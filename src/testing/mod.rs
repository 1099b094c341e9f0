//! The property kit: what must hold of a framing layer, written once, for this crate's decoder and for anyone's.
//!
//! A [`Plan`] makes a stream of frames, with or without a fault; a [`Case`] is any stream of bytes with the places where
//! it is cut. [`Expected`] is what the stream is, found by a naive oracle that reads all of it at once. The `check_…`
//! functions say what must hold, and panic where it does not. proptest, the fuzzer and exhaustive loops all call them:
//! [`Plan::from_bytes`] and [`Case::from_bytes`] make a plan and a case of any bytes. `choppy` (with the feature `std`) is a
//! reader and a writer that do what a network may do, for what is built on the decoder.
//!
//! # Test your own decoder
//! Implement [`Subject`] for it, three functions, and call [`suite`]. This is all there is to write:
//!
//! ```
//! use unstick::framing::Format;
//! use unstick::testing::{self, Subject};
//!
//! /// The decoder to test: a big-endian u16 counts the payload, of at most 300 bytes.
//! #[derive(Default)]
//! struct Mine {
//!     received: Vec<u8>,
//! }
//!
//! impl Subject for Mine {
//!     /// Whatever your decoder has; the suite wants it to be the same however the stream is cut.
//!     type Error = String;
//!
//!     fn feed(&mut self, chunk: &[u8]) {
//!         self.received.extend_from_slice(chunk);
//!     }
//!
//!     fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
//!         let Some(field) = self.received.first_chunk::<2>() else { return Ok(None) };
//!         let end = 2 + usize::from(u16::from_be_bytes(*field));
//!         if end > 2 + 300 {
//!             return Err(format!("a payload of {} bytes", end - 2));
//!         }
//!         if self.received.len() < end {
//!             return Ok(None);
//!         }
//!         let frame = self.received.drain(..end).skip(2).collect();
//!         Ok(Some(frame))
//!     }
//!
//!     fn finish(&mut self) -> Result<(), String> {
//!         self.next_frame()?;
//!         if self.received.is_empty() { Ok(()) } else { Err("the stream ends inside a frame".into()) }
//!     }
//! }
//!
//! let cases = testing::suite(Format::U16_BE.with_max_payload_len(300)?, Mine::default);
//! assert!(cases > 1000);
//! # Ok::<(), unstick::framing::FormatError>(())
//! ```
//!
//! The suite finds what such decoders get wrong: a header that is cut, an end of the stream right after a header that
//! counts as clean, a limit that is checked too late or against the wrong number, an empty frame that comes one read too
//! late or without end, an error that is forgotten or depends on the cuts. With [`Subject::memory`] it also finds memory
//! that is reserved because a header declared it:
//!
//! ```
//! # use unstick::framing::Format;
//! use unstick::testing::{self, Subject, Violation};
//! # struct Mine { received: Vec<u8> }
//! # impl Subject for Mine {
//! #     type Error = String;
//! #     fn feed(&mut self, chunk: &[u8]) { self.received.extend_from_slice(chunk); }
//! #     fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
//! #         let Some(field) = self.received.first_chunk::<2>() else { return Ok(None) };
//! #         let end = 2 + usize::from(u16::from_be_bytes(*field));
//! #         if self.received.len() < end { return Ok(None); }
//! #         Ok(Some(self.received.drain(..end).skip(2).collect()))
//! #     }
//! // … as above, but with a finish that forgets the header which waits for its payload:
//! fn finish(&mut self) -> Result<(), String> {
//!     if self.received.len() <= 2 { Ok(()) } else { Err("the stream ends inside a frame".into()) }
//! }
//! # }
//! let failure = testing::try_suite(Format::U16_BE, || Mine { received: Vec::new() }).unwrap_err();
//! assert!(matches!(failure.violation, Violation::End { received: 1, found: None, .. }));
//! println!("{failure}"); // at the end, after 1 bytes: said to be clean, and it is Truncated { … }
//! ```
//!
//! # Test your own header
//! A header that no [`Format`](crate::framing::Format) describes is under the same suite: `impl Oracle for Mine {}`, and every
//! check takes a [`Case`] of it. [`check_header`] has an example.

mod bodies;
mod case;
mod checks;
#[cfg(feature = "std")]
pub mod choppy;
mod headers;
mod layouts;
mod oracle;
mod plan;
mod sealed;
#[cfg(feature = "server")]
mod session;
#[cfg(feature = "server")]
mod simulation;
mod slices;
mod source;
mod subject;
mod suite;
pub mod targets;
mod ways;

pub use bodies::check_streamed_body;
pub use case::{Case, Chunks, Cuts};
pub use checks::{
    check_chunking, check_cuts, check_end, check_final_error, check_need, check_oracle, check_plan,
    check_refused_encode, check_round_trip, check_skip, check_stream,
};
pub use headers::check_header;
pub use layouts::{check_layout, check_limits};
pub use oracle::{End, Expected, Located, Oracle, Seen};
pub use plan::{Fault, FrameLen, Plan, byte_at};
#[cfg(feature = "server")]
pub use session::check_session;
#[cfg(feature = "server")]
pub use simulation::{MemoryListener, MemoryStream, Network, Simulation};
pub use slices::check_slice;
pub use subject::{Subject, Violation, check_case, try_case};
pub use suite::{Failure, suite, try_suite};
pub use ways::{OwnDecoder, Way};
