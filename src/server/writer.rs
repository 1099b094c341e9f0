//! Where a connection writes to, and for how long the peer may take nothing of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_lite::io::AsyncWrite;

use super::place::Place;
use super::reactor::WriteHalf;

/// A writer that fails once its peer has taken nothing for the time of the write timeout. One type, whatever it writes to,
/// so that [`Responder`](super::Responder) is one.
pub(super) struct Writer {
    to: To,
    pub(super) place: Rc<Place>,
    /// Since when it has been waiting.
    since: Option<Instant>,
}

/// What it writes to: the server's own, which needs no memory for itself, or anybody's.
pub(super) enum To {
    Own(WriteHalf),
    Other(Box<dyn AsyncWrite + Unpin>),
}

impl Writer {
    pub(super) fn new(to: To, place: &Rc<Place>) -> Writer {
        Writer { to, place: Rc::clone(place), since: None }
    }

    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        poll: impl FnOnce(Pin<&mut (dyn AsyncWrite + Unpin)>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let to: Pin<&mut (dyn AsyncWrite + Unpin)> = match &mut self.to {
            To::Own(half) => Pin::new(half),
            To::Other(writer) => Pin::new(&mut **writer),
        };
        let polled = poll(to, cx);
        if polled.is_ready() {
            if !self.place.closing.get() {
                self.since = None;
            }
            return polled;
        }
        // What waits is counted where it may be more than any handler that sends in good time has.
        self.place.replies.set(self.place.replies.get().max(len));
        let since = *self.since.get_or_insert_with(|| self.place.now());
        let deadline = self.place.config().write_timeout.and_then(|deadline| since.checked_add(deadline));
        if deadline.is_some_and(|deadline| self.place.poll_until(deadline, cx).is_ready()) {
            self.place.write_overdue.set(true);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.guard(cx, buf.len(), |to, cx| to.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.guard(cx, len, |to, cx| to.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard(cx, 0, |to, cx| to.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.place.closing.set(true);
        self.guard(cx, 0, |to, cx| to.poll_close(cx))
    }
}
