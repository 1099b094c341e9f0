//! Frames taken without borrowing them, for authors of adapters; and what only this crate's server needs.

use alloc::vec::Vec;
use core::ops::Range;

use super::{DecodeError, Decoder, State};
use crate::framing::frame::Frame;
use crate::framing::header::{self, Header, Span};

impl<H: Header> Decoder<H> {
    /// Takes the next whole frame without borrowing it; [`frame`](Decoder::frame) then returns it. For adapters that
    /// read more if there is no whole frame: the borrow checker refuses a loop that returns what
    /// [`next_frame`](Decoder::next_frame) found.
    ///
    /// # Errors
    /// As [`next_frame`](Decoder::next_frame).
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use unstick::framing::{Decoder, Frame};
    ///
    /// /// The next frame; `None` if the stream ended.
    /// fn read<'a>(decoder: &'a mut Decoder, mut from: impl Read) -> io::Result<Option<Frame<'a>>> {
    ///     loop {
    ///         if let Some(span) = decoder.next_span().map_err(io::Error::other)? {
    ///             return Ok(Some(decoder.frame(span)));
    ///         }
    ///         let len = from.read(decoder.space())?;
    ///         decoder.filled(len);
    ///         if len == 0 {
    ///             decoder.finish().map_err(io::Error::other)?;
    ///             return Ok(None);
    ///         }
    ///     }
    /// }
    /// # let mut decoder = Decoder::new(unstick::framing::Format::U8);
    /// # let mut wire = &b"\x02hi\x00"[..];
    /// # assert_eq!(read(&mut decoder, &mut wire)?.unwrap().payload(), b"hi");
    /// # assert_eq!(read(&mut decoder, &mut wire)?.unwrap().payload(), b"");
    /// # assert!(read(&mut decoder, &mut wire)?.is_none());
    /// # Ok::<(), io::Error>(())
    /// ```
    #[inline(always)]
    pub fn next_span(&mut self) -> Result<Option<Span>, DecodeError> {
        if let State::Frame = self.state {
            let (bytes, start) = self.buffer.window();
            if let Some(span) = self.header.whole_frame(bytes, start) {
                self.buffer.take_to(span.end);
                return Ok(Some(span));
            }
        }
        self.next_span_slow()
    }

    /// The frame at a span that was just taken.
    ///
    /// # Panics
    /// If another method was called since then and the span is no longer within the buffer. If it still is, the bytes
    /// were received, but may not be a frame.
    #[inline]
    pub fn frame(&self, span: Span) -> Frame<'_> {
        Frame::new(self.buffer.at(span.start, span.end), span)
    }

    /// Takes the memory that holds the frame of a span that was just taken, with the payload's range in it. `None` if
    /// other bytes wait in it, or if the frame is less than half of it: so a kept frame keeps little more memory than
    /// the payload.
    pub fn detach(&mut self, span: Span) -> Option<(Vec<u8>, Range<usize>)> {
        let memory = self.buffer.detach(span.frame_len())?;
        Some((memory, span.start + span.header_len..span.end - usize::from(span.trailer_len)))
    }

    /// The next frame if it is whole; after `None`, call [`next_frame`](Decoder::next_frame), which says why. An option
    /// is cheaper to pass to a handler than a result.
    // Always inline, as `next_frame`: a call would hand the frame over in memory, the two lengths written each alone
    // and read together, which the processor cannot forward from its store buffer.
    #[doc(hidden)]
    #[inline(always)]
    pub fn whole_frame(&mut self) -> Option<Frame<'_>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = self.buffer.window();
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.take_to(span.end);
        Some(self.frame(span))
    }

    /// Lends the whole memory, with the range of the unread bytes in it. Until it is taken back, nothing is buffered.
    #[doc(hidden)]
    pub fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        self.buffer.lend()
    }

    /// Takes the next frame out of lent memory, if it is whole.
    #[doc(hidden)]
    pub fn frame_of_lent<'a>(&mut self, memory: &'a [u8], unread: &mut Range<usize>) -> Option<Frame<'a>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = (&memory[..unread.end], unread.start);
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.pass(span.end - span.start);
        unread.start = span.end;
        Some(Frame::new(&bytes[span.start..span.end], span))
    }

    /// Whether this many more bytes can be fed without more memory.
    #[doc(hidden)]
    pub fn fits(&self, more: usize) -> bool {
        self.buffer.fits(more)
    }

    /// Takes lent memory back, with the bytes that are still unread in it.
    #[doc(hidden)]
    pub fn take_back(&mut self, memory: Vec<u8>, unread: Range<usize>) {
        self.buffer.take_back(memory, unread);
    }
}
