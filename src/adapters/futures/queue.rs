//! A queue of bytes to write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Memory that an empty queue keeps by default: 64 KiB.
const KEEP: usize = 64 * 1024;

/// The most large payloads in one vectored write.
const MOST_LARGE: usize = 32;

/// Bytes to write, in order: small ones copied into one piece of memory, large payloads by reference.
///
/// ```text
/// copied:  0 ─── start ═══ large[0].at ═══ large[1].at ═══ copied.len()
///                         ↑ payload       ↑ payload
/// ```
///
/// Invariant, asserted after every step: `start ≤ large[0].at ≤ large[1].at ≤ … ≤ copied.len()`.
pub(crate) struct Queue {
    pub(super) copied: Vec<u8>,
    pub(super) start: usize,
    /// Boxed, as most queues never have any.
    pub(super) large: Option<Box<LargeOnes>>,
    /// Bytes of memory that it keeps while it is empty.
    pub(super) keep: usize,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { copied: Vec::new(), start: 0, large: None, keep: KEEP }
    }
}

#[derive(Default)]
pub(super) struct LargeOnes {
    pub(super) queue: VecDeque<Large>,
    /// The bytes of all of them together.
    pub(super) len: usize,
}

/// A payload that is written without a copy, after `copied[..at]`. Never empty.
pub(super) struct Large {
    pub(super) at: usize,
    pub(super) bytes: Bytes,
    /// It shares its memory with others: if it has to wait, it should be copied.
    pub(super) is_brief: bool,
}

impl Queue {
    /// Bytes that are queued.
    pub(crate) fn len(&self) -> usize {
        self.copied.len() - self.start + self.large.as_deref().map_or(0, |large| large.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory to append copied bytes to.
    pub(crate) fn copied(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    /// Appends bytes without a copy.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.push_large(bytes, false);
    }

    pub(super) fn push_large(&mut self, bytes: Bytes, is_brief: bool) {
        if !bytes.is_empty() {
            let large = self.large.get_or_insert_default();
            large.len += bytes.len();
            large.queue.push_back(Large { at: self.copied.len(), bytes, is_brief });
            self.check();
        }
    }

    /// All queued bytes, if they are in one piece.
    pub(crate) fn piece(&self) -> Option<&[u8]> {
        let copied = &self.copied[self.start..];
        match self.larges().next() {
            None => Some(copied),
            Some(large) if large.bytes.len() == self.len() => Some(&large.bytes),
            Some(_) => None,
        }
    }

    /// Puts the first queued bytes into `out`, as slices for a vectored write. Returns the number of slices.
    pub(crate) fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut push = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < out.len() {
                out[count] = IoSlice::new(bytes);
                count += 1;
            }
        };
        let mut from = self.start;
        for large in self.larges().take(MOST_LARGE) {
            push(&self.copied[from..large.at]);
            push(&large.bytes);
            from = large.at;
        }
        if self.larges().nth(MOST_LARGE).is_none() {
            push(&self.copied[from..]);
        }
        count
    }

    /// Removes the first `n` bytes, which were written.
    pub(crate) fn written(&mut self, mut n: usize) {
        while n > 0 {
            let until = self.larges().next().map_or(self.copied.len(), |large| large.at);
            let copied = n.min(until - self.start);
            self.start += copied;
            let of_large = self.large.as_deref_mut().map_or(0, |large| large.written(n - copied));
            if copied + of_large == 0 {
                break;
            }
            n -= copied + of_large;
        }
        debug_assert_eq!(n, 0, "more was written than was queued");
        self.tidy();
    }

    /// Frees memory that is not needed, and moves the queued bytes to the front once as many bytes were written as are
    /// queued.
    fn tidy(&mut self) {
        if self.is_empty() {
            self.start = 0;
            self.copied.clear();
            self.copied.shrink_to(self.keep);
        } else if self.start >= KEEP && self.start * 2 >= self.copied.len() {
            self.copied.drain(..self.start);
            for large in self.large.iter_mut().flat_map(|large| &mut large.queue) {
                large.at -= self.start;
            }
            self.start = 0;
        }
        self.check();
    }

    pub(super) fn larges(&self) -> impl Iterator<Item = &Large> {
        self.large.iter().flat_map(|large| &large.queue)
    }

    /// How many are to be copied if they have to wait.
    pub(super) fn briefs(&self) -> usize {
        self.larges().filter(|large| large.is_brief).count()
    }

    pub(super) fn check(&self) {
        debug_assert!(self.start <= self.copied.len());
        debug_assert!(self.larges().all(|large| self.start <= large.at && large.at <= self.copied.len()));
        debug_assert!(self.larges().all(|large| !large.bytes.is_empty()), "brief: {}", self.briefs());
        let copied = self.copied.len() - self.start;
        debug_assert_eq!(self.len() - copied, self.larges().map(|large| large.bytes.len()).sum::<usize>());
    }
}

impl LargeOnes {
    /// Removes up to `n` written bytes of the first one. Returns how many.
    fn written(&mut self, n: usize) -> usize {
        let Some(first) = self.queue.front_mut() else { return 0 };
        let len = n.min(first.bytes.len());
        first.bytes.advance(len);
        self.len -= len;
        if first.bytes.is_empty() {
            self.queue.pop_front();
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with this many copied bytes.
    fn queue(copied: usize) -> Queue {
        let mut queue = Queue::default();
        queue.copied().resize(copied, 7);
        queue
    }

    fn gathered(queue: &Queue, most: usize) -> (usize, Vec<u8>) {
        let mut slices = vec![IoSlice::new(&[]); most];
        let count = queue.slices(&mut slices);
        (count, slices[..count].iter().flat_map(|slice| slice.to_vec()).collect())
    }

    /// However bytes are queued and written, the queue holds the same bytes as a `VecDeque` would.
    #[test]
    fn it_is_a_queue_of_bytes() {
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let (mut queue, mut model) = (Queue::default(), VecDeque::new());
        for step in 0..4000usize {
            let bytes: Vec<u8> = (0..random(60)).map(|at| (step + at) as u8).collect();
            match random(4) {
                0 => queue.copied().extend_from_slice(&bytes),
                1 => queue.push(Bytes::from(bytes.clone())),
                _ => {
                    let n = random(80).min(model.len());
                    queue.written(n);
                    model.drain(..n);
                    continue;
                }
            }
            model.extend(bytes);
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            let (count, first) = gathered(&queue, 1 + random(6));
            assert!(first.iter().eq(model.iter().take(first.len())), "{step}");
            assert_eq!(count == 0, model.is_empty());
            let whole = gathered(&queue, 200).1;
            assert!(queue.larges().count() > 32 || whole.iter().eq(&model), "{step}");
        }
    }

    #[test]
    fn a_large_payload_is_where_it_was() {
        let mut queue = queue(3);
        let payload = Bytes::from(vec![1; 50]);
        queue.push(Bytes::new());
        assert_eq!(queue.larges().count(), 0);
        queue.push(payload.clone());
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(queue.slices(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
        queue.written(3 + 49);
        assert_eq!((queue.len(), queue.larges().count()), (1, 1));
        queue.written(1);
        assert_eq!((queue.len(), queue.larges().count()), (0, 0));
    }

    #[test]
    fn bytes_in_one_piece_need_no_vectored_write() {
        let payload = Bytes::from(vec![1; 50]);
        let mut queue = Queue::default();
        assert_eq!(queue.piece(), Some(&[][..]));
        queue.push(payload.clone());
        assert_eq!(queue.piece().map(<[u8]>::as_ptr), Some(payload.as_ptr()));
        queue.copied().extend_from_slice(b"behind");
        assert_eq!(queue.piece(), None);
        queue.written(50);
        assert_eq!(queue.piece(), Some(&b"behind"[..]));
        queue.push(payload);
        assert_eq!(queue.piece(), None);
    }

    #[test]
    fn no_more_than_32_large_payloads_are_offered_and_nothing_out_of_turn() {
        for (payloads, slices) in [(31, 63), (32, 65), (33, 64)] {
            let mut queue = Queue::default();
            for _ in 0..payloads {
                queue.copied().push(7);
                queue.push(Bytes::from_static(b"large"));
            }
            queue.copied().push(8);
            assert_eq!(gathered(&queue, 200).0, slices, "{payloads}");
        }
    }

    #[test]
    fn an_empty_queue_keeps_64_kib() {
        let mut large = queue(200 * 1024);
        large.written(200 * 1024);
        assert_eq!((large.len(), large.start, large.copied.capacity()), (0, 0, 64 * 1024));
    }

    #[test]
    fn what_waits_moves_to_the_front_once_as_much_was_written() {
        for (copied, written, start) in [
            (2 * KEEP, KEEP - 1, KEEP - 1),
            (2 * KEEP, KEEP, 0),
            (2 * KEEP + 1, KEEP, KEEP),
            (4 * KEEP, 2 * KEEP - 1, 2 * KEEP - 1),
            (4 * KEEP, 2 * KEEP, 0),
            (KEEP / 2, KEEP / 2 - 1, KEEP / 2 - 1),
        ] {
            let mut queue = queue(copied);
            queue.push(Bytes::from_static(b"large"));
            queue.written(written);
            assert_eq!((queue.start, queue.len()), (start, copied - written + 5), "{copied} {written}");
            assert_eq!(queue.larges().next().expect("it waits").at - queue.start, copied - written);
        }
    }
}
