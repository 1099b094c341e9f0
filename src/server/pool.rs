//! Buffers that the connections of a thread share: a connection has one only while it holds bytes.

use std::cell::RefCell;

/// Bytes of one read.
pub(super) const READ_LEN: usize = 64 * 1024;

/// Bytes of one read from a peer that sends large frames: four frames of 64 KiB with their headers. Not even one of
/// them fits into `READ_LEN`.
pub(super) const LARGE_READ_LEN: usize = 4 * (READ_LEN + 1024);

/// The most bytes of each kind that a thread keeps.
pub(super) const KEPT: usize = 4 * 1024 * 1024;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { small: Kind::EMPTY, large: Kind::EMPTY, output: Kind::EMPTY }) };
}

struct Pool {
    /// To read into: initialised, `READ_LEN` bytes each.
    small: Kind,
    /// To read into: initialised, `LARGE_READ_LEN` bytes or more.
    large: Kind,
    /// To queue replies in.
    output: Kind,
}

/// Buffers of one kind. The last one given back is taken first, as it is most likely in the processor's cache.
struct Kind {
    buffers: Vec<Vec<u8>>,
    capacity: usize,
}

impl Kind {
    const EMPTY: Kind = Kind { buffers: Vec::new(), capacity: 0 };

    fn give(&mut self, buffer: Vec<u8>) {
        if self.capacity + buffer.capacity() <= KEPT {
            self.capacity += buffer.capacity();
            self.buffers.push(buffer);
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.capacity -= buffer.capacity();
        Some(buffer)
    }
}

/// A buffer of at least `len` initialised bytes to read into. `len` is one of the two constants above.
pub(super) fn take_input(len: usize) -> Vec<u8> {
    POOL.with_borrow_mut(|pool| if len <= READ_LEN { pool.small.take() } else { pool.large.take() })
        .unwrap_or_else(|| vec![0; len])
}

/// Takes a buffer back.
pub(super) fn give_input(buffer: Vec<u8>) {
    POOL.with_borrow_mut(|pool| match buffer.len() {
        READ_LEN => pool.small.give(buffer),
        LARGE_READ_LEN.. => pool.large.give(buffer),
        _ => {}
    });
}

/// A buffer to queue replies in, empty.
pub(super) fn take_output() -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool.output.take()).unwrap_or_default()
}

/// Takes a buffer back.
pub(super) fn give_output(mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > 0 {
        POOL.with_borrow_mut(|pool| pool.output.give(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each thread has its own pool, so no other test uses this one.
    #[test]
    fn a_pool_keeps_4_mib_of_a_kind_and_gives_the_rest_back() {
        let kept = KEPT / READ_LEN;
        for _ in 0..kept + 10 {
            give_input(vec![0; READ_LEN]);
        }
        let held = |of: fn(&Pool) -> &Kind| POOL.with_borrow(|pool| (of(pool).buffers.len(), of(pool).capacity));
        assert_eq!(held(|pool| &pool.small), (kept, KEPT));
        give_output(vec![7; KEPT + 1]);
        assert_eq!(held(|pool| &pool.output), (0, 0), "one that is too long alone");
        assert_eq!(take_input(READ_LEN).len(), READ_LEN);
        assert_eq!(held(|pool| &pool.small), (kept - 1, KEPT - READ_LEN));
    }
}
