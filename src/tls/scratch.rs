//! Buffers that the sessions of one thread share: an idle session has none of its own.

use std::cell::Cell;

/// The longest buffer of each kind that a thread keeps. A longer one is freed.
const KEPT: usize = 160 * 1024;

thread_local! {
    static RECEIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SEALED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static GATHERED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a buffer is for.
#[derive(Clone, Copy)]
pub(super) enum For {
    /// Received records.
    Received,
    /// Records to send.
    Sealed,
    /// The plaintext of one record, copied from several slices.
    Gathered,
}

/// Calls `work` with a buffer of `len` bytes or more.
///
/// A nested call gets another buffer: the stream below a session may be a TLS session itself.
pub(super) fn with<T>(what: For, len: usize, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let slot = match what {
        For::Received => &RECEIVED,
        For::Sealed => &SEALED,
        For::Gathered => &GATHERED,
    };
    let mut buffer = slot.take();
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    let output = work(&mut buffer);
    if buffer.len() <= KEPT {
        slot.set(buffer);
    }
    output
}
