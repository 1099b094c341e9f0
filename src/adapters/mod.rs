//! Adapters: frames over blocking, `futures` and tokio I/O, a folder for each.

mod blocking;
#[cfg(feature = "tokio-codec")]
pub mod codec;
mod error;
#[cfg(feature = "futures")]
mod futures;

pub use blocking::{FrameIter, FrameReader, FrameWriter};
pub use error::{ReadError, WriteError};
#[cfg(feature = "server")]
pub(crate) use futures::Queue;
#[cfg(feature = "futures")]
pub use futures::{FrameSink, FrameStream, FramedRead, FramedWrite};

/// A payload of this many bytes or more is not copied into the queue: a vectored write takes it from the caller's
/// memory. 16 KiB: by `cargo bench --bench adapters`, the copy is cheaper up to 8 KiB, and takes 1.9 times as long at
/// 16 KiB.
pub const NO_COPY_LEN: usize = 16 * 1024;
