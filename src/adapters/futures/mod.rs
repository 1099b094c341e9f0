//! Any `futures` I/O, on any runtime.

mod queue;
mod read;
#[cfg(feature = "server")]
mod serving;
mod sink;
mod write;

#[cfg(feature = "server")]
pub(crate) use queue::Queue;
pub use read::{FrameStream, FramedRead};
pub use sink::FrameSink;
pub use write::FramedWrite;
