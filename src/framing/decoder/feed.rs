//! A chunk on its way into a decoder.

use super::{DecodeError, Decoder, State};
use crate::framing::format::Format;
use crate::framing::frame::Frame;
use crate::framing::header::{Header, Span};

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
        let direct = self.is_direct();
        Feed { decoder: self, chunk, direct }
    }
}

/// A chunk of the stream on its way into a [`Decoder`]: see [`Decoder::feed`].
///
/// Dropping it buffers what it has not yielded, so that nothing is lost.
#[derive(Debug)]
pub struct Feed<'a, H: Header = Format> {
    decoder: &'a mut Decoder<H>,
    chunk: &'a [u8],
    /// Whether the next frame begins where the chunk does.
    direct: bool,
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
        if self.direct
            && let Some(span) =
                self.decoder.header.whole_frame(self.chunk).or_else(|| self.decoder.frame_at(self.chunk))
        {
            let frame = &self.chunk[..span.frame_len];
            self.chunk = &self.chunk[span.frame_len..];
            self.decoder.offset += span.frame_len as u64;
            return Ok(Some(Frame::new(frame, span.prefix_len, span.header_len)));
        }
        // A copy is lent, so that the cursor itself has no address and stays in registers.
        let mut chunk = self.chunk;
        let found = self.decoder.next_span_of(&mut chunk);
        self.chunk = chunk;
        self.direct = self.decoder.is_direct();
        match found {
            Ok(Some(span)) => Ok(Some(self.decoder.frame(span))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<H: Header> Drop for Feed<'_, H> {
    #[inline]
    fn drop(&mut self) {
        if !self.chunk.is_empty() {
            self.decoder.buffer(self.chunk);
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

    /// A frame that began in an earlier chunk, or none: just what it needs of this chunk is buffered.
    #[cold]
    fn next_span_of(&mut self, chunk: &mut &[u8]) -> Result<Option<Span>, DecodeError> {
        loop {
            if let Some(span) = self.next_span()? {
                return Ok(Some(span));
            }
            if chunk.is_empty() {
                return Ok(None);
            }
            let (bytes, rest) = chunk.split_at(self.need().clamp(1, chunk.len()));
            *chunk = rest;
            self.buffer(bytes);
        }
    }

    /// Buffers these bytes, unless the stream failed.
    fn buffer(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Failed) {
            let frame_len = self.frame_len();
            self.buffer.append(bytes, self.keep_len, frame_len);
        }
    }
}
