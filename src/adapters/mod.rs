//! Frames out of, and into, what others read and write: a file or folder for each kind of I/O.

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

/// From this length on a payload is written from where it is, by a vectored write, and not copied into the queue first.
/// `cargo bench --bench adapters` measures it: up to 8 KiB the copy was cheaper, at 16 KiB it took 1.9 times as long.
pub const NO_COPY_LEN: usize = 16 * 1024;
