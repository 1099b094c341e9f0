//! The bytes that were received and not yet taken.

use alloc::vec;
use alloc::vec::Vec;
#[cfg(feature = "net")]
use core::ops::Range;

/// Received bytes that wait to be taken, in one piece of memory.
///
/// ```text
/// 0 ─── start ═══ unread ═══ end ─── spare ─── storage.len() ─── storage.capacity()
/// ```
///
/// Invariant, asserted wherever bytes come or move: `start ≤ end ≤ storage.len()`. Everything below `storage.len()` is
/// initialised; only `start..end` was received, and nothing else is ever shown.
///
/// How far it grows: to the frame at hand, to what was received plus `read_len`, or to twice what was received, whichever
/// holds; never because a length was merely declared. What grew is given back as soon as it is empty, or
/// four times more than is wanted.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) const fn new() -> Buffer {
        Buffer { storage: Vec::new(), start: 0, end: 0 }
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn capacity(&self) -> usize {
        self.storage.capacity()
    }

    /// Takes `n` unread bytes: they are what stands before the unread ones until the buffer is next written to.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> &[u8] {
        let taken = &self.storage[self.start..self.end][..n];
        self.start += n;
        taken
    }

    /// The `len` bytes that were taken last; they stay until the buffer is next written to.
    #[inline]
    pub(crate) fn taken(&self, len: usize) -> &[u8] {
        &self.storage[self.start - len..self.start]
    }

    /// Room to read into, never empty. `frame_len` is the length of the frame that the unread bytes begin, where known.
    pub(crate) fn space(&mut self, read_len: usize, keep_len: usize, frame_len: Option<usize>) -> &mut [u8] {
        let goal = self.goal(read_len, frame_len);
        self.compact(goal, keep_len);
        // What is there is enough while a read fits, so that growing is as rare as doubling makes it.
        if self.storage.len() < goal.min(self.len() + read_len) {
            self.grow(goal);
        }
        &mut self.storage[self.end..]
    }

    /// Says that the first `n` bytes of the last `space` were received.
    pub(crate) fn filled(&mut self, n: usize) {
        assert!(
            n <= self.storage.len() - self.end,
            "filled({n}) where the space had {}",
            self.storage.len() - self.end
        );
        self.end += n;
        self.check();
    }

    /// Copies `bytes` behind the unread ones.
    pub(crate) fn append(&mut self, bytes: &[u8], keep_len: usize, frame_len: Option<usize>) {
        let needed = self.len() + bytes.len();
        let wanted = self.goal(bytes.len(), frame_len).max(needed);
        self.compact(wanted, keep_len);
        if self.storage.capacity() < needed {
            self.storage.truncate(self.end);
            self.storage.reserve_exact(wanted - self.end);
        }
        let over = bytes.len().min(self.storage.len() - self.end);
        self.storage[self.end..self.end + over].copy_from_slice(&bytes[..over]);
        self.storage.extend_from_slice(&bytes[over..]);
        self.end = needed;
        self.check();
    }

    /// Gives back what is more than `keep` bytes, where nothing is unread.
    pub(crate) fn shrink(&mut self, keep: usize) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.storage.capacity() > keep {
                self.storage = Vec::new();
            }
        }
    }

    /// Moves the unread bytes into `storage`, whose contents are forgotten, and returns the memory they were in.
    pub(crate) fn swap(&mut self, mut storage: Vec<u8>) -> Vec<u8> {
        let len = self.len();
        if storage.len() < len {
            storage.clear();
            storage.reserve_exact(len);
            storage.extend_from_slice(self.unread());
        } else {
            storage[..len].copy_from_slice(self.unread());
        }
        self.start = 0;
        self.end = len;
        self.check();
        core::mem::replace(&mut self.storage, storage)
    }

    /// All the memory, and where in it the `len` bytes begin that were taken last, if nothing is unread and they are at
    /// least half of it.
    #[cfg(feature = "net")]
    pub(crate) fn detach(&mut self, len: usize) -> Option<(Vec<u8>, usize)> {
        if self.start < self.end || len < self.storage.capacity() / 2 {
            return None;
        }
        let at = self.start - len;
        self.start = 0;
        self.end = 0;
        Some((core::mem::take(&mut self.storage), at))
    }

    /// All the memory and the place of the unread bytes in it: nothing is buffered from then on.
    #[cfg(feature = "net")]
    pub(crate) fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        let Buffer { storage, start, end } = core::mem::take(self);
        (storage, start..end)
    }

    /// Takes memory back that was lent, with what is still unread in it.
    #[cfg(feature = "net")]
    pub(crate) fn take_back(&mut self, storage: Vec<u8>, unread: Range<usize>) {
        *self = Buffer { storage, start: unread.start, end: unread.end };
        self.check();
    }

    /// Forgets everything and gives all memory back.
    pub(crate) fn clear(&mut self) {
        *self = Buffer::new();
    }

    /// Moves the unread bytes to the front. A byte moves at most once while its frame is unfinished: afterwards `start`
    /// is 0 until a frame is taken. So all the moves of a stream are linear in its bytes.
    ///
    /// They move to new memory where the old is over four times what is wanted, and over four times `keep_len`: it was for
    /// a frame that is taken.
    fn compact(&mut self, wanted: usize, keep_len: usize) {
        if self.start == 0 {
            return;
        }
        if self.storage.capacity() / 4 > wanted.max(keep_len) {
            drop(self.swap(Vec::with_capacity(wanted)));
        } else {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.check();
        }
    }

    /// The length to grow to: the whole frame where it is longer than a read, but no more than a read, or as much
    /// again as was received, beyond what was received. Always more than was received.
    fn goal(&self, read_len: usize, frame_len: Option<usize>) -> usize {
        let received = self.len();
        let grown = received + read_len.max(received).max(1);
        match frame_len {
            Some(frame_len) if frame_len > read_len && frame_len > received => grown.min(frame_len),
            _ if received < read_len => read_len,
            _ => grown,
        }
    }

    fn grow(&mut self, wanted: usize) {
        if self.end == 0 {
            // Zeroed memory is cheapest from the allocator.
            self.storage = vec![0; wanted];
        } else {
            self.storage.reserve_exact(wanted - self.storage.len());
            self.storage.resize(wanted, 0);
        }
    }

    #[inline]
    fn check(&self) {
        debug_assert!(self.start <= self.end && self.end <= self.storage.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer with this capacity, in which so many bytes wait behind so many that were taken.
    fn buffer(capacity: usize, taken: usize, unread: usize) -> Buffer {
        let mut buffer = Buffer { storage: Vec::with_capacity(capacity), ..Buffer::new() };
        buffer.append(&vec![7; taken + unread], 0, None);
        assert_eq!(buffer.take(taken).len(), taken);
        buffer
    }

    #[test]
    fn a_buffer_that_is_just_full_does_not_grow() {
        let mut full = buffer(15, 0, 10);
        full.append(&[8; 5], 0, None);
        assert_eq!((full.len(), full.capacity()), (15, 15));
        full.append(&[9], 0, None);
        assert_eq!((full.len(), full.capacity()), (16, 30));
    }

    #[test]
    fn memory_moves_where_it_is_over_four_times_what_is_wanted() {
        for (capacity, keep_len, kept) in
            [(400, 0, 400), (404, 0, 100), (404, 101, 404), (4000, 999, 100), (4000, 1000, 4000)]
        {
            let mut buffer = buffer(capacity, 10, 1);
            buffer.space(100, keep_len, None);
            assert_eq!((buffer.unread(), buffer.capacity()), (&[7][..], kept), "{capacity} {keep_len}");
        }
    }

    #[cfg(feature = "net")]
    #[test]
    fn memory_is_lent_with_a_payload_that_is_half_of_it() {
        assert!(buffer(100, 50, 1).detach(50).is_none());
        assert!(buffer(100, 50, 0).detach(49).is_none());
        let mut half = buffer(100, 60, 0);
        let (memory, at) = half.detach(50).expect("half of the memory");
        assert_eq!((memory.capacity(), at), (100, 10));
        assert_eq!((half.len(), half.capacity()), (0, 0));
    }
}
