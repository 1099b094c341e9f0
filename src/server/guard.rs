//! The write deadline: how long a peer may take nothing of what is to be written to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_lite::io::AsyncWrite;

use super::connection::Surroundings;

/// A writer that fails, once its peer has taken nothing for the time of the write deadline.
pub(super) struct Guarded<W, S> {
    writer: W,
    surroundings: S,
    /// Since when it has been waiting.
    since: Option<Instant>,
}

impl<W, S: Surroundings> Guarded<W, S> {
    pub(super) fn new(writer: W, surroundings: S) -> Guarded<W, S> {
        Guarded { writer, surroundings, since: None }
    }

    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut W, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = poll(&mut self.writer, cx);
        if polled.is_ready() {
            self.since = None;
            return polled;
        }
        let now = self.surroundings.now();
        let since = *self.since.get_or_insert(now);
        let deadline = self.surroundings.limits().write_deadline.and_then(|deadline| since.checked_add(deadline));
        if deadline.is_some_and(|deadline| self.surroundings.poll_until(deadline, cx).is_ready()) {
            self.surroundings.meter().write_overdue.set(true);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<W: AsyncWrite + Unpin, S: Surroundings + Unpin> AsyncWrite for Guarded<W, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.guard(cx, |writer, cx| Pin::new(writer).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.guard(cx, |writer, cx| Pin::new(writer).poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard(cx, |writer, cx| Pin::new(writer).poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard(cx, |writer, cx| Pin::new(writer).poll_close(cx))
    }
}
