//! Bytes that wait to be written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Memory that an empty queue keeps for what comes next: 64 KiB.
const KEEP: usize = 64 * 1024;

/// Bytes that wait to be written, in order: copied ones in one piece of memory, and large payloads where they are.
///
/// ```text
/// copied:  0 ─── start ═══ large[0].at ═══ large[1].at ═══ copied.len()
///                         ↑ payload       ↑ payload
/// ```
///
/// Invariant, asserted after every step: `start ≤ large[0].at ≤ large[1].at ≤ … ≤ copied.len()`.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    copied: Vec<u8>,
    start: usize,
    large: VecDeque<Large>,
    large_len: usize,
}

/// A payload that is written from where it is, after `copied[..at]`. Never empty.
#[derive(Debug)]
struct Large {
    at: usize,
    bytes: Bytes,
}

impl Queue {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.copied.len() - self.start + self.large_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append what is copied.
    pub(crate) fn copied(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    /// Appends bytes that stay where they are.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.large_len += bytes.len();
            self.large.push_back(Large { at: self.copied.len(), bytes });
            self.check();
        }
    }

    /// All that waits, where it is in one piece.
    pub(crate) fn piece(&self) -> Option<&[u8]> {
        self.large.is_empty().then(|| &self.copied[self.start..])
    }

    /// The first bytes that wait, as slices for a vectored write; how many slices there are.
    pub(crate) fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut push = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < out.len() {
                out[count] = IoSlice::new(bytes);
                count += 1;
            }
        };
        let mut from = self.start;
        for large in self.large.iter().take(32) {
            push(&self.copied[from..large.at]);
            push(&large.bytes);
            from = large.at;
        }
        if self.large.len() <= 32 {
            push(&self.copied[from..]);
        }
        count
    }

    /// The first `n` bytes were written.
    pub(crate) fn written(&mut self, mut n: usize) {
        while n > 0 {
            let until = self.large.front().map_or(self.copied.len(), |large| large.at);
            let copied = n.min(until - self.start);
            self.start += copied;
            n -= copied;
            let Some(large) = self.large.front_mut().filter(|_| n > 0) else { break };
            let whole = n >= large.bytes.len();
            let len = n.min(large.bytes.len());
            large.bytes.advance(len);
            self.large_len -= len;
            n -= len;
            if whole {
                self.large.pop_front();
            }
        }
        debug_assert_eq!(n, 0, "more was written than waited");
        self.tidy();
    }

    /// Where nothing waits: the memory of what is copied, for others to use meanwhile.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty(), "released while bytes wait");
        std::mem::take(&mut self.copied)
    }

    /// Memory to copy into, where it has none of its own; its contents are forgotten.
    pub(crate) fn adopt(&mut self, mut memory: Vec<u8>) {
        if self.copied.capacity() == 0 {
            memory.clear();
            self.copied = memory;
        }
    }

    /// Gives memory back that is not needed, and moves what waits to the front once as much was written as waits.
    fn tidy(&mut self) {
        if self.is_empty() {
            self.start = 0;
            self.copied.clear();
            self.copied.shrink_to(KEEP);
        } else if self.start >= KEEP && self.start * 2 >= self.copied.len() {
            self.copied.drain(..self.start);
            for large in &mut self.large {
                large.at -= self.start;
            }
            self.start = 0;
        }
        self.check();
    }

    fn check(&self) {
        debug_assert!(self.start <= self.copied.len());
        debug_assert!(self.large.iter().all(|large| self.start <= large.at && large.at <= self.copied.len()));
        debug_assert_eq!(self.large_len, self.large.iter().map(|large| large.bytes.len()).sum());
    }
}
