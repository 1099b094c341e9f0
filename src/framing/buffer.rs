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
/// How far it grows: to the frame at hand, to what was received plus `read_len`, or to twice what was received, whichever
/// holds; never because a length was merely declared.
///
/// A *round* ends where nothing is unread, or where what is unread moves to the front. What grew is given back at the end of
/// a round, unless this one and the one before both needed half of it: so memory serves large frames that follow each other.
#[derive(Default)]
pub(crate) struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// The offset in the stream of the first byte of `storage`. The one counter that moves with each frame is `start`.
    base: u64,
    /// The most bytes that were unread at once in this round, and in the one before; or the greatest number.
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

    /// Whether so many bytes more can be appended behind the unread ones where these are.
    pub(crate) fn fits(&self, more: usize) -> bool {
        more <= self.storage.capacity() - self.end
    }

    /// The offset in the stream of the first unread byte.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.base.wrapping_add(self.start as u64)
    }

    /// Counts `n` bytes that were taken without ever being here.
    #[inline]
    pub(crate) fn pass(&mut self, n: usize) {
        self.base = self.base.wrapping_add(n as u64);
    }

    /// All bytes up to the last unread one, and the offset of the first unread one among them.
    #[inline]
    pub(crate) fn window(&self) -> (&[u8], usize) {
        (&self.storage[..self.end], self.start)
    }

    /// Takes the unread bytes up to `place` in the window. They stay until the buffer is next written to.
    #[inline]
    pub(crate) fn take_to(&mut self, place: usize) {
        debug_assert!(self.start <= place && place <= self.end);
        self.start = place;
    }

    /// Takes `n` unread bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> &[u8] {
        let taken = &self.storage[self.start..self.end][..n];
        self.start += n;
        taken
    }

    /// Bytes at their places in the window, also such that are taken, until the buffer is next written to.
    #[inline]
    pub(crate) fn at(&self, start: usize, end: usize) -> &[u8] {
        &self.storage[start..end]
    }

    /// Room to read into, never empty. `frame_len` is the length of the frame that the unread bytes begin, where known.
    pub(crate) fn space(&mut self, read_len: usize, keep_len: usize, frame_len: Option<usize>) -> &mut [u8] {
        let wanted = self.goal(read_len, frame_len);
        // What is there is enough while a read fits, so that growing is as rare as doubling makes it.
        let needed = wanted.min(self.len() + read_len);
        self.compact(needed <= self.storage.len() - self.start, wanted, keep_len);
        if self.storage.len() - self.start < needed {
            self.grow(wanted);
        }
        &mut self.storage[self.end..]
    }

    /// Says that the first `n` bytes of the last `space` were received.
    #[inline]
    pub(crate) fn filled(&mut self, n: usize) {
        assert!(
            n <= self.storage.len() - self.end,
            "filled({n}) where the space had {}",
            self.storage.len() - self.end
        );
        self.received(n);
    }

    /// Copies `bytes` behind the unread ones.
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

    /// Where nothing is unread, gives back what is more than `keep_len` bytes and more than two rounds needed.
    pub(crate) fn shrink(&mut self, keep_len: usize) {
        if self.start == self.end {
            self.forget();
            if self.storage.capacity() > self.end_round(keep_len) {
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
        self.pass(self.start);
        self.start = 0;
        self.end = len;
        self.check();
        core::mem::replace(&mut self.storage, storage)
    }

    /// All the memory, if nothing is unread and the `len` bytes that were taken last are at least half of it.
    pub(crate) fn detach(&mut self, len: usize) -> Option<Vec<u8>> {
        if self.start < self.end || len < self.storage.capacity() / 2 {
            return None;
        }
        self.forget();
        Some(core::mem::take(&mut self.storage))
    }

    /// Forgets everything but the offset in the stream, and gives all memory back.
    pub(crate) fn clear(&mut self) {
        *self = Buffer { base: self.offset(), ..Buffer::new() };
    }

    /// Begins anew at the front, where nothing is unread.
    #[inline]
    fn forget(&mut self) {
        self.pass(self.start);
        self.start = 0;
        self.end = 0;
    }

    /// All the memory, and where in it the unread bytes are: nothing is here from then on.
    pub(crate) fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        let unread = self.start..self.end;
        self.forget();
        (core::mem::take(&mut self.storage), unread)
    }

    /// Takes memory back that was lent, with what is still unread in it.
    pub(crate) fn take_back(&mut self, storage: Vec<u8>, unread: Range<usize>) {
        self.base = self.base.wrapping_sub(unread.start as u64);
        (self.storage, self.start, self.end) = (storage, unread.start, unread.end);
        self.check();
    }

    /// Ends a round: what both it and the one before needed, at least `keep_len`, is the memory to keep.
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

    /// Moves the unread bytes to the front. `fits` says whether what is to come has room without that.
    ///
    /// All the moves of a stream are linear in its bytes: either no more move than were taken since the last move, or
    /// they move to memory that is twice as long.
    ///
    /// They move to new memory also where the old is over four times what is wanted, and over four times what is kept: it
    /// was for a frame that is taken.
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

/// Lengths, and never the bytes.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Buffer");
        shown.field("unread", &self.len()).field("capacity", &self.capacity()).field("offset", &self.offset()).finish()
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

    /// What is kept where so many bytes came, were taken, and nothing is left, again and again.
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
        // A round in which nothing came is one, too: an idle decoder that is asked again holds nothing.
        assert_eq!(kept(&[1000, 1000, 0]), [0, 1000, 0]);
        assert_eq!(kept(&[100, 100, 0, 0]), [100; 4]);
    }

    /// A byte is taken and one comes, again and again, while many wait: they stay where they are until as many were taken.
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
