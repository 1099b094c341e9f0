//! Any `futures` I/O, on any runtime.

mod queue;
mod read;
#[cfg(feature = "server")]
mod serving;
mod sink;
mod write;

pub use read::{FrameStream, FramedRead};
pub use sink::FrameSink;
pub use write::FramedWrite;
