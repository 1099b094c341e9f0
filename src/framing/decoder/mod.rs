//! Takes frames out of a byte stream.

mod adapters;
mod error;
mod feed;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use error::{DecodeError, DecodeErrorKind, Phase};
pub use feed::Feed;

use super::buffer::Buffer;
use super::diagnosis::Diagnosis;
use super::format::Format;
use super::frame::Frame;
use super::header::{Head, Header, Parsed, Span};

/// Bytes of one read, unless [`Decoder::with_read_len`] says otherwise: 16 KiB.
pub const DEFAULT_READ_LEN: usize = 16 * 1024;

/// Takes frames out of a byte stream, however it was cut.
///
/// Bytes go in by [`space`](Decoder::space) and [`filled`](Decoder::filled), which let a socket read straight into the
/// buffer, or by [`feed`](Decoder::feed). Frames come out of [`next_frame`](Decoder::next_frame), borrowed from where
/// they arrived; or piece by piece out of [`next_part`](Decoder::next_part), for frames larger than memory.
/// [`finish`](Decoder::finish) says whether the stream may end here.
///
/// # What holds
/// - The frames and the error do not depend on how the stream was cut.
/// - *Incomplete is no error*: `Ok(None)` asks for more bytes. [`need`](Decoder::need) says how many at least.
/// - *The first error is final*: the same error comes back for ever, and what is fed afterwards is dropped.
/// - *Memory follows what was received*: at most the bytes received plus one read (`read_len`), or twice the bytes
///   received where that is more; nothing for a declared length. Once a large frame is taken, its memory is given back;
///   where a second one as large followed, it stays for a third, until less than half of it is needed.
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
#[derive(Debug)]
pub struct Decoder<H = Format> {
    header: H,
    buffer: Buffer,
    state: State,
    read_len: usize,
    /// Memory of up to so many bytes is kept while it is empty: `read_len`, unless told otherwise.
    keep_len: usize,
    /// What is skipped, and was, under [`Oversize::Skip`]; in memory of its own, as most decoders never skip.
    skip: Option<Box<Skip>>,
}

#[derive(Debug)]
struct Skip {
    max_discard: u64,
    skipped: Skipped,
}

/// What the unread bytes begin with.
#[derive(Debug)]
enum State {
    /// A frame.
    Frame,
    /// The rest of a payload that is passed on piece by piece.
    Body(Rest),
    /// The rest of a payload that is discarded.
    Skip(Rest),
    /// Nothing: the stream failed, for this reason, and the buffer is empty.
    Failed(DecodeError),
}

/// The rest of a frame whose begin is taken already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    /// Bytes that are not taken yet.
    left: u64,
    /// Bytes that are taken, header included.
    taken: u64,
}

impl Rest {
    /// The whole payload behind this header.
    fn of(head: Head) -> Rest {
        Rest { left: head.payload_len, taken: head.header_len as u64 }
    }

    fn less(self, len: usize) -> Rest {
        Rest { left: self.left - len as u64, taken: self.taken + len as u64 }
    }

    /// Bytes of the whole frame, header included, or the greatest number where there are more.
    fn frame_len(self) -> u64 {
        self.taken.saturating_add(self.left)
    }
}

/// What a decoder does with a frame whose payload is over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oversize {
    /// Refuse it: [`DecodeErrorKind::Oversize`], which is final.
    #[default]
    Reject,
    /// Discard its payload as it comes, without buffering it, count it in [`Decoder::skipped`], and go on behind it.
    Skip {
        /// The longest payload that is discarded, in bytes; a longer one is refused. It bounds what a peer can make us
        /// read for nothing.
        max_discard: u64,
    },
}

/// What was skipped so far, under [`Oversize::Skip`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Frames whose header was seen and whose payload is or was discarded.
    pub frames: u64,
    /// Bytes of the payloads that they declared.
    pub bytes: u64,
    /// The place in the stream of the last one's first byte.
    pub last_offset: u64,
}

/// A frame that comes in parts: one `Start`, any number of `Chunk`s, one `End`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A header came.
    Start {
        /// The header, whose prefix is its first `prefix_len` bytes.
        header: &'a [u8],
        /// Bytes of the prefix.
        prefix_len: usize,
        /// Bytes of the payload that follows in chunks.
        payload_len: usize,
    },
    /// Bytes of the payload, never empty. Where they are cut depends on the reads.
    Chunk(&'a [u8]),
    /// The payload is complete.
    End,
}

impl<H: Header> Decoder<H> {
    /// A decoder at the start of a stream. It allocates nothing before bytes come.
    pub const fn new(header: H) -> Decoder<H> {
        Decoder::with_read_len(header, DEFAULT_READ_LEN)
    }

    /// A decoder whose [`space`](Decoder::space) offers about `read_len` bytes (at least 1) where nothing else is known.
    pub const fn with_read_len(header: H, read_len: usize) -> Decoder<H> {
        let read_len = if read_len == 0 { 1 } else { read_len };
        Decoder { header, buffer: Buffer::new(), state: State::Frame, read_len, keep_len: read_len, skip: None }
    }

    /// What to do with a frame over the limit; [`Oversize::Reject`] unless said otherwise.
    #[must_use]
    pub fn on_oversize(mut self, oversize: Oversize) -> Decoder<H> {
        self.skip = match oversize {
            Oversize::Reject => None,
            Oversize::Skip { max_discard } => Some(Box::new(Skip { max_discard, skipped: Skipped::default() })),
        };
        self
    }

    /// Keeps memory of up to `keep_len` bytes while it is empty, instead of one read's: large frames with small ones between
    /// them are then not allocated each anew. It is kept until [`swap_buffer`](Decoder::swap_buffer) takes it.
    #[must_use]
    pub fn keeping(mut self, keep_len: usize) -> Decoder<H> {
        self.keep_len = keep_len;
        self
    }

    /// The next whole frame, borrowed from the buffer; `None` where more bytes are needed.
    ///
    /// In the middle of a frame that [`next_part`](Decoder::next_part) began, what is left of that frame is passed over.
    ///
    /// # Errors
    /// [`DecodeError`], the same one for ever.
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

    /// The next part of a frame, for frames larger than memory; `None` where more bytes are needed.
    ///
    /// Only a header and what one read brought are ever buffered. Do not wait for a whole frame by
    /// [`has_frame`](Decoder::has_frame) or [`need`](Decoder::need) before the first part: they are about whole frames.
    ///
    /// # Errors
    /// [`DecodeError`], the same one for ever.
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
    /// assert_eq!(decoder.next_part()?, Some(Part::End));
    /// # Ok::<(), unstick::framing::DecodeError>(())
    /// ```
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, DecodeError> {
        self.pass_skipped();
        match self.state {
            State::Failed(ref error) => Err(error.clone()),
            State::Skip(_) => Ok(None),
            State::Body(Rest { left: 0, .. }) => {
                self.state = State::Frame;
                Ok(Some(Part::End))
            }
            State::Body(rest) => {
                let len = at_most(rest.left, self.buffer.len());
                if len == 0 {
                    self.buffer.shrink(self.keep_len);
                    return Ok(None);
                }
                self.state = State::Body(rest.less(len));
                Ok(Some(Part::Chunk(self.buffer.take(len))))
            }
            State::Frame => match self.next_head()? {
                None => Ok(None),
                Some(head) => {
                    self.state = State::Body(Rest::of(head));
                    Ok(Some(Part::Start {
                        header: self.buffer.take(head.header_len),
                        prefix_len: head.prefix_len,
                        payload_len: head.payload_len as usize,
                    }))
                }
            },
        }
    }

    /// Whether [`next_frame`](Decoder::next_frame) would yield one now. It, too, passes over the rest of a frame that
    /// [`next_part`](Decoder::next_part) began.
    ///
    /// # Errors
    /// As [`next_frame`](Decoder::next_frame).
    #[inline]
    pub fn has_frame(&mut self) -> Result<bool, DecodeError> {
        self.pass_over();
        Ok(self.next_head()?.is_some_and(|head| head.payload_len <= (self.buffer.len() - head.header_len) as u64))
    }

    /// Whether [`next_part`](Decoder::next_part) would yield a part or an error now.
    pub fn has_part(&mut self) -> bool {
        self.pass_skipped();
        match self.state {
            State::Failed(_) | State::Body(Rest { left: 0, .. }) => true,
            State::Skip(_) => false,
            State::Body(_) => self.buffer.len() > 0,
            State::Frame => !matches!(self.next_head(), Ok(None)),
        }
    }

    /// How many more bytes the next frame needs at least: 0 where a frame, a part of a streamed body or an error is
    /// ready. Reading just so many, again and again, always leads to the frame and never beyond it.
    pub fn need(&self) -> usize {
        let unread = self.buffer.unread();
        match self.state {
            State::Failed(_) => 0,
            State::Body(_) if !unread.is_empty() => 0,
            State::Body(rest) => at_most(rest.left, usize::MAX),
            State::Skip(rest) => self.need_behind(rest.left, unread),
            State::Frame => self.need_behind(0, unread),
        }
    }

    /// Room to read into, at least one byte: as many as the frame at hand still needs where that is known to be more
    /// than a read, and otherwise what a read of `read_len` bytes takes. Say how many came by [`filled`](Decoder::filled).
    ///
    /// Its contents are bytes that were received before, or zeros.
    pub fn space(&mut self) -> &mut [u8] {
        let frame_len = if self.buffer.len() == 0 { None } else { self.frame_len() };
        self.buffer.space(self.read_len, self.keep_len, frame_len)
    }

    /// Says that the first `n` bytes of the last [`space`](Decoder::space) were received.
    ///
    /// # Panics
    /// Where `n` is more than the space had.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.buffer.filled(n);
        if let State::Failed(_) = self.state {
            self.buffer.clear();
        }
    }

    /// Whether the stream may end here, once [`next_frame`](Decoder::next_frame) yields no more.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] inside a frame, also right after a complete header; the stream's own error if it
    /// failed before. Inside the stream's first frame it says what the stream looks like, where it looks like another
    /// protocol's hello: a TLS hello can declare a length within the limit.
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
        let unread = self.buffer.len() as u64;
        let (phase, taken, need) = match self.state {
            State::Failed(ref error) => return Err(error.clone()),
            State::Body(rest) | State::Skip(rest) => (Phase::Payload, rest.taken, rest.frame_len()),
            State::Frame if unread == 0 => return Ok(()),
            State::Frame => match self.header.parse(self.buffer.unread()) {
                Err(kind) => return Err(self.error(kind)),
                Ok(Parsed::Need(more)) => (Phase::Header, 0, unread + more as u64),
                Ok(Parsed::Head(head)) => (Phase::Payload, 0, Rest::of(head).frame_len()),
            },
        };
        let have = taken + unread;
        if have >= need {
            return Ok(());
        }
        let kind = DecodeErrorKind::Truncated { phase, have, need };
        match Diagnosis::of_hello(self.buffer.unread()) {
            Some(diagnosis) if self.offset() == 0 => {
                Err(DecodeError::new(0, kind, self.decisive(self.buffer.unread()), Some(diagnosis)))
            }
            _ => Err(DecodeError::new(self.offset() - taken, kind, &[], None)),
        }
    }

    /// Bytes received and not yet taken.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes of memory that the buffer holds.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The place in the stream of the first byte that was not yet taken.
    pub fn offset(&self) -> u64 {
        self.buffer.offset()
    }

    /// What was skipped so far.
    pub fn skipped(&self) -> Skipped {
        self.skip.as_deref().map_or_else(Skipped::default, |skip| skip.skipped)
    }

    /// The header, mostly a [`Format`].
    pub fn format(&self) -> &H {
        &self.header
    }

    /// Moves what is buffered into `storage` and returns the memory it was in, so that a connection that waits can hold
    /// just its unfinished tail: swap in an empty `Vec` to wait, one from a pool to read.
    pub fn swap_buffer(&mut self, storage: Vec<u8>) -> Vec<u8> {
        self.buffer.swap(storage)
    }

    /// All but the common case: no whole frame, an error, or the rest of another frame first.
    #[cold]
    fn next_span_slow(&mut self) -> Result<Option<Span>, DecodeError> {
        self.pass_over();
        let head = self.next_head()?;
        let (bytes, start) = self.buffer.window();
        let Some(span) = head.and_then(|head| Span::within(head, start, bytes.len())) else { return Ok(None) };
        self.buffer.take_to(span.end);
        Ok(Some(span))
    }

    /// The next frame's header, where it is whole and not to be skipped. It is not taken.
    fn next_head(&mut self) -> Result<Option<Head>, DecodeError> {
        loop {
            match &self.state {
                State::Frame => {}
                State::Failed(error) => return Err(error.clone()),
                State::Body(_) | State::Skip(_) => return Ok(None),
            }
            match self.header.parse(self.buffer.unread()) {
                Err(kind) => return Err(self.fail(kind)),
                Ok(Parsed::Need(_)) => {
                    self.buffer.shrink(self.keep_len);
                    return Ok(None);
                }
                Ok(Parsed::Head(head)) if head.payload_len <= self.header.max_payload_len() as u64 => {
                    return Ok(Some(head));
                }
                Ok(Parsed::Head(head)) => self.refuse(head)?,
            }
        }
    }

    /// Fails on an oversize frame, or begins to skip it.
    fn refuse(&mut self, head: Head) -> Result<(), DecodeError> {
        match self.skip.as_deref_mut() {
            Some(Skip { max_discard, skipped }) if head.payload_len <= *max_discard => {
                skipped.frames += 1;
                skipped.bytes = skipped.bytes.saturating_add(head.payload_len);
                skipped.last_offset = self.buffer.offset();
                self.buffer.take(head.header_len);
                self.state = State::Skip(Rest::of(head));
                self.pass_skipped();
                Ok(())
            }
            _ => {
                let kind = DecodeErrorKind::Oversize {
                    field: head.field,
                    payload_len: head.payload_len,
                    max_payload_len: self.header.max_payload_len(),
                };
                Err(self.fail(kind))
            }
        }
    }

    /// Passes over what is left of a streamed or skipped frame, as far as it has come.
    fn pass_over(&mut self) {
        if let State::Body(rest) = self.state {
            self.state = State::Skip(rest);
        }
        self.pass_skipped();
    }

    fn pass_skipped(&mut self) {
        if let State::Skip(rest) = self.state {
            let len = at_most(rest.left, self.buffer.len());
            self.buffer.take(len);
            let rest = rest.less(len);
            self.state = if rest.left == 0 { State::Frame } else { State::Skip(rest) };
            self.buffer.shrink(self.keep_len);
        }
    }

    /// The length of the frame that the unread bytes begin, where it is known and within the limit.
    fn frame_len(&self) -> Option<usize> {
        match (&self.state, self.header.parse(self.buffer.unread())) {
            (State::Frame, Ok(Parsed::Head(head))) if head.payload_len <= self.header.max_payload_len() as u64 => {
                Some(head.header_len + head.payload_len as usize)
            }
            _ => None,
        }
    }

    /// How many more bytes the next frame needs that stands behind `left` bytes to skip. A loop, as any number of frames
    /// to skip may stand in between.
    fn need_behind(&self, mut left: u64, mut unread: &[u8]) -> usize {
        loop {
            match left.checked_sub(unread.len() as u64) {
                None | Some(0) => unread = &unread[left as usize..],
                Some(more) => return at_most(more, usize::MAX),
            }
            let head = match self.header.parse(unread) {
                Err(_) => return 0,
                Ok(Parsed::Need(more)) => return more,
                Ok(Parsed::Head(head)) => head,
            };
            if head.payload_len <= self.header.max_payload_len() as u64 {
                return (head.header_len + head.payload_len as usize).saturating_sub(unread.len());
            }
            match self.skip.as_deref() {
                Some(skip) if head.payload_len <= skip.max_discard => {
                    left = head.payload_len;
                    unread = &unread[head.header_len..];
                }
                _ => return 0,
            }
        }
    }

    #[cold]
    fn fail(&mut self, kind: DecodeErrorKind) -> DecodeError {
        let error = self.error(kind);
        self.state = State::Failed(error.clone());
        self.buffer.clear();
        error
    }

    /// The error at the frame that the unread bytes begin. Its header bytes are just those that decided, so that it does
    /// not depend on how many more had arrived.
    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        let header = self.decisive(self.buffer.unread());
        DecodeError::new(self.offset(), kind, header, self.header.diagnose(kind, self.offset(), header))
    }

    /// The header that `bytes` begin with, as far as it decides; all of them where they are less.
    fn decisive<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let decided = (1..=bytes.len().min(self.header.max_header_len()))
            .find(|&len| !matches!(self.header.parse(&bytes[..len]), Ok(Parsed::Need(_))))
            .unwrap_or(bytes.len());
        &bytes[..decided]
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
