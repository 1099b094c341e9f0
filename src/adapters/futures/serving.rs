//! What the server asks of a writer and its queue, beyond what anybody may.

use bytes::Bytes;

use super::queue::Queue;
use super::write::FramedWrite;
use crate::adapters::error::WriteError;
use crate::framing::Header;

impl<W, H: Header> FramedWrite<W, H> {
    /// Queues bytes that are no frame: an unframed greeting, say.
    pub(crate) fn enqueue_raw(&mut self, bytes: &[u8]) {
        self.queue.copied().extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How writing failed, if it did since this was asked.
    pub(crate) fn take_failure(&mut self) -> Option<WriteError> {
        self.failure.take().map(|failure| *failure)
    }

    /// The queue's memory, to be lent and taken back while nothing waits.
    pub(crate) fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

impl Queue {
    /// Bytes of memory that it has of its own.
    pub(crate) fn capacity(&self) -> usize {
        self.copied.capacity()
    }

    /// A payload that lies in this memory needs no copy to wait: see [`lent`](Queue::lent).
    pub(crate) fn lend(&mut self, memory: Bytes) {
        self.large.get_or_insert_default().lent = memory;
    }

    /// Ends that. What waits still holds the memory.
    pub(crate) fn end_lending(&mut self) {
        if let Some(large) = &mut self.large {
            large.lent = Bytes::new();
        }
    }

    /// Where nothing waits: the memory of what is copied, for others to use meanwhile.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty(), "released while bytes wait");
        self.large = None;
        std::mem::take(&mut self.copied)
    }

    /// Memory to copy into, where it has none of its own; its contents are forgotten.
    pub(crate) fn adopt(&mut self, mut memory: Vec<u8>) {
        if self.copied.capacity() == 0 {
            memory.clear();
            self.copied = memory;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue in which so many bytes wait that were copied.
    fn queue(copied: usize) -> Queue {
        let mut queue = Queue::default();
        queue.copied().resize(copied, 7);
        queue
    }

    #[test]
    fn what_lies_in_lent_memory_is_known_by_its_place() {
        let mut queue = Queue::default();
        let memory = Bytes::from(vec![7; 100]);
        assert!(queue.lent(&memory[..1]).is_none());
        queue.lend(memory.clone());
        for place in [0..100, 0..1, 99..100, 20..70] {
            let found = queue.lent(&memory[place.clone()]).expect("a part of it");
            assert_eq!((found.as_ptr(), found.len()), (memory[place.clone()].as_ptr(), place.len()));
        }
        assert!(queue.lent(&[7; 10]).is_none());
        // It begins before the memory, or ends behind it.
        let whole = Bytes::from(vec![7; 100]);
        queue.lend(whole.slice(10..90));
        for place in [9..20, 80..91, 0..100] {
            assert!(queue.lent(&whole[place.clone()]).is_none(), "{place:?}");
        }
        queue.end_lending();
        assert!(queue.lent(&whole[10..20]).is_none());
    }

    #[test]
    fn memory_is_lent_while_nothing_waits() {
        let mut queue = queue(10);
        queue.written(10);
        let memory = queue.release();
        assert_eq!((memory.capacity() >= 10, queue.copied.capacity()), (true, 0));
        queue.adopt(vec![1, 2, 3]);
        assert_eq!((queue.len(), queue.copied.capacity()), (0, 3));
        // It has memory already.
        queue.adopt(Vec::with_capacity(100));
        assert_eq!(queue.copied.capacity(), 3);
    }
}
