//! The property suite: what must hold of a framing layer, written once, for this crate's decoder and for yours.
//!
//! A [`Plan`] makes a stream of frames, with or without a fault; a [`Case`] is any stream of bytes and where it is cut.
//! [`Expected`] is the right result for a stream, found by a naive oracle that reads all of it at once. The `check_…`
//! functions are the properties; they panic if one does not hold. proptest, the fuzz targets and exhaustive loops call
//! them: [`Plan::from_bytes`] and [`Case::from_bytes`] turn any bytes into a plan or a case. `choppy` (feature `std`)
//! has a reader and a writer that do what a network may do, to test adapters. `Simulation` (feature `server`) runs a
//! whole server with a simulated clock.
//!
//! # Test your own decoder
//! Implement the three functions of [`Subject`] for it, and call [`suite`]:
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
//!     /// Any error type; the suite checks that the error does not depend on the cuts.
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
//! The suite finds the usual mistakes: a header that is cut is misread; a stream that ends right after a header counts
//! as clean; a limit is checked too late or against the wrong number; an empty frame comes one read too late, or
//! forever; an error is forgotten or depends on the cuts. With [`Subject::memory`] it also finds memory that is
//! reserved because a header declared a length:
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
//! // … as above, but `finish` forgets a header whose payload has not come:
//! fn finish(&mut self) -> Result<(), String> {
//!     if self.received.len() <= 2 { Ok(()) } else { Err("the stream ends inside a frame".into()) }
//! }
//! # }
//! let failure = testing::try_suite(Format::U16_BE, || Mine { received: Vec::new() }).unwrap_err();
//! assert!(matches!(failure.violation, Violation::End { received: 1, found: None, .. }));
//! println!("{failure}"); // at the end, after 1 bytes: reported as clean, but it is Truncated { … }
//! ```
//!
//! # Test your own header
//! A header that no [`Format`](crate::framing::Format) describes gets the same checks: write `impl Oracle for Mine {}`,
//! and every check takes a [`Case`] of it. [`check_header`] has an example.

mod case;
#[doc(hidden)]
pub mod census;
#[cfg(feature = "std")]
pub mod choppy;
mod oracle;
#[doc(hidden)]
pub mod own;
mod plan;
mod properties;
#[cfg(feature = "server")]
mod simulation;
mod source;
mod subject;
mod suite;

pub use case::{Case, Chunks, Cuts};
pub use oracle::{End, Expected, Located, Oracle, Seen};
pub use plan::{Fault, FrameLen, Plan, byte_at};
pub use properties::{check_header, check_stream};
#[cfg(feature = "server")]
pub use simulation::{MemoryListener, MemoryStream, Network, Simulation};
pub use subject::{Subject, Violation, check_case, try_case};
pub use suite::{Failure, suite, try_suite};
