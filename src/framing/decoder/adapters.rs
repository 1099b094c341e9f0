//! What the adapters and the server ask of a decoder beyond what anybody may.

use alloc::vec::Vec;
use core::ops::Range;

use super::{DecodeError, Decoder, State};
use crate::framing::frame::Frame;
use crate::framing::header::{self, Header, Span};

impl<H: Header> Decoder<H> {
    /// The next frame where it is whole; `None` asks for [`next_frame`](Decoder::next_frame), which says why. A plain
    /// option is cheaper to hand on to a handler than a result.
    // Always inline, as `next_frame`: a call would hand the frame over in memory, the two lengths written each alone and read
    // together, which the processor cannot forward from its store buffer.
    #[inline(always)]
    pub(crate) fn whole_frame(&mut self) -> Option<Frame<'_>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = self.buffer.window();
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.take_to(span.end);
        Some(self.frame(span))
    }

    /// Takes the next whole frame without borrowing it, for callers who must go on where there is none.
    #[inline(always)]
    pub(crate) fn next_span(&mut self) -> Result<Option<Span>, DecodeError> {
        if let State::Frame = self.state {
            let (bytes, start) = self.buffer.window();
            if let Some(span) = self.header.whole_frame(bytes, start) {
                self.buffer.take_to(span.end);
                return Ok(Some(span));
            }
        }
        self.next_span_slow()
    }

    /// The memory that holds the frame of a span that was just taken, and the place of the payload in it, where nothing
    /// else waits there and the frame is at least half of it: whoever keeps it does not keep much more than the payload.
    pub(crate) fn detach(&mut self, span: Span) -> Option<(Vec<u8>, Range<usize>)> {
        let memory = self.buffer.detach(span.end - span.start)?;
        Some((memory, span.start + usize::from(span.header_len)..span.end))
    }

    /// Lends all the memory, and tells where in it the unread bytes are; until it is taken back, nothing is buffered.
    pub(crate) fn lend(&mut self) -> (Vec<u8>, Range<usize>) {
        self.buffer.lend()
    }

    /// Takes the next frame out of memory that was lent, where it is whole.
    pub(crate) fn frame_of_lent<'a>(&mut self, memory: &'a [u8], unread: &mut Range<usize>) -> Option<Frame<'a>> {
        let State::Frame = self.state else { return None };
        let (bytes, start) = (&memory[..unread.end], unread.start);
        let span = self.header.whole_frame(bytes, start).or_else(|| header::frame_at(&self.header, bytes, start))?;
        self.buffer.pass(span.end - span.start);
        unread.start = span.end;
        Some(Frame::new(&bytes[span.start..span.end], span))
    }

    /// Takes back what was lent, with what is still unread in it.
    pub(crate) fn take_back(&mut self, memory: Vec<u8>, unread: Range<usize>) {
        self.buffer.take_back(memory, unread);
    }
}
