//! Frames of a slice, such as a mapped file or your own buffer, without a copy and without an allocation.

use super::error::{DecodeErrorKind, Fault, Phase};
use super::format::Format;
use super::frame::Frame;
use super::header::{Head, Header, Parsed, Span};

impl Format {
    /// The frame that `bytes` begin with, and the bytes after it; `None` if the frame is not whole. See
    /// [`split_first`].
    ///
    /// # Errors
    /// [`Fault`] if no frame can begin with these bytes.
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

/// The frame that `bytes` begin with, by any header, and the bytes after it; `None` if the frame is not whole.
///
/// # Errors
/// [`Fault`] if no frame can begin with these bytes; its offset is 0. An incomplete frame is not a fault here;
/// [`Frames`] treats the slice as the whole stream and reports it as truncated.
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
/// If the bytes cannot be decoded, or end inside a frame, the last item is a [`Fault`].
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
    /// The bytes after the frames that were taken.
    rest: &'a [u8],
    /// Its offset.
    offset: usize,
    failed: bool,
}

impl<'a, H> Frames<'a, H> {
    /// The frames of `bytes` by `header`, usually a [`Format`].
    pub const fn new(header: &'a H, bytes: &'a [u8]) -> Frames<'a, H> {
        Frames { header, rest: bytes, offset: 0, failed: false }
    }

    /// The offset of the next frame: the number of bytes of the frames that were taken.
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
            // The iterator is passed by value, so that it stays in registers.
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

/// For any header, as it is only borrowed.
impl<H> Clone for Frames<'_, H> {
    fn clone(&self) -> Self {
        Frames { ..*self }
    }
}

/// The rare cases: a frame near the end of the bytes, an error, or the end.
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

/// Shows lengths, never the bytes.
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
    /// A frame that is whole and within the limit, and whose check holds.
    Whole(Span),
    /// A frame whose payload is over the limit.
    Oversize(Head),
    /// A frame that is not whole: the part in which the bytes end, and how many bytes it is known to need in all.
    Short { phase: Phase, need: u64 },
}

/// Why no frame can begin with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Its header is refused.
    Header(DecodeErrorKind),
    /// Its header is good, and the check over the whole frame fails.
    Check(DecodeErrorKind),
}

/// Reads the frame that `bytes`, which are not empty, begin with.
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

/// The part of a frame with this header in which its first `have` bytes end.
pub(super) fn phase(head: Head, have: u64) -> Phase {
    let payload_end = head.payload_len.saturating_add(head.header_len as u64);
    if have < payload_end { Phase::Payload } else { Phase::Trailer }
}

/// The fault of the frame at `offset` that begins with `bytes`, the rest of the stream.
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

/// A refused header. The fault holds exactly the bytes that decided, so that it does not depend on how many more had
/// arrived.
pub(super) fn refused<H: Header + ?Sized>(header: &H, offset: u64, kind: DecodeErrorKind, bytes: &[u8]) -> Fault {
    let decisive = decisive(header, bytes);
    Fault::new(offset, kind, decisive, header.diagnose(kind, offset, decisive))
}

/// The stream ended inside a frame, of which these bytes came. In the stream's first frame they may look like another
/// protocol.
fn truncated<H: Header + ?Sized>(header: &H, offset: u64, phase: Phase, bytes: &[u8], need: u64) -> Fault {
    let kind = DecodeErrorKind::Truncated { phase, have: bytes.len() as u64, need };
    match header.diagnose(kind, offset, bytes) {
        Some(diagnosis) if offset == 0 => Fault::new(0, kind, decisive(header, bytes), Some(diagnosis)),
        _ => Fault::new(offset, kind, &[], None),
    }
}

/// The bytes of the header that decide; all of `bytes` if it is shorter.
fn decisive<'a, H: Header + ?Sized>(header: &H, bytes: &'a [u8]) -> &'a [u8] {
    let decided = (1..=bytes.len().min(header.max_header_len()))
        .find(|&len| !matches!(header.parse(&bytes[..len]), Ok(Parsed::Need(_))))
        .unwrap_or(bytes.len());
    &bytes[..decided]
}
