//! The responder, through which a handler replies.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

#[cfg(doc)]
use super::ServerConfig;
use super::link::Link;
use super::output::Output;
use crate::adapters::NO_COPY_LEN;
use crate::framing::{EncodeError, Envelope, Frame};
use crate::peer::PeerName;

/// Sends replies to the frame that a handler is called with: none, one or many.
///
/// A reply is queued. The queue is written when all frames that have arrived are handled, and whenever the handler
/// waits: for a [`flush`](Responder::flush), for room in the queue, or for anything else. So one write carries many
/// replies.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::Responder;
///
/// /// Reports that work has begun, works on another thread, and replies.
/// async fn handler(frame: Frame<'_>, responder: &mut Responder) -> Result<(), unstick::framing::EncodeError> {
///     responder.send(b"begun").await?;
///     responder.flush().await; // without it, that would be written once the work is awaited
///     let payload = frame.payload().to_vec();
///     let sum = smol::unblock(move || payload.iter().map(|byte| u64::from(*byte)).sum::<u64>()).await;
///     responder.send(sum.to_string().as_bytes()).await
/// }
/// ```
pub struct Responder {
    pub(super) link: Rc<Link>,
}

impl Responder {
    /// Sends a frame with this payload. The payload is copied, unless it is a slice of the current frame of
    /// [`NO_COPY_LEN`] bytes (16 KiB) or more. It waits while [`ServerConfig::high_water`] bytes (64 KiB by default) or
    /// more are queued, or the [`ServerConfig::memory_budget`] has no room.
    ///
    /// # Errors
    /// [`EncodeError`]: the format cannot encode the frame. Nothing is sent, and the connection continues unless the
    /// handler returns the error.
    ///
    /// # Cancel-safety
    /// If the future is dropped before it is ready, nothing is sent.
    #[inline]
    pub fn send<'a>(&'a mut self, payload: &'a [u8]) -> impl Future<Output = Result<(), EncodeError>> + 'a {
        self.send_with(Envelope::default(), payload)
    }

    /// [`send`](Responder::send) with a prefix, or with an [`Envelope`] of prefix and trailer, for a format with bytes
    /// before its length field or after the payload. This echoes a whole frame: `responder.send_with(frame.envelope(),
    /// frame.payload())`.
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

    /// [`send`](Responder::send) with an owned payload, which is not copied if it has [`NO_COPY_LEN`] bytes (16 KiB) or
    /// more.
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

    /// [`send_bytes`](Responder::send_bytes) with a prefix, or with an [`Envelope`] of prefix and trailer.
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

    /// Writes the queue now. It is ready once everything that was sent or pushed is written to the socket; the peer may
    /// not have read it yet.
    ///
    /// # Cancel-safety
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) {
        poll_fn(|cx| self.link.output.borrow_mut().poll_written(cx)).await;
    }

    /// The payload as [`Bytes`], to keep or to push to other connections. A payload of [`NO_COPY_LEN`] bytes (16 KiB) or
    /// more may not be copied: then it keeps all the memory that it was received in, mostly 260 KiB, until the last
    /// clone is dropped. That memory does not count in [`ServerConfig::memory_budget`] while it is only kept.
    pub fn share(&self, frame: Frame<'_>) -> Bytes {
        let payload = frame.payload();
        self.link.part_of_received(payload).unwrap_or_else(|| Bytes::copy_from_slice(payload))
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

/// A reply that is copied into the queue as soon as there is room.
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
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if payload.len() < NO_COPY_LEN => Poll::Ready(output.copied(envelope, payload)),
            Poll::Ready(()) => Poll::Ready(long_reply(link, output, envelope, payload)),
        }
    }
}

/// Queues a long payload; without a copy if it is part of the frame that the handler works on, as in an echo.
#[cold]
fn long_reply(link: &Link, output: &mut Output, envelope: &Envelope<'_>, payload: &[u8]) -> Result<(), EncodeError> {
    match link.part_of_received(payload) {
        Some(received) => output.shared(envelope, received),
        None => output.copied(envelope, payload),
    }
}

/// A reply that is queued as soon as there is room, without a copy if it is long.
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
