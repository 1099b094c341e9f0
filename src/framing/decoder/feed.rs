//! A chunk on its way into a decoder.

use super::{DecodeError, Decoder, State};
use crate::framing::format::Format;
use crate::framing::frame::Frame;
use crate::framing::header::{self, Header};

impl<H: Header> Decoder<H> {
    /// Takes a chunk of the stream.
    ///
    /// Called as a statement, it copies the chunk behind what is buffered. Kept, the [`Feed`] yields frames straight from
    /// the chunk without copying them; what it has not yielded when it is dropped is buffered.
    ///
    /// ```
    /// use unstick::framing::{Decoder, Format};
    /// let mut decoder = Decoder::new(Format::U8);
    /// let mut feed = decoder.feed(b"\x02hi\x05wor");
    /// assert_eq!(feed.next_frame()?.unwrap().payload(), b"hi"); // borrowed from the chunk
    /// assert!(feed.next_frame()?.is_none());
    /// drop(feed);
    /// assert_eq!(decoder.buffered(), 4);
    /// decoder.feed(b"ld");
    /// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"world");
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    #[inline]
    pub fn feed<'a>(&'a mut self, chunk: &'a [u8]) -> Feed<'a, H> {
        let direct = if self.is_direct() { chunk } else { &[] };
        Feed { decoder: self, direct, chunk, taken: 0, counted: 0 }
    }
}

/// A chunk of the stream on its way into a [`Decoder`]: see [`Decoder::feed`].
///
/// Dropping it buffers what it has not yielded, so that nothing is lost.
#[derive(Debug)]
pub struct Feed<'a, H: Header = Format> {
    decoder: &'a mut Decoder<H>,
    /// The chunk where the next frame begins in it; no bytes where it began in an earlier chunk.
    direct: &'a [u8],
    chunk: &'a [u8],
    /// How many bytes of the chunk are taken, and of how many of them the decoder knows. The one counter that moves with
    /// each frame is `taken`.
    taken: usize,
    counted: usize,
}

impl<H: Header> Feed<'_, H> {
    /// The next whole frame: borrowed from the chunk, or from the decoder's buffer where it began in an earlier chunk.
    /// `None` where the chunk has no more.
    ///
    /// # Errors
    /// As [`Decoder::next_frame`].
    // Always inline, as there.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        if let Some(span) = self.decoder.header.whole_frame(self.direct, self.taken) {
            self.taken = span.end;
            return Ok(Some(Frame::new(&self.direct[span.start..span.end], span)));
        }
        // The cursor itself is not lent, so that it has no address and stays in registers.
        let (found, taken, is_direct) = self.decoder.next_frame_of(self.chunk, self.taken, self.counted);
        self.taken = taken;
        self.counted = taken;
        self.direct = if is_direct { self.chunk } else { &[] };
        found
    }
}

impl<H: Header> Drop for Feed<'_, H> {
    #[inline]
    fn drop(&mut self) {
        self.decoder.buffer.pass(self.taken - self.counted);
        if self.taken < self.chunk.len() {
            self.decoder.buffer(&self.chunk[self.taken..]);
        }
    }
}

/// What a [`Feed`] asks of its decoder.
impl<H: Header> Decoder<H> {
    /// Whether the next frame begins behind all that is buffered.
    #[inline]
    fn is_direct(&self) -> bool {
        self.buffer.len() == 0 && matches!(self.state, State::Frame)
    }

    /// All but the common case: a frame that began in an earlier chunk, or near the chunk's end, or none. What such a frame
    /// needs of the chunk, from `taken` on, is buffered. Returns, too, how many bytes of the chunk are taken then, and whether
    /// the next frame begins behind them.
    #[cold]
    fn next_frame_of<'a>(
        &'a mut self,
        chunk: &'a [u8],
        mut taken: usize,
        counted: usize,
    ) -> (Result<Option<Frame<'a>>, DecodeError>, usize, bool) {
        self.buffer.pass(taken - counted);
        if self.is_direct()
            && let Some(span) = header::frame_at(&self.header, chunk, taken)
        {
            self.buffer.pass(span.end - taken);
            return (Ok(Some(Frame::new(&chunk[taken..span.end], span))), span.end, true);
        }
        let found = loop {
            let rest = &chunk[taken..];
            // An empty buffer is not asked while there are bytes for it: it would give back the memory that they go to.
            if rest.is_empty() || !self.is_direct() {
                let found = self.next_span_slow();
                if rest.is_empty() || !matches!(found, Ok(None)) {
                    break found;
                }
            }
            let bytes = &rest[..self.need().clamp(1, rest.len())];
            taken += bytes.len();
            self.buffer(bytes);
        };
        let is_direct = self.is_direct();
        (found.map(|span| span.map(|span| self.frame(span))), taken, is_direct)
    }

    /// Buffers these bytes, unless the stream failed.
    fn buffer(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Failed(_)) {
            let frame_len = self.frame_len();
            self.buffer.append(bytes, self.keep_len, frame_len);
        }
    }
}
