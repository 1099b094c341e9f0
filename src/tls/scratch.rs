//! Memory in which the sessions of one thread work: none of them has any of its own while it is idle.

use std::cell::Cell;

/// The most that a thread keeps of each kind, 160 KiB: what is longer is given back to the system.
const KEPT: usize = 160 * 1024;

thread_local! {
    static RECEIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SEALED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static GATHERED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a buffer is for.
#[derive(Clone, Copy)]
pub(super) enum For {
    /// Records on their way in.
    Received,
    /// Records on their way out.
    Sealed,
    /// The content of one record, of several pieces.
    Gathered,
}

/// A buffer of `len` bytes or more, lent to `work`.
///
/// It is taken meanwhile, so that a stream which is itself such a session finds another one.
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
