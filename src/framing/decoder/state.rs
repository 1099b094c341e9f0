//! The state of a decoder: what the unread bytes begin with, and what to do with it.

use core::fmt;

use super::{Decoder, Part, Skipped, at_most};
use crate::framing::error::{DecodeError, DecodeErrorKind, Fault, Phase};
use crate::framing::header::{Check, Head, Header, Parsed, Span};
use crate::framing::slice;

/// What is being skipped and was skipped under [`Oversize::Skip`](super::Oversize::Skip).
#[derive(Debug)]
pub(super) struct Skip {
    pub(super) max_discard: u64,
    pub(super) skipped: Skipped,
}

/// What the unread bytes begin with. `C` is the header's check.
pub(super) enum State<C> {
    /// A frame.
    Frame,
    /// The rest of a frame that is yielded in parts.
    Body(Body<C>),
    /// The rest of a frame that is discarded.
    Skip(Rest),
    /// Nothing: the stream failed, for this reason, and the buffer is empty.
    Failed(DecodeError),
}

/// Leaves out the check, which may not be `Debug`.
impl<C> fmt::Debug for State<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Frame => f.write_str("Frame"),
            State::Body(body) => f.debug_tuple("Body").field(&body.rest).finish(),
            State::Skip(rest) => f.debug_tuple("Skip").field(rest).finish(),
            State::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// A frame that is yielded in parts, after its header.
pub(super) struct Body<C> {
    pub(super) rest: Rest,
    pub(super) check: C,
}

/// The rest of a frame whose beginning was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// Bytes of the payload that were not yet taken.
    payload: u64,
    /// Bytes of the trailer that were not yet taken.
    trailer: u16,
    /// Bytes that were taken, header included.
    taken: u64,
}

impl Rest {
    /// Everything after this header.
    pub(super) fn of(head: Head) -> Rest {
        Rest { payload: head.payload_len, trailer: head.trailer_len as u16, taken: head.header_len as u64 }
    }

    /// Bytes that were not yet taken, saturating.
    pub(super) fn len(self) -> u64 {
        self.payload.saturating_add(u64::from(self.trailer))
    }

    /// Bytes that the next part of a body needs at least: one of the payload, or all of the trailer.
    pub(super) fn next_part_len(self) -> usize {
        if self.payload > 0 { 1 } else { usize::from(self.trailer) }
    }

    fn less(self, len: usize) -> Rest {
        let of_payload = self.payload.min(len as u64);
        let trailer = self.trailer - (len as u64 - of_payload) as u16;
        Rest { payload: self.payload - of_payload, trailer, taken: self.taken + len as u64 }
    }

    /// The fault of a stream that ended after `have` more bytes of the frame. `offset` is the end of those that were
    /// taken.
    fn truncated(self, offset: u64, have: u64) -> Fault {
        let phase = if have < self.payload { Phase::Payload } else { Phase::Trailer };
        let need = self.taken.saturating_add(self.len());
        let kind = DecodeErrorKind::Truncated { phase, have: self.taken + have, need };
        Fault::new(offset.wrapping_sub(self.taken), kind, &[], None)
    }
}

impl<H: Header> Decoder<H> {
    /// The rare cases: no whole frame, an error, or the rest of another frame first.
    #[cold]
    pub(super) fn next_span_slow(&mut self) -> Result<Option<Span>, DecodeError> {
        self.pass_over();
        let found = self.next_whole()?;
        if let Some(span) = found {
            self.buffer.take_to(span.end);
        }
        Ok(found)
    }

    /// The next frame, if it is whole. It is not taken.
    pub(super) fn next_whole(&mut self) -> Result<Option<Span>, DecodeError> {
        let head = self.next_head()?;
        let (bytes, start) = self.buffer.window();
        let Some(span) = head.and_then(|head| Span::within(head, start, bytes.len())) else { return Ok(None) };
        match span.verify(&self.header, bytes) {
            Ok(()) => Ok(Some(span)),
            Err(kind) => Err(self.fail(Fault::new(self.offset(), kind, &[], None))),
        }
    }

    /// The next frame's header, if it is whole and the frame is not to be skipped. It is not taken.
    pub(super) fn next_head(&mut self) -> Result<Option<Head>, DecodeError> {
        loop {
            match &self.state {
                State::Frame => {}
                State::Failed(error) => return Err(error.clone()),
                State::Body(_) | State::Skip(_) => return Ok(None),
            }
            match self.header.parse(self.buffer.unread()) {
                Err(kind) => return Err(self.refuse(kind)),
                Ok(Parsed::Need(_)) => {
                    self.buffer.shrink(self.keep_len);
                    return Ok(None);
                }
                Ok(Parsed::Head(head)) if head.payload_len <= self.header.max_payload_len() as u64 => {
                    return Ok(Some(head));
                }
                Ok(Parsed::Head(head)) if self.skips(head) => self.begin_skip(head),
                Ok(Parsed::Head(head)) => return Err(self.refuse(slice::oversize(&self.header, head))),
            }
        }
    }

    /// The next part of a frame whose header was taken.
    pub(super) fn next_of_body(&mut self) -> Result<Option<Part<'_>>, DecodeError> {
        let State::Body(body) = &mut self.state else { unreachable!("asked inside a body") };
        let rest = body.rest;
        if self.buffer.len() < rest.next_part_len() {
            self.buffer.shrink(self.keep_len);
            return Ok(None);
        }
        if rest.payload > 0 {
            let chunk = self.buffer.take(at_most(rest.payload, self.buffer.len()));
            body.check.update(chunk);
            body.rest = rest.less(chunk.len());
            return Ok(Some(Part::Chunk(chunk)));
        }
        let trailer_len = usize::from(rest.trailer);
        match body.check.verify(&self.buffer.unread()[..trailer_len]) {
            Ok(()) => {
                self.state = State::Frame;
                Ok(Some(Part::End { trailer: self.buffer.take(trailer_len) }))
            }
            Err(kind) => Err(self.fail(Fault::new(self.offset().wrapping_sub(rest.taken), kind, &[], None))),
        }
    }

    /// Whether a frame over the limit is skipped.
    pub(super) fn skips(&self, head: Head) -> bool {
        self.skip.as_deref().is_some_and(|skip| head.payload_len <= skip.max_discard)
    }

    fn begin_skip(&mut self, head: Head) {
        let offset = self.buffer.offset();
        if let Some(Skip { skipped, .. }) = self.skip.as_deref_mut() {
            skipped.frames += 1;
            skipped.bytes = skipped.bytes.saturating_add(head.payload_len);
            skipped.last_offset = offset;
        }
        self.buffer.take(head.header_len);
        self.state = State::Skip(Rest::of(head));
        self.pass_skipped();
    }

    /// Discards what has come of the rest of a streamed or skipped frame.
    pub(super) fn pass_over(&mut self) {
        if let State::Body(Body { rest, .. }) = self.state {
            self.state = State::Skip(rest);
        }
        self.pass_skipped();
    }

    pub(super) fn pass_skipped(&mut self) {
        if let State::Skip(rest) = self.state {
            let len = at_most(rest.len(), self.buffer.len());
            self.buffer.take(len);
            let rest = rest.less(len);
            self.state = if rest.len() == 0 { State::Frame } else { State::Skip(rest) };
            self.buffer.shrink(self.keep_len);
        }
    }

    /// The length of the frame that the unread bytes begin, if it is known and within the limit.
    pub(super) fn frame_len(&self) -> Option<usize> {
        match (&self.state, self.header.parse(self.buffer.unread())) {
            (State::Frame, Ok(Parsed::Head(head))) if head.payload_len <= self.header.max_payload_len() as u64 => {
                Some(head.frame_len() as usize)
            }
            _ => None,
        }
    }

    /// How many more bytes the next frame needs, which comes after `left` bytes to skip. A loop, as any number of
    /// frames to skip may come in between.
    pub(super) fn need_behind(&self, mut left: u64, mut unread: &[u8]) -> usize {
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
                return (head.frame_len() as usize).saturating_sub(unread.len());
            }
            if !self.skips(head) {
                return 0;
            }
            left = Rest::of(head).len();
            unread = &unread[head.header_len..];
        }
    }

    /// How many of the unread bytes belong to a frame whose beginning was taken, if the stream may end after them.
    pub(super) fn unfinished(&self) -> Result<usize, DecodeError> {
        let unread = self.buffer.unread();
        let (rest, check) = match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Frame => return Ok(0),
            State::Skip(rest) => (*rest, None),
            State::Body(body) => (body.rest, Some(&body.check)),
        };
        let (offset, have) = (self.offset(), unread.len() as u64);
        if have < rest.len() {
            return Err(rest.truncated(offset, have).into());
        }
        let payload_len = rest.payload as usize;
        let end = payload_len + usize::from(rest.trailer);
        if let Some(check) = check {
            let mut check = check.clone();
            check.update(&unread[..payload_len]);
            let fault = |kind| Fault::new(offset.wrapping_sub(rest.taken), kind, &[], None);
            check.verify(&unread[payload_len..end]).map_err(fault)?;
        }
        Ok(end)
    }

    /// The length of a frame to skip, of which `have` bytes came, if it is whole.
    pub(super) fn skipped_whole(&self, head: Head, offset: u64, have: usize) -> Result<usize, DecodeError> {
        let rest = Rest::of(head);
        let behind = (have - head.header_len) as u64;
        if behind < rest.len() {
            return Err(rest.truncated(offset + rest.taken, behind).into());
        }
        Ok(head.frame_len() as usize)
    }

    /// Fails because of what a header says.
    #[cold]
    fn refuse(&mut self, kind: DecodeErrorKind) -> DecodeError {
        self.fail(slice::refused(&self.header, self.offset(), kind, self.buffer.unread()))
    }

    #[cold]
    fn fail(&mut self, fault: Fault) -> DecodeError {
        let error = DecodeError::from(fault);
        self.state = State::Failed(error.clone());
        self.buffer.clear();
        error
    }
}
