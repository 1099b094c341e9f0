//! Memory that connections use in turn: one holds it only while it holds bytes.

use std::cell::RefCell;

/// Bytes of one read: what a buffer of the pool has.
pub(super) const READ_LEN: usize = 64 * 1024;

/// Buffers that a thread keeps for its connections: 4 MiB of each kind at most.
const KEPT: usize = 64;

thread_local! {
    static INPUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer to read into: `READ_LEN` initialised bytes.
pub(super) fn take_input() -> Vec<u8> {
    INPUT.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_LEN])
}

/// Takes a buffer back, where it is of the pool's kind.
pub(super) fn give_input(buffer: Vec<u8>) {
    if buffer.len() == READ_LEN {
        INPUT.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

/// A buffer to queue replies in.
pub(super) fn take_output() -> Vec<u8> {
    OUTPUT.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes a buffer back.
pub(super) fn give_output(buffer: Vec<u8>) {
    if (1..=2 * READ_LEN).contains(&buffer.capacity()) {
        OUTPUT.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

fn keep(kept: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if kept.len() < KEPT {
        kept.push(buffer);
    }
}
