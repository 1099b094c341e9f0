//! A codec and its buffer, read into as tokio-util's `Framed` does it; as a subject of the suite.

use std::collections::VecDeque;

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use unstick::ReadError;
use unstick::codec::{FrameCodec, OwnedFrame};
use unstick::framing::{DecodeError, Format, Header};
use unstick::testing::Subject;

/// What a `Framed` has at first: 8 KiB.
const FIRST_CAPACITY: usize = 8 * 1024;

pub(crate) struct AsFramed<H: Header = Format> {
    codec: FrameCodec<H>,
    buffer: BytesMut,
    /// Frames that were yielded, and not yet asked for.
    frames: VecDeque<OwnedFrame>,
}

impl<H: Header> AsFramed<H> {
    pub(crate) fn new(header: H) -> AsFramed<H> {
        let (buffer, frames) = (BytesMut::with_capacity(FIRST_CAPACITY), VecDeque::new());
        AsFramed { codec: FrameCodec::new(header), buffer, frames }
    }

    /// The next frame, whole.
    pub(crate) fn next(&mut self) -> Result<Option<OwnedFrame>, DecodeError> {
        match self.frames.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.codec.decode(&mut self.buffer).map_err(decode_error),
        }
    }

    /// What comes at the end of the stream.
    pub(crate) fn end(&mut self) -> Result<Option<OwnedFrame>, DecodeError> {
        self.codec.decode_eof(&mut self.buffer).map_err(decode_error)
    }
}

/// The error of a codec that reads nothing itself.
pub(crate) fn decode_error(error: ReadError) -> DecodeError {
    match error {
        ReadError::Decode(error) => error,
        other => panic!("nothing is read here: {other}"),
    }
}

impl<H: Header> Subject for AsFramed<H> {
    type Error = DecodeError;

    /// As many reads as the buffer has no room for all at once; after each one all frames are taken.
    fn feed(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            self.buffer.reserve(1);
            let len = chunk.len().min(self.buffer.capacity() - self.buffer.len());
            self.buffer.extend_from_slice(&chunk[..len]);
            chunk = &chunk[len..];
            while let Ok(Some(frame)) = self.codec.decode(&mut self.buffer) {
                self.frames.push_back(frame);
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        Ok(self.next()?.map(|frame| frame.payload().to_vec()))
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        let end = self.end();
        assert_eq!(self.end(), Ok(None), "behind the end there is nothing");
        assert!(self.buffer.is_empty(), "nothing is kept");
        end.map(|frame| assert_eq!(frame, None, "all frames were taken"))
    }

    fn memory(&self) -> Option<usize> {
        Some(self.buffer.capacity())
    }
}
