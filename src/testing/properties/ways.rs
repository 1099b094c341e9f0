//! This crate's decoder as a subject, in each way to feed it and to take frames.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::framing::{DecodeError, Decoder, Format, Header, Part};
use crate::testing::case::Case;
use crate::testing::oracle::Oracle;
use crate::testing::subject::Subject;

/// A way to feed a [`Decoder`] and to take frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// `feed`, `next_frame`.
    Feed,
    /// `next_frame_from`: frames straight from a chunk.
    Chunk,
    /// `next_frame_from` for one frame of a chunk, then `feed` for its rest, and `next_frame` for the others.
    ChunkLeft,
    /// `space` and `filled`, `has_frame`, `next_frame`.
    Space,
    /// `feed`, and payloads put together from `next_part`.
    Parts,
    /// As `Space`, with `swap_buffer` between reads while little is buffered.
    Swap,
}

impl Way {
    /// All ways.
    pub const ALL: &'static [Way] = &[Way::Feed, Way::Chunk, Way::ChunkLeft, Way::Space, Way::Parts, Way::Swap];
}

/// A [`Decoder`] that is used in one [`Way`].
#[derive(Debug)]
pub struct OwnDecoder<H: Header = Format> {
    way: Way,
    decoder: Decoder<H>,
    read_len: usize,
    /// Payloads that were taken straight from a chunk.
    queue: VecDeque<Vec<u8>>,
    /// The payload that comes in parts.
    body: Vec<u8>,
    /// The other buffer, for swapping; never longer than a read.
    spare: Vec<u8>,
}

impl<H: Oracle> OwnDecoder<H> {
    /// A decoder for this case.
    pub fn new(case: &Case<H>, way: Way) -> OwnDecoder<H> {
        let (queue, body, spare) = (VecDeque::new(), Vec::new(), Vec::new());
        OwnDecoder { way, decoder: case.decoder(), read_len: case.read_len, queue, body, spare }
    }

    fn chunk(&mut self, mut chunk: &[u8], most: usize) {
        for _ in 0..most {
            // An error is final, so the decoder returns it again once the queue is empty.
            let Ok(Some(frame)) = self.decoder.next_frame_from(&mut chunk) else { return };
            self.queue.push_back(frame.payload().to_vec());
        }
        self.decoder.feed(chunk);
    }

    /// A swap copies the buffered bytes, so a swap at every chunk of a long frame would take quadratic time.
    fn swap(&mut self) {
        if self.decoder.buffered() > 512 {
            return;
        }
        self.spare = self.decoder.swap_buffer(core::mem::take(&mut self.spare));
        if self.spare.capacity() > self.read_len {
            self.spare = Vec::new();
        }
    }

    fn read(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let space = self.decoder.space();
            let len = space.len().min(chunk.len());
            assert!(len > 0, "the space is never empty");
            space[..len].copy_from_slice(&chunk[..len]);
            self.decoder.filled(len);
            chunk = &chunk[len..];
        }
    }

    fn parts(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        loop {
            match self.decoder.next_part()? {
                None => return Ok(None),
                Some(Part::Start { .. }) => self.body.clear(),
                Some(Part::Chunk(bytes)) => self.body.extend_from_slice(bytes),
                Some(Part::End { .. }) => return Ok(Some(core::mem::take(&mut self.body))),
            }
        }
    }

    fn whole(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        Ok(self.decoder.next_frame()?.map(|frame| frame.payload().to_vec()))
    }
}

impl<H: Oracle> Subject for OwnDecoder<H> {
    type Error = DecodeError;

    fn feed(&mut self, chunk: &[u8]) {
        match self.way {
            Way::Feed | Way::Parts => self.decoder.feed(chunk),
            Way::Chunk => self.chunk(chunk, usize::MAX),
            Way::ChunkLeft => self.chunk(chunk, 1),
            Way::Space => self.read(chunk),
            Way::Swap => {
                self.swap();
                self.read(chunk);
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        match self.way {
            Way::Parts => self.parts(),
            _ if !self.queue.is_empty() => Ok(self.queue.pop_front()),
            Way::Space => {
                let ready = self.decoder.has_frame()?;
                let frame = self.whole()?;
                assert_eq!(ready, frame.is_some(), "has_frame says what next_frame does");
                Ok(frame)
            }
            _ => self.whole(),
        }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.decoder.finish()
    }

    fn memory(&self) -> Option<usize> {
        Some(self.decoder.capacity())
    }

    fn read_len(&self) -> usize {
        self.read_len
    }
}
