//! The bytes that were received and not yet taken.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
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
/// It grows to the current frame, to what was received plus `read_len`, or to twice what was received, whichever
/// applies; never because a length was merely declared.
///
/// A *round* ends when nothing is unread, or when the unread bytes move to the front. At the end of a round grown
/// memory is freed, unless this round and the one before both needed half of it: so consecutive large frames reuse it.
#[derive(Default)]
pub(crate) struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// The offset in the stream of the first byte of `storage`. The one counter that moves with each frame is `start`.
    base: u64,
    /// The most bytes that were unread at once in this round, and in the one before, saturating.
    needed: u32,
    needed_before: u32,
}

impl Buffer {
    pub(crate) const fn new() -> Buffer {
        Buffer { storage: Vec::new(), start: 0, end: 0, base: 0, needed: 0, needed_before: 0 }
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

    /// Whether `more` bytes fit after the unread ones without moving them.
    pub(crate) fn fits(&self, more: usize) -> bool {
        more <= self.storage.capacity() - self.end
    }

    /// The offset in the stream of the first unread byte.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.base.wrapping_add(self.start as u64)
    }

    /// Counts `n` bytes that were taken without passing through this buffer.
    #[inline]
    pub(crate) fn pass(&mut self, n: usize) {
        self.base = self.base.wrapping_add(n as u64);
    }

    /// All bytes up to the last unread one, and the offset of the first unread one among them.
    #[inline]
    pub(crate) fn window(&self) -> (&[u8], usize) {
        (&self.storage[..self.end], self.start)
    }

    /// Takes the unread bytes up to `end` in the window. They stay until the buffer is next written to.
    #[inline]
    pub(crate) fn take_to(&mut self, end: usize) {
        debug_assert!(self.start <= end && end <= self.end);
        self.start = end;
    }

    /// Takes `n` unread bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> &[u8] {
        let taken = &self.storage[self.start..self.end][..n];
        self.start += n;
        taken
    }

    /// Bytes by their range in the window, including taken ones, until the buffer is next written to.
    #[inline]
    pub(crate) fn at(&self, start: usize, end: usize) -> &[u8] {
        &self.storage[start..end]
    }

    /// Room to read into, never empty. `frame_len` is the length of the frame that the unread bytes begin, if known.
    pub(crate) fn space(&mut self, read_len: usize, keep_len: usize, frame_len: Option<usize>) -> &mut [u8] {
        let wanted = self.goal(read_len, frame_len);
        // Memory for more than a read is enough while half a read fits, so that it grows a few times, then by doubling,
        // even if each read brings one byte.
        let room = if wanted > read_len { read_len.div_ceil(2) } else { read_len };
        let needed = wanted.min(self.len() + room);
        self.compact(needed <= self.storage.len() - self.start, wanted, keep_len);
        if self.storage.len() - self.start < needed {
            self.grow(wanted);
        }
        &mut self.storage[self.end..]
    }

    /// Marks the first `n` bytes of the last `space` as received.
    #[inline]
    pub(crate) fn filled(&mut self, n: usize) {
        assert!(n <= self.storage.len() - self.end, "filled({n}) in a space of {}", self.storage.len() - self.end);
        self.received(n);
    }

    /// Copies `bytes` after the unread ones.
    pub(crate) fn append(&mut self, bytes: &[u8], keep_len: usize, frame_len: Option<usize>) {
        let needed = self.len() + bytes.len();
        let wanted = self.goal(bytes.len(), frame_len).max(needed);
        self.compact(needed <= self.storage.capacity() - self.start, wanted, keep_len);
        if self.storage.capacity() - self.start < needed {
            self.storage.truncate(self.end);
            self.storage.reserve_exact(wanted - self.end);
        }
        let over = bytes.len().min(self.storage.len() - self.end);
        self.storage[self.end..self.end + over].copy_from_slice(&bytes[..over]);
        self.storage.extend_from_slice(&bytes[over..]);
        self.received(bytes.len());
    }

    /// If nothing is unread, frees what exceeds `keep_len` bytes and the need of the last two rounds.
    pub(crate) fn shrink(&mut self, keep_len: usize) {
        if self.start == self.end {
            self.forget();
            if self.storage.capacity() > self.end_round(keep_len) {
                self.storage = Vec::new();
            }
        }
    }

    /// Moves the unread bytes into `storage`, whose contents are discarded, and returns the memory they were in.
    pub(crate) fn swap(&mut self, mut storage: Vec<u8>) -> Vec<u8> {
        let len = self.len();
        if storage.len() < len {
            storage.clear();
            storage.reserve_exact(len);
            storage.extend_from_slice(self.unread());
        } else {
            storage[..len].copy_from_slice(self.unread());
        }
        self.pass(self.start);
        self.start = 0;
        self.end = len;
        self.check();
        core::mem::replace(&mut self.storage, storage)
    }

    /// The whole memory, if nothing is unread and the `len` bytes that were taken last are at least half of it.
    pub(crate) fn detach(&mut self, len: usize) -> Option<Vec<u8>> {
        if self.start < self.end || len < self.storage.capacity() / 2 {
            return None;
        }
        self.forget();
        Some(core::mem::take(&mut self.storage))
    }

    /// Discards everything but the offset in the stream, and frees the memory.
    pub(crate) fn clear(&mut self) {
        *self = Buffer { base: self.offset(), ..Buffer::new() };
    }

    /// Starts again at the front, if nothing is unread.
    #[inline]
    fn forget(&mut self) {
        self.pass(self.start);
        self.start = 0;
        self.end = 0;
    }

    /// Gives the whole memory away, with the range of the unread bytes in it. The buffer is empty afterwards.
    pub(crate) fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        let unread = self.start..self.end;
        self.forget();
        (core::mem::take(&mut self.storage), unread)
    }

    /// Takes lent memory back, with the bytes that are still unread in it.
    pub(crate) fn take_back(&mut self, storage: Vec<u8>, unread: Range<usize>) {
        self.base = self.base.wrapping_sub(unread.start as u64);
        (self.storage, self.start, self.end) = (storage, unread.start, unread.end);
        self.check();
    }

    /// Ends a round. Returns the memory to keep: what both this round and the one before needed, at least `keep_len`.
    fn end_round(&mut self, keep_len: usize) -> usize {
        let both = self.needed.min(self.needed_before) as usize;
        self.needed_before = self.needed;
        self.needed = 0;
        keep_len.max(both.saturating_mul(2))
    }

    #[inline]
    fn received(&mut self, n: usize) {
        self.end += n;
        self.needed = self.needed.max(self.len().try_into().unwrap_or(u32::MAX));
        self.check();
    }

    /// Moves the unread bytes to the front. `fits` says whether the next bytes have room without that.
    ///
    /// Over a whole stream the moves are linear in its bytes: either no more bytes move than were taken since the last
    /// move, or they move to memory that is twice as long.
    ///
    /// They also move to new memory if the old one is over four times what is wanted and over four times what is kept:
    /// it was for a frame that has been taken.
    fn compact(&mut self, fits: bool, wanted: usize, keep_len: usize) {
        let len = self.len();
        if self.start == 0 || fits && self.start < len {
            return;
        }
        let keep = self.end_round(keep_len);
        if self.start < len {
            drop(self.swap(Vec::with_capacity(wanted.max(2 * len))));
        } else if self.storage.capacity() / 4 > wanted.max(keep) {
            drop(self.swap(Vec::with_capacity(wanted)));
        } else {
            self.storage.copy_within(self.start..self.end, 0);
            self.pass(self.start);
            self.end = len;
            self.start = 0;
            self.check();
        }
        self.received(0);
    }

    /// The length to grow to: the whole frame if it is longer than a read; but at most what was received plus one read,
    /// or twice what was received. Always more than was received.
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
        if self.end == 0 && self.storage.capacity() < wanted {
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

/// Shows lengths, never the bytes.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Buffer");
        shown.field("unread", &self.len()).field("capacity", &self.capacity()).field("offset", &self.offset()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer with this capacity: `taken` bytes, then `unread` ones.
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

    /// The memory kept after each round in which this many bytes came and were all taken.
    fn kept(rounds: &[usize]) -> Vec<usize> {
        let mut buffer = Buffer::new();
        let round = |&len: &usize| {
            buffer.append(&vec![7; len], 100, None);
            buffer.take(len);
            buffer.shrink(100);
            buffer.capacity()
        };
        rounds.iter().map(round).collect()
    }

    #[test]
    fn memory_of_a_large_frame_serves_a_third_one_and_goes_with_a_small_one() {
        assert_eq!(kept(&[1000, 1000, 1000, 900, 400, 1000, 1000]), [0, 1000, 1000, 1000, 0, 0, 1000]);
        // A round in which nothing came counts, too: an idle decoder that is asked again holds nothing.
        assert_eq!(kept(&[1000, 1000, 0]), [0, 1000, 0]);
        assert_eq!(kept(&[100, 100, 0, 0]), [100; 4]);
    }

    /// One byte is taken and one comes, repeatedly, while many wait: these do not move until as many were taken.
    #[test]
    fn what_waits_is_not_moved_for_each_byte_that_is_taken() {
        let mut buffer = buffer(0, 0, 10_000);
        let (mut moves, mut before) = (0, buffer.unread().as_ptr());
        for turn in 0..100_000 {
            buffer.take(1);
            if turn % 2 == 0 {
                buffer.append(&[7], 0, None);
            } else {
                buffer.space(1, 0, None);
                buffer.filled(1);
            }
            let unread = buffer.unread();
            moves += usize::from(unread.as_ptr() != before.wrapping_add(1));
            before = unread.as_ptr();
        }
        assert!((1..=12).contains(&moves), "{moves} moves");
        assert!(buffer.capacity() <= 2 * 10_000 + 2);
        assert_eq!((buffer.len(), buffer.offset()), (10_000, 100_000));
    }

    #[test]
    fn memory_is_lent_with_a_payload_that_is_half_of_it() {
        assert!(buffer(100, 50, 1).detach(50).is_none());
        assert!(buffer(100, 50, 0).detach(49).is_none());
        let mut half = buffer(100, 60, 0);
        let memory = half.detach(50).expect("half of the memory");
        assert_eq!((memory.capacity(), memory.len()), (100, 60));
        assert_eq!((half.len(), half.capacity()), (0, 0));
    }
}
