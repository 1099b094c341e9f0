//! Frames of a slice: of bytes that are all there, as in a mapped file or in a buffer of one's own. Nothing is copied, and
//! nothing is allocated.

use super::error::{DecodeErrorKind, Fault, Phase};
use super::format::Format;
use super::frame::Frame;
use super::header::{Head, Header, Parsed, Span};

impl Format {
    /// The frame that `bytes` begin with, and the bytes behind it; `None` where the frame is not whole. See [`split_first`].
    ///
    /// # Errors
    /// [`Fault`] where no frame can begin with these bytes.
    ///
    /// ```
    /// use unstick::framing::Format;
    /// let (frame, rest) = Format::U8.split_first(b"\x05hello\x03wo")?.unwrap();
    /// assert_eq!((frame.payload(), rest), (&b"hello"[..], &b"\x03wo"[..]));
    /// assert_eq!(Format::U8.split_first(rest)?, None); // not whole
    /// # Ok::<(), unstick::framing::Fault>(())
    /// ```
    #[inline]
    pub fn split_first<'a>(&self, bytes: &'a [u8]) -> Result<Option<(Frame<'a>, &'a [u8])>, Fault> {
        split_first(self, bytes)
    }

    /// The frames of `bytes`, with their offsets: see [`Frames`].
    #[inline]
    pub const fn frames<'a>(&'a self, bytes: &'a [u8]) -> Frames<'a> {
        Frames::new(self, bytes)
    }
}

/// The frame that `bytes` begin with, by any header, and the bytes behind it; `None` where the frame is not whole.
///
/// # Errors
/// [`Fault`] where no frame can begin with these bytes; its offset is 0. Bytes that are not whole are no fault: where no more
/// will come, [`Frames`] says so.
#[inline(always)]
pub fn split_first<'a, H: Header>(header: &H, bytes: &'a [u8]) -> Result<Option<(Frame<'a>, &'a [u8])>, Fault> {
    let span = match header.whole_frame(bytes, 0) {
        Some(span) => span,
        None => match first(header, bytes) {
            Ok(First::Whole(span)) => span,
            Ok(First::Short { .. }) => return Ok(None),
            other => return Err(fault(header, 0, bytes, other)),
        },
    };
    let (frame, rest) = bytes.split_at(span.end);
    Ok(Some((Frame::new(frame, span), rest)))
}

/// The frames of a slice, each with the offset of its first byte.
///
/// The last item is a [`Fault`] where the bytes are no frames from some place on, or end inside a frame.
///
/// ```
/// use unstick::framing::Format;
/// let mut frames = Format::U8.frames(b"\x02hi\x00\x05wor");
/// let (offset, frame) = frames.next().unwrap()?;
/// assert_eq!((offset, frame.payload()), (0, &b"hi"[..]));
/// let (offset, frame) = frames.next().unwrap()?;
/// assert_eq!((offset, frame.payload()), (3, &b""[..]));
/// let truncated = frames.next().unwrap().unwrap_err();
/// assert_eq!(truncated.to_string(), "at byte 4: the stream ended inside a frame: 2 of 6 bytes missing");
/// assert!(frames.next().is_none());
/// assert_eq!(frames.rest(), b"\x05wor");
/// # Ok::<(), unstick::framing::Fault>(())
/// ```
pub struct Frames<'a, H = Format> {
    header: &'a H,
    /// What is behind the frames that were taken.
    rest: &'a [u8],
    /// Where that begins.
    offset: usize,
    failed: bool,
}

impl<'a, H> Frames<'a, H> {
    /// The frames of `bytes` by `header`, mostly a [`Format`].
    pub const fn new(header: &'a H, bytes: &'a [u8]) -> Frames<'a, H> {
        Frames { header, rest: bytes, offset: 0, failed: false }
    }

    /// Where the next frame begins: bytes before it are those of the frames that were taken.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes that were not yet taken.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(always)]
    fn take(&mut self, span: Span) -> (usize, Frame<'a>) {
        let offset = self.offset;
        let (frame, rest) = self.rest.split_at(span.end);
        self.rest = rest;
        self.offset += span.end;
        (offset, Frame::new(frame, span))
    }
}

impl<'a, H: Header> Iterator for Frames<'a, H> {
    type Item = Result<(usize, Frame<'a>), Fault>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        match self.header.whole_frame(self.rest, 0) {
            Some(span) => Some(Ok(self.take(span))),
            // The iterator itself is not lent, so that it has no address and stays in registers.
            None => match last(self.header, self.rest, self.offset as u64)? {
                Ok(span) => Some(Ok(self.take(span))),
                Err(_) if self.failed => None,
                Err(fault) => {
                    self.failed = true;
                    Some(Err(fault))
                }
            },
        }
    }
}

impl<H: Header> core::iter::FusedIterator for Frames<'_, H> {}

/// Of any header, as it is only borrowed.
impl<H> Clone for Frames<'_, H> {
    fn clone(&self) -> Self {
        Frames { ..*self }
    }
}

/// All but the common case: a frame near the end of the bytes, what is wrong with them, or nothing at their end.
#[cold]
fn last<H: Header>(header: &H, rest: &[u8], offset: u64) -> Option<Result<Span, Fault>> {
    if rest.is_empty() {
        return None;
    }
    Some(match first(header, rest) {
        Ok(First::Whole(span)) => Ok(span),
        other => Err(fault(header, offset, rest, other)),
    })
}

/// Lengths, and never the bytes.
impl<H: core::fmt::Debug> core::fmt::Debug for Frames<'_, H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Frames { header, rest, offset, failed } = self;
        let mut shown = f.debug_struct("Frames");
        shown
            .field("header", header)
            .field("offset", offset)
            .field("rest", &rest.len())
            .field("failed", failed)
            .finish()
    }
}

/// What some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A frame that is whole, within the limit, and as its check says.
    Whole(Span),
    /// A frame whose payload is over the limit.
    Oversize(Head),
    /// A frame that is not whole, and in which part of it the bytes end; bytes of it that are known to be needed.
    Short { phase: Phase, need: u64 },
}

/// Why bytes begin with no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Its header says so.
    Header(DecodeErrorKind),
    /// The header is good, and the check of the whole frame says so.
    Check(DecodeErrorKind),
}

/// Reads the frame that `bytes`, of which there is one at least, begin with.
pub(crate) fn first<H: Header + ?Sized>(header: &H, bytes: &[u8]) -> Result<First, Wrong> {
    let head = match header.parse(bytes).map_err(Wrong::Header)? {
        Parsed::Need(more) => return Ok(First::Short { phase: Phase::Header, need: (bytes.len() + more) as u64 }),
        Parsed::Head(head) if head.payload_len > header.max_payload_len() as u64 => return Ok(First::Oversize(head)),
        Parsed::Head(head) => head,
    };
    match Span::within(head, 0, bytes.len()) {
        Some(span) => span.verify(header, bytes).map(|()| First::Whole(span)).map_err(Wrong::Check),
        None => Ok(First::Short { phase: phase(head, bytes.len() as u64), need: head.frame_len() }),
    }
}

/// The part of a frame with this header that ends behind `have` bytes of it.
pub(super) fn phase(head: Head, have: u64) -> Phase {
    let payload_end = head.payload_len.saturating_add(head.header_len as u64);
    if have < payload_end { Phase::Payload } else { Phase::Trailer }
}

/// What is wrong at the frame that begins with `bytes` and is all there is from `offset` on.
#[cold]
pub(crate) fn fault<H: Header + ?Sized>(header: &H, offset: u64, bytes: &[u8], found: Result<First, Wrong>) -> Fault {
    match found {
        Ok(First::Oversize(head)) => refused(header, offset, oversize(header, head), bytes),
        Ok(First::Short { phase, need }) => truncated(header, offset, phase, bytes, need),
        Err(Wrong::Header(kind)) => refused(header, offset, kind, bytes),
        Err(Wrong::Check(kind)) => Fault::new(offset, kind, &[], None),
        Ok(First::Whole(_)) => unreachable!("a whole frame is no fault"),
    }
}

pub(super) fn oversize<H: Header + ?Sized>(header: &H, head: Head) -> DecodeErrorKind {
    let Head { field, payload_len, .. } = head;
    DecodeErrorKind::Oversize { field, payload_len, max_payload_len: header.max_payload_len() }
}

/// A refused header. Its bytes in the fault are just those that decided, so that it does not depend on how many more had
/// arrived.
pub(super) fn refused<H: Header + ?Sized>(header: &H, offset: u64, kind: DecodeErrorKind, bytes: &[u8]) -> Fault {
    let decisive = decisive(header, bytes);
    Fault::new(offset, kind, decisive, header.diagnose(kind, offset, decisive))
}

/// The stream ended inside a frame, of which these bytes came. Inside the first frame of all they may look like something.
fn truncated<H: Header + ?Sized>(header: &H, offset: u64, phase: Phase, bytes: &[u8], need: u64) -> Fault {
    let kind = DecodeErrorKind::Truncated { phase, have: bytes.len() as u64, need };
    match header.diagnose(kind, offset, bytes) {
        Some(diagnosis) if offset == 0 => Fault::new(0, kind, decisive(header, bytes), Some(diagnosis)),
        _ => Fault::new(offset, kind, &[], None),
    }
}

/// The header that `bytes` begin with, as far as it decides; all of them where they are less.
fn decisive<'a, H: Header + ?Sized>(header: &H, bytes: &'a [u8]) -> &'a [u8] {
    let decided = (1..=bytes.len().min(header.max_header_len()))
        .find(|&len| !matches!(header.parse(&bytes[..len]), Ok(Parsed::Need(_))))
        .unwrap_or(bytes.len());
    &bytes[..decided]
}
