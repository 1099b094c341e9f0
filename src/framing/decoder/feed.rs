//! Feeding chunks to a decoder.

use super::{DecodeError, Decoder, State};
use crate::framing::frame::Frame;
use crate::framing::header::{self, Header};

impl<H: Header> Decoder<H> {
    /// Takes a chunk of the stream: copies it to the end of the buffer.
    ///
    /// If the chunk outlives its frames, [`next_frame_from`](Decoder::next_frame_from) takes them from it without a
    /// copy.
    ///
    /// ```
    /// use unstick::framing::{Decoder, Format};
    /// let mut decoder = Decoder::new(Format::U8);
    /// decoder.feed(b"\x02hi\x05wor");
    /// decoder.feed(b"ld");
    /// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"hi");
    /// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"world");
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    #[inline]
    pub fn feed(&mut self, chunk: &[u8]) {
        if !matches!(self.state, State::Failed(_)) {
            let frame_len = self.frame_len();
            self.buffer.append(chunk, self.keep_len, frame_len);
        }
    }

    /// The next whole frame of the buffered bytes followed by `chunk`; `None` if more bytes are needed.
    ///
    /// A frame that lies whole in the chunk is borrowed from it, not copied. `chunk` then starts after the taken bytes:
    /// pass the rest in again, or to [`feed`](Decoder::feed). With `None` the rest was buffered, and `chunk` is empty.
    ///
    /// # Errors
    /// As [`next_frame`](Decoder::next_frame).
    ///
    /// ```
    /// use unstick::framing::{Decoder, Format};
    /// let mut decoder = Decoder::new(Format::U8);
    /// let mut chunk = &b"\x02hi\x05wor"[..];
    /// assert_eq!(decoder.next_frame_from(&mut chunk)?.unwrap().payload(), b"hi"); // borrowed from the chunk
    /// assert_eq!(chunk, b"\x05wor");
    /// assert!(decoder.next_frame_from(&mut chunk)?.is_none());
    /// assert_eq!((chunk.len(), decoder.buffered()), (0, 4));
    /// decoder.feed(b"ld");
    /// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"world");
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    // Always inline, as `next_frame`.
    #[inline(always)]
    pub fn next_frame_from<'a, 'chunk: 'a>(
        &'a mut self,
        chunk: &mut &'chunk [u8],
    ) -> Result<Option<Frame<'a>>, DecodeError> {
        let bytes = *chunk;
        if self.is_direct()
            && let Some(span) = self.header.whole_frame(bytes, 0)
        {
            let (frame, rest) = bytes.split_at(span.end);
            *chunk = rest;
            self.buffer.pass(span.end);
            return Ok(Some(Frame::new(frame, span)));
        }
        // The caller's slice is passed by value, so that it stays in registers.
        let (found, taken) = self.next_frame_of(bytes);
        *chunk = &bytes[taken..];
        found
    }

    /// Whether the next frame begins after all buffered bytes.
    #[inline]
    fn is_direct(&self) -> bool {
        self.buffer.len() == 0 && matches!(self.state, State::Frame)
    }

    /// The rare cases: a frame that began in an earlier chunk, or near the chunk's end, or none. The bytes that such a
    /// frame needs of the chunk are buffered. Also returns how many bytes of the chunk were taken.
    #[cold]
    fn next_frame_of<'a>(&'a mut self, chunk: &'a [u8]) -> (Result<Option<Frame<'a>>, DecodeError>, usize) {
        if self.is_direct()
            && let Some(span) = header::frame_at(&self.header, chunk, 0)
        {
            self.buffer.pass(span.end);
            return (Ok(Some(Frame::new(&chunk[..span.end], span))), span.end);
        }
        let mut taken = 0;
        let found = loop {
            let rest = &chunk[taken..];
            // An empty buffer is not asked for a frame while there are bytes for it: it would free the memory that they
            // go to.
            if rest.is_empty() || !self.is_direct() {
                let found = self.next_span_slow();
                if rest.is_empty() || !matches!(found, Ok(None)) {
                    break found;
                }
            }
            let bytes = &rest[..self.need().clamp(1, rest.len())];
            taken += bytes.len();
            self.feed(bytes);
        };
        (found.map(|span| span.map(|span| self.frame(span))), taken)
    }
}
