//! Frames out of, and into, what others read and write: a file or folder for each kind of I/O.

mod error;
#[cfg(feature = "futures")]
mod futures;

pub use error::{ReadError, WriteError};
#[cfg(feature = "futures")]
pub use futures::{FrameSink, FrameStream, FramedRead, FramedWrite, NO_COPY_LEN};
