//! Takes frames out of a byte stream.

mod adapters;
mod feed;
mod state;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use self::state::{Body, Rest, Skip, State};
use super::buffer::Buffer;
use super::error::DecodeError;
use super::format::Format;
use super::frame::Frame;
use super::header::Header;
use super::slice::{self, First};

/// Bytes of one read by default: 16 KiB. [`Decoder::with_read_len`] changes it.
pub const DEFAULT_READ_LEN: usize = 16 * 1024;

/// Takes frames out of a byte stream, however it was cut.
///
/// Bytes go in by [`feed`](Decoder::feed), or by [`space`](Decoder::space) and [`filled`](Decoder::filled), which let a
/// socket read straight into the buffer. Frames come out of [`next_frame`](Decoder::next_frame), borrowed from the
/// buffer; or part by part out of [`next_part`](Decoder::next_part), for frames larger than memory.
/// [`finish`](Decoder::finish) says whether the stream may end here.
///
/// # What holds
/// - The frames and the error do not depend on how the stream was cut.
/// - *Incomplete is not an error*: `Ok(None)` asks for more bytes. [`need`](Decoder::need) says how many at least.
/// - *The first error is final*: every later call returns the same error, and bytes fed later are discarded.
/// - *Memory follows what was received*: at most the bytes received plus one read (`read_len`), or twice the bytes
///   received if that is more; nothing because of a declared length. The memory of a large frame is freed after it was
///   taken; if a second one as large follows, it is kept until less than half of it is needed.
///   [`keeping`](Decoder::keeping) keeps more, and [`swap_buffer`](Decoder::swap_buffer) takes what is kept.
///
/// ```
/// use unstick::framing::{Decoder, Format};
/// let mut decoder = Decoder::new(Format::U32_LE);
/// decoder.feed(b"\x05\0\0\0hello\x05\0\0\0wo"); // one frame and a piece of the next, stuck together
/// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"hello");
/// assert!(decoder.next_frame()?.is_none());
/// assert_eq!(decoder.need(), 3);
/// assert!(decoder.finish().is_err()); // the stream may not end here
/// decoder.feed(b"rld");
/// assert_eq!(decoder.next_frame()?.unwrap().payload(), b"world");
/// decoder.finish()?;
/// # Ok::<(), unstick::framing::DecodeError>(())
/// ```
pub struct Decoder<H: Header = Format> {
    header: H,
    buffer: Buffer,
    state: State<H::Check>,
    read_len: usize,
    /// Memory of up to this many bytes is kept while it is empty; `read_len` by default.
    keep_len: usize,
    /// What is being skipped and was skipped under [`Oversize::Skip`]; boxed, as most decoders never skip.
    skip: Option<Box<Skip>>,
}

/// What a decoder does with a frame whose payload is over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oversize {
    /// Refuse it: [`DecodeErrorKind::Oversize`](super::DecodeErrorKind::Oversize), which is final.
    #[default]
    Reject,
    /// Discard its payload and trailer as they come, without buffering or checking them, count it in
    /// [`Decoder::skipped`], and continue with the next frame.
    Skip {
        /// The longest payload that is discarded, in bytes; a longer one is refused. It bounds the useless bytes that a
        /// peer can make us read.
        max_discard: u64,
    },
}

/// What was skipped so far under [`Oversize::Skip`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Frames whose header was read and whose payload is being or was discarded.
    pub frames: u64,
    /// Bytes of the payloads that they declared.
    pub bytes: u64,
    /// The offset in the stream of the last one's first byte.
    pub last_offset: u64,
}

/// A part of a frame. Each frame has one `Start`, any number of `Chunk`s, and one `End`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A header came.
    #[non_exhaustive]
    Start {
        /// The header, whose prefix is its first `prefix_len` bytes.
        header: &'a [u8],
        /// Bytes of the prefix.
        prefix_len: usize,
        /// Bytes of the payload that follows in chunks.
        payload_len: usize,
    },
    /// The next bytes of the payload, never empty. Where they are cut depends on the reads.
    Chunk(&'a [u8]),
    /// The payload is complete, and its check, if the header has one, held.
    #[non_exhaustive]
    End {
        /// The trailer; empty for most formats.
        trailer: &'a [u8],
    },
}

/// Shows lengths, never the payload.
impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Start { header, prefix_len, payload_len } => {
                let mut start = f.debug_struct("Start");
                start.field("header_len", &header.len()).field("prefix_len", prefix_len);
                start.field("payload_len", payload_len).finish()
            }
            Part::Chunk(bytes) => f.debug_struct("Chunk").field("len", &bytes.len()).finish(),
            Part::End { trailer } => f.debug_struct("End").field("trailer_len", &trailer.len()).finish(),
        }
    }
}

impl<H: Header> Decoder<H> {
    /// A decoder at the start of a stream. It allocates nothing before bytes come.
    pub const fn new(header: H) -> Decoder<H> {
        Decoder::with_read_len(header, DEFAULT_READ_LEN)
    }

    /// A decoder whose [`space`](Decoder::space) offers about `read_len` bytes (at least 1), unless it knows that a
    /// longer frame needs more.
    pub const fn with_read_len(header: H, read_len: usize) -> Decoder<H> {
        let read_len = if read_len == 0 { 1 } else { read_len };
        Decoder { header, buffer: Buffer::new(), state: State::Frame, read_len, keep_len: read_len, skip: None }
    }

    /// Sets what to do with a frame over the limit; [`Oversize::Reject`] by default.
    #[must_use]
    pub fn on_oversize(mut self, oversize: Oversize) -> Decoder<H> {
        self.skip = match oversize {
            Oversize::Reject => None,
            Oversize::Skip { max_discard } => Some(Box::new(Skip { max_discard, skipped: Skipped::default() })),
        };
        self
    }

    /// Keeps up to `keep_len` bytes of memory while the buffer is empty, instead of one read's. So large frames with
    /// small ones in between need no new allocation each. The memory is kept until
    /// [`swap_buffer`](Decoder::swap_buffer) takes it.
    #[must_use]
    pub fn keeping(mut self, keep_len: usize) -> Decoder<H> {
        self.keep_len = keep_len;
        self
    }

    /// The next whole frame, borrowed from the buffer; `None` if more bytes are needed.
    ///
    /// If [`next_part`](Decoder::next_part) has begun a frame, the rest of that frame is skipped.
    ///
    /// # Errors
    /// [`DecodeError`]; it is final.
    // Always inline, as `Header::whole_frame` in it: a call hands the frame over in memory.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        if let State::Frame = self.state {
            let (bytes, start) = self.buffer.window();
            if let Some(span) = self.header.whole_frame(bytes, start) {
                self.buffer.take_to(span.end);
                return Ok(Some(self.frame(span)));
            }
        }
        match self.next_span_slow() {
            Ok(Some(span)) => Ok(Some(self.frame(span))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next part of a frame, for frames larger than memory; `None` if more bytes are needed.
    ///
    /// Only a header and the bytes of one read are ever buffered. Do not call [`has_frame`](Decoder::has_frame) or
    /// [`need`](Decoder::need) to decide when to ask for the first part: they wait for a whole frame.
    ///
    /// # Errors
    /// [`DecodeError`]; it is final.
    ///
    /// ```
    /// use unstick::framing::{Decoder, Format, Part};
    /// let mut decoder = Decoder::new(Format::U8);
    /// decoder.feed(b"\x05he");
    /// assert!(matches!(decoder.next_part()?, Some(Part::Start { payload_len: 5, .. })));
    /// assert_eq!(decoder.next_part()?, Some(Part::Chunk(b"he")));
    /// assert_eq!(decoder.next_part()?, None);
    /// decoder.feed(b"llo");
    /// assert_eq!(decoder.next_part()?, Some(Part::Chunk(b"llo")));
    /// assert!(matches!(decoder.next_part()?, Some(Part::End { .. })));
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, DecodeError> {
        self.pass_skipped();
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Skip(_) => Ok(None),
            State::Body(_) => self.next_of_body(),
            State::Frame => match self.next_head()? {
                None => Ok(None),
                Some(head) => {
                    let header = self.buffer.take(head.header_len);
                    let check = self.header.check(header);
                    self.state = State::Body(Body { rest: Rest::of(head), check });
                    let (prefix_len, payload_len) = (head.prefix_len, head.payload_len as usize);
                    Ok(Some(Part::Start { header, prefix_len, payload_len }))
                }
            },
        }
    }

    /// Whether [`next_frame`](Decoder::next_frame) would yield a frame now. It also skips the rest of a frame that
    /// [`next_part`](Decoder::next_part) has begun.
    ///
    /// # Errors
    /// As [`next_frame`](Decoder::next_frame).
    #[inline]
    pub fn has_frame(&mut self) -> Result<bool, DecodeError> {
        self.pass_over();
        Ok(self.next_whole()?.is_some())
    }

    /// Whether [`next_part`](Decoder::next_part) would yield a part or an error now.
    pub fn has_part(&mut self) -> bool {
        self.pass_skipped();
        match &self.state {
            State::Failed(_) => true,
            State::Skip(_) => false,
            State::Body(Body { rest, .. }) => self.buffer.len() >= rest.next_part_len(),
            State::Frame => !matches!(self.next_head(), Ok(None)),
        }
    }

    /// How many more bytes the next frame needs at least: 0 if a frame, a part of a frame or an error is ready. Reading
    /// exactly this many bytes, repeatedly, leads to the end of the frame and never beyond it.
    pub fn need(&self) -> usize {
        let unread = self.buffer.unread();
        match &self.state {
            State::Failed(_) => 0,
            State::Body(Body { rest, .. }) if unread.len() >= rest.next_part_len() => 0,
            State::Body(Body { rest, .. }) => at_most(rest.len().saturating_sub(unread.len() as u64), usize::MAX),
            State::Skip(rest) => self.need_behind(rest.len(), unread),
            State::Frame => self.need_behind(0, unread),
        }
    }

    /// Room to read into, at least one byte: room for a read of `read_len` bytes, or for the rest of the current frame
    /// if that is known to be longer. Report how many bytes came with [`filled`](Decoder::filled).
    ///
    /// It contains zeros or bytes that were received before.
    ///
    /// ```
    /// use std::io::{self, Read};
    /// use unstick::framing::{Decoder, Format};
    ///
    /// let mut socket: &[u8] = b"\x02hi\x05wor"; // any `Read`
    /// let mut decoder = Decoder::new(Format::U8);
    /// let mut payloads = Vec::new();
    /// loop {
    ///     let len = socket.read(decoder.space())?; // the space is borrowed until here
    ///     decoder.filled(len);
    ///     while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
    ///         payloads.push(frame.payload().to_vec());
    ///     }
    ///     if len == 0 {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(payloads, [b"hi"]);
    /// assert!(decoder.finish().is_err()); // 2 bytes are missing
    /// # Ok::<(), io::Error>(())
    /// ```
    /// To return a frame from inside such a loop, use [`next_span`](Decoder::next_span), which does not borrow.
    pub fn space(&mut self) -> &mut [u8] {
        let frame_len = if self.buffer.len() == 0 { None } else { self.frame_len() };
        self.buffer.space(self.read_len, self.keep_len, frame_len)
    }

    /// Marks the first `n` bytes of the last [`space`](Decoder::space) as received.
    ///
    /// # Panics
    /// If `n` is more than the length of that space.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.buffer.filled(n);
        if let State::Failed(_) = self.state {
            self.buffer.clear();
        }
    }

    /// Whether the stream may end here. Whole frames may still wait to be taken; the bytes after them are checked.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`](super::DecodeErrorKind::Truncated) inside a frame, also right after a complete
    /// header; the stream's own error if it failed before, or fails in a frame that still waits. If the stream ends
    /// inside its first frame and looks like another protocol or like text, the error says so: a TLS hello, for
    /// example, can declare a length within the limit.
    ///
    /// ```
    /// use unstick::framing::{Decoder, Diagnosis, Format};
    /// let mut decoder = Decoder::new(Format::U32_LE);
    /// decoder.feed(b"\x16\x03\x01\x00\xF5\x01\x00\x00\xF1\x03\x03"); // 66,326 bytes are declared
    /// assert!(decoder.next_frame()?.is_none());
    /// assert_eq!(decoder.finish().unwrap_err().diagnosis(), Some(Diagnosis::Tls));
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    pub fn finish(&self) -> Result<(), DecodeError> {
        let mut left = self.unfinished()?;
        loop {
            let bytes = &self.buffer.unread()[left..];
            if bytes.is_empty() {
                return Ok(());
            }
            let offset = self.offset().wrapping_add(left as u64);
            left += match slice::first(&self.header, bytes) {
                Ok(First::Whole(span)) => span.end,
                Ok(First::Oversize(head)) if self.skips(head) => self.skipped_whole(head, offset, bytes.len())?,
                other => return Err(slice::fault(&self.header, offset, bytes, other).into()),
            };
        }
    }

    /// Bytes that were received and not yet taken.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes of memory that the buffer holds.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The offset in the stream of the first byte that was not yet taken.
    pub fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// What was skipped so far.
    pub fn skipped(&self) -> Skipped {
        self.skip.as_deref().map_or_else(Skipped::default, |skip| skip.skipped)
    }

    /// The header, usually a [`Format`].
    pub fn format(&self) -> &H {
        &self.header
    }

    /// Moves the buffered bytes into `storage` and returns the memory they were in. So a waiting connection need hold
    /// no more than its unfinished frame: swap in an empty `Vec` to wait, and one from a pool to read.
    pub fn swap_buffer(&mut self, storage: Vec<u8>) -> Vec<u8> {
        self.buffer.swap(storage)
    }
}

/// Shows settings and counters, never the bytes.
impl<H: Header + fmt::Debug> fmt::Debug for Decoder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decoder { header, buffer, state, read_len, keep_len, skip } = self;
        let mut shown = f.debug_struct("Decoder");
        shown.field("header", header).field("buffer", buffer).field("state", state);
        shown.field("read_len", read_len).field("keep_len", keep_len).field("skip", skip).finish()
    }
}

fn at_most(left: u64, available: usize) -> usize {
    left.min(available as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_a_streamed_body_there_is_no_whole_frame() {
        let mut decoder = Decoder::new(Format::U8);
        decoder.feed(b"\x02hi\x01!");
        assert!(decoder.next_part().is_ok_and(|part| part.is_some()));
        assert_eq!(decoder.whole_frame(), None);
        assert_eq!(decoder.frame_of_lent(b"\x01!", &mut (0..2)), None);
        assert_eq!(decoder.next_frame().ok().flatten().map(Frame::payload), Some(&b"!"[..]));
    }
}
