//! Methods of a queue that only the server needs.

use bytes::Bytes;

use super::queue::{Large, Queue};

impl Queue {
    /// A queue that keeps this many bytes of memory while it is empty.
    pub(crate) fn keeping(keep: usize) -> Queue {
        Queue { keep, ..Queue::default() }
    }

    /// Takes the memory of an empty queue, if it has any, for others to use.
    pub(crate) fn release(&mut self) -> Option<Vec<u8>> {
        debug_assert!(self.is_empty(), "released while bytes wait");
        self.large = None;
        (self.copied.capacity() > 0).then(|| std::mem::take(&mut self.copied))
    }

    /// Gives it memory to copy into, if it has none.
    pub(crate) fn adopt(&mut self, memory: impl FnOnce() -> Vec<u8>) {
        if self.copied.capacity() == 0 {
            self.copied = memory();
            self.copied.clear();
        }
    }

    /// Queued bytes that were copied.
    pub(crate) fn copied_len(&self) -> usize {
        self.copied.len() - self.start
    }

    /// Bytes of memory for copied bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.copied.capacity()
    }

    /// Moves the copied bytes to memory of exactly their length. Returns the memory they were in, for others.
    pub(crate) fn fit(&mut self) -> Vec<u8> {
        let exact = self.copied[self.start..].to_vec();
        for large in self.large.iter_mut().flat_map(|large| &mut large.queue) {
            large.at -= self.start;
        }
        self.start = 0;
        let before = std::mem::replace(&mut self.copied, exact);
        self.check();
        before
    }

    /// Appends bytes without a copy; they are copied if they have to wait: see [`settle`](Queue::settle).
    pub(crate) fn push_brief(&mut self, bytes: Bytes) {
        self.push_large(bytes, true);
    }

    /// Bytes that [`settle`](Queue::settle) would copy.
    pub(crate) fn brief_len(&self) -> usize {
        self.larges().filter(|large| large.is_brief).map(|large| large.bytes.len()).sum()
    }

    /// Copies what [`push_brief`](Queue::push_brief) appended.
    pub(crate) fn settle(&mut self) {
        let Some(larges) = &mut self.large else { return };
        let Some(first) = larges.queue.iter().position(|large| large.is_brief) else { return };
        // Bytes before the first one stay as they are.
        let moved = larges.queue.split_off(first);
        larges.len -= moved.iter().map(|large| large.bytes.len()).sum::<usize>();
        let base = moved.front().map_or(0, |large| large.at);
        let rest = self.copied.split_off(base);
        let mut from = 0;
        for Large { at, bytes, is_brief } in moved {
            self.copied.extend_from_slice(&rest[from..at - base]);
            from = at - base;
            if is_brief {
                self.copied.extend_from_slice(&bytes);
            } else {
                self.push(bytes);
            }
        }
        self.copied.extend_from_slice(&rest[from..]);
        self.check();
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::Bytes;

    use super::*;

    /// A queue with this many copied bytes.
    fn queue(copied: usize) -> Queue {
        let mut queue = Queue::default();
        queue.copied().resize(copied, 7);
        queue
    }

    fn all(queue: &Queue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = queue.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn memory_is_others_while_nothing_waits() {
        let mut queue = queue(10);
        queue.written(10);
        let memory = queue.release().expect("it had some");
        assert_eq!((memory.capacity() >= 10, queue.release()), (true, None));
        queue.adopt(|| vec![1, 2, 3]);
        assert_eq!((queue.len(), queue.copied.capacity()), (0, 3));
        queue.adopt(|| unreachable!("it has memory already"));
    }

    #[test]
    fn what_waits_fits_its_memory() {
        let mut queue = queue(100);
        queue.push(Bytes::from_static(b"large"));
        queue.copied().extend_from_slice(b"behind");
        queue.written(90);
        let waits = all(&queue);
        assert!(queue.fit().capacity() >= 106);
        assert_eq!((all(&queue), (queue.capacity(), queue.copied_len()), queue.len()), (waits, (16, 16), 21));
        queue.written(21);
        assert!(queue.is_empty());
    }

    /// Settling never changes the queued bytes, whatever was queued and written.
    #[test]
    fn what_was_pushed_briefly_is_copied_in_its_turn() {
        for written in 0..20 {
            let mut queue = Queue::default();
            queue.copied().extend_from_slice(b"ab");
            queue.push(Bytes::from_static(b"CD"));
            queue.copied().extend_from_slice(b"ef");
            queue.push_brief(Bytes::from_static(b"GHI"));
            queue.copied().extend_from_slice(b"jk");
            queue.push(Bytes::from_static(b"LM"));
            queue.push_brief(Bytes::from_static(b"NOP"));
            queue.copied().extend_from_slice(b"qr");
            let expected = all(&queue);
            assert_eq!(&expected, b"abCDefGHIjkLMNOPqr");
            let written = written.min(expected.len());
            queue.written(written);
            let (len, copied, brief) = (queue.len(), queue.copied_len(), queue.brief_len());
            queue.settle();
            assert_eq!(all(&queue), expected[written..], "{written}");
            assert_eq!((queue.len(), queue.copied_len(), queue.brief_len()), (len, copied + brief, 0));
        }
    }
}
