//! Any `std` I/O.

mod read;
mod write;

pub use read::{FrameIter, FrameReader};
pub use write::FrameWriter;

use std::io;

/// Repeats the call while a signal interrupts it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
