//! Any `futures` I/O, on any runtime.

mod queue;
mod read;
#[cfg(feature = "server")]
mod serving;
mod write;

pub use read::{FrameStream, FramedRead};
pub use write::FramedWrite;
