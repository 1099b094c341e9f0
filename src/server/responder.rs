//! Where a handler answers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

#[cfg(doc)]
use super::ServerConfig;
use super::link::Link;
use crate::adapters::NO_COPY_LEN;
use crate::framing::{EncodeError, Envelope, Frame};
use crate::peer::PeerName;

/// Where a handler answers the frame at hand.
///
/// What is sent is queued, and written once the input at hand is dealt with, or as soon as the handler waits: for a
/// [`flush`](Responder::flush), for room, or for anything else. So many replies cost one write.
pub struct Responder {
    pub(super) link: Rc<Link>,
}

impl Responder {
    /// Sends a frame with a copy of `payload`. It waits while [`ServerConfig::high_water`] (64 KiB) or more waits to be written,
    /// or the [`ServerConfig::memory_budget`] has no room.
    ///
    /// # Errors
    /// [`EncodeError`], and nothing of it is sent.
    ///
    /// # Cancel-safety
    /// Dropping the future before it is ready sends nothing.
    #[inline]
    pub fn send<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), EncodeError>> + 'a {
        self.send_with(Envelope::default(), payload)
    }

    /// Sends a frame with what travels around its payload, a prefix or an [`Envelope`] of prefix and trailer. So a frame is
    /// echoed whole: `responder.send_with(frame.envelope(), frame.payload())`.
    ///
    /// # Errors
    /// As [`send`](Responder::send).
    ///
    /// # Cancel-safety
    /// As [`send`](Responder::send).
    #[inline]
    pub fn send_with<'a>(
        &'a mut self,
        envelope: impl Into<Envelope<'a>>,
        payload: &'a [u8],
    ) -> impl Future<Output = Result<(), EncodeError>> + 'a {
        Sending { link: &self.link, envelope: envelope.into(), payload }
    }

    /// Sends a frame whose payload is owned: from [`NO_COPY_LEN`] (16 KiB) on it is not copied.
    ///
    /// # Errors
    /// As [`send`](Responder::send).
    ///
    /// # Cancel-safety
    /// As [`send`](Responder::send).
    #[inline]
    pub fn send_bytes(&mut self, payload: impl Into<Bytes>) -> impl Future<Output = Result<(), EncodeError>> {
        self.send_bytes_with(Envelope::default(), payload)
    }

    /// [`send_bytes`](Responder::send_bytes) with what travels around the payload.
    ///
    /// # Errors
    /// As [`send`](Responder::send).
    ///
    /// # Cancel-safety
    /// As [`send`](Responder::send).
    #[inline]
    pub fn send_bytes_with<'a>(
        &'a mut self,
        envelope: impl Into<Envelope<'a>>,
        payload: impl Into<Bytes>,
    ) -> impl Future<Output = Result<(), EncodeError>> {
        SendingBytes { link: &self.link, envelope: envelope.into(), payload: payload.into() }
    }

    /// Sends now: ready once all that was sent or pushed is with the system.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) {
        poll_fn(|cx| self.link.output.borrow_mut().poll_written(cx)).await;
    }

    /// The payload of the frame at hand to keep, for other connections, say: one of [`NO_COPY_LEN`] (16 KiB) or more is not
    /// copied, and keeps the memory that it was received in, of 260 KiB mostly.
    pub fn share(&self, frame: Frame<'_>) -> Bytes {
        let (payload, received) = (frame.payload(), self.link.received.borrow());
        if payload.len() >= NO_COPY_LEN
            && let Some(start) = payload.as_ptr().addr().checked_sub(received.as_ptr().addr())
            && start + payload.len() <= received.len()
        {
            return received.slice(start..start + payload.len());
        }
        Bytes::copy_from_slice(payload)
    }

    /// The peer's name.
    pub fn peer(&self) -> &PeerName {
        &self.link.peer
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.link.output.borrow().queued();
        f.debug_struct("Responder").field("peer", &format_args!("{}", self.peer())).field("queued", &queued).finish()
    }
}

/// A reply that is copied as soon as there is room for it.
struct Sending<'a> {
    link: &'a Link,
    envelope: Envelope<'a>,
    payload: &'a [u8],
}

impl Future for Sending<'_> {
    type Output = Result<(), EncodeError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), EncodeError>> {
        let Sending { link, envelope, payload } = &*self;
        let output = &mut *link.output.borrow_mut();
        link.take_pushes(output);
        match output.poll_room(payload.len(), cx) {
            Poll::Ready(()) => Poll::Ready(output.copied(envelope, payload)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A reply that is queued as soon as there is room for it, and not copied if it is long.
struct SendingBytes<'a> {
    link: &'a Link,
    envelope: Envelope<'a>,
    payload: Bytes,
}

impl Future for SendingBytes<'_> {
    type Output = Result<(), EncodeError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), EncodeError>> {
        let SendingBytes { link, envelope, payload } = &mut *self;
        let output = &mut *link.output.borrow_mut();
        link.take_pushes(output);
        match output.poll_room(payload.len(), cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if payload.len() < NO_COPY_LEN => Poll::Ready(output.copied(envelope, payload)),
            Poll::Ready(()) => Poll::Ready(output.shared(envelope, std::mem::take(payload))),
        }
    }
}
