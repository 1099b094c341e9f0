//! Frames taken without borrowing them, for authors of adapters; and what this crate's server asks beyond that.

use alloc::vec::Vec;
use core::ops::Range;

use super::{DecodeError, Decoder, State};
use crate::framing::frame::Frame;
use crate::framing::header::{self, Header, Span};

impl<H: Header> Decoder<H> {
    /// Takes the next whole frame without borrowing it: [`frame`](Decoder::frame) then shows it. For adapters, which read on
    /// where there is none; a [`next_frame`](Decoder::next_frame) in a loop that returns what it found is refused by the
    /// borrow checker.
    ///
    /// # Errors
    /// As [`next_frame`](Decoder::next_frame).
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use unstick::framing::{Decoder, Frame};
    ///
    /// /// The next frame; `None` where the stream ended.
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

    /// The frame of a span that was just taken.
    ///
    /// # Panics
    /// Where the decoder was asked for anything else since then and the span is not within what it holds. Where it is, what
    /// it shows was received, and may be no frame.
    #[inline]
    pub fn frame(&self, span: Span) -> Frame<'_> {
        Frame::new(self.buffer.at(span.start, span.end), span)
    }

    /// The memory that holds the frame of a span that was just taken, and the offset of the payload in it, where nothing
    /// else waits there and the frame is at least half of it: whoever keeps it does not keep much more than the payload.
    pub fn detach(&mut self, span: Span) -> Option<(Vec<u8>, Range<usize>)> {
        let memory = self.buffer.detach(span.frame_len())?;
        Some((memory, span.start + span.header_len..span.end - usize::from(span.trailer_len)))
    }

    /// The next frame where it is whole; `None` asks for [`next_frame`](Decoder::next_frame), which says why. A plain
    /// option is cheaper to hand on to a handler than a result.
    // Always inline, as `next_frame`: a call would hand the frame over in memory, the two lengths written each alone and read
    // together, which the processor cannot forward from its store buffer.
    #[doc(hidden)]
    #[inline(always)]
    pub fn whole_frame(&mut self) -> Option<Frame<'_>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = self.buffer.window();
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.take_to(span.end);
        Some(self.frame(span))
    }

    /// Lends all the memory, and tells where in it the unread bytes are; until it is taken back, nothing is buffered.
    #[doc(hidden)]
    pub fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        self.buffer.lend()
    }

    /// Takes the next frame out of memory that was lent, where it is whole.
    #[doc(hidden)]
    pub fn frame_of_lent<'a>(&mut self, memory: &'a [u8], unread: &mut Range<usize>) -> Option<Frame<'a>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = (&memory[..unread.end], unread.start);
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.pass(span.end - span.start);
        unread.start = span.end;
        Some(Frame::new(&bytes[span.start..span.end], span))
    }

    /// Whether so many bytes more can be fed without more memory.
    #[doc(hidden)]
    pub fn fits(&self, more: usize) -> bool {
        self.buffer.fits(more)
    }

    /// Takes back what was lent, with what is still unread in it.
    #[doc(hidden)]
    pub fn take_back(&mut self, memory: Vec<u8>, unread: Range<usize>) {
        self.buffer.take_back(memory, unread);
    }
}
