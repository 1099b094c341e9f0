//! What the server asks of a queue, beyond what a writer does.

use super::queue::{Large, Queue};

impl Queue {
    /// Where nothing waits: the memory of what is copied, if there is any, for others to use meanwhile.
    pub(crate) fn release(&mut self) -> Option<Vec<u8>> {
        debug_assert!(self.is_empty(), "released while bytes wait");
        self.large = None;
        (self.copied.capacity() > 0).then(|| std::mem::take(&mut self.copied))
    }

    /// Memory to copy into, where it has none of its own.
    pub(crate) fn adopt(&mut self, memory: impl FnOnce() -> Vec<u8>) {
        if self.copied.capacity() == 0 {
            self.copied = memory();
            self.copied.clear();
        }
    }

    /// Moves all that waits in another queue behind what waits here.
    pub(crate) fn append(&mut self, other: &mut Queue) {
        let Queue { copied, start, large } = std::mem::take(other);
        if self.is_empty() {
            *self = Queue { copied, start, large };
            return;
        }
        let moved = self.copied.len();
        self.copied.extend_from_slice(&copied[start..]);
        if let Some(larges) = large {
            let ours = self.large.get_or_insert_default();
            ours.len += larges.len;
            let larges = larges.queue.into_iter();
            ours.queue.extend(larges.map(|Large { at, bytes }| Large { at: at - start + moved, bytes }));
        }
        self.check();
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::Bytes;

    use super::*;

    /// A queue in which so many bytes wait that were copied.
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

    /// Whatever was queued and written in either, the bytes that wait come in order.
    #[test]
    fn what_is_moved_comes_behind_what_waits() {
        for (ours, theirs) in [(0, 0), (5, 0), (5, 3), (0, 3)] {
            let mut one = queue(ours);
            let mut two = Queue::default();
            two.copied().extend_from_slice(b"abcdef");
            two.push(Bytes::from_static(b"GHI"));
            two.copied().extend_from_slice(b"jk");
            two.written(theirs);
            let expected = [all(&one), all(&two)].concat();
            one.append(&mut two);
            assert_eq!((all(&one), one.len(), two.len()), (expected.clone(), expected.len(), 0));
            one.written(expected.len());
            assert!(one.is_empty());
        }
    }
}
