//! Where a connection writes to, so that [`Replies`](super::Replies) is one type whatever it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::AsyncWrite;

use super::reactor::WriteHalf;

/// A writer: the server's own, which needs no memory for itself, or anybody's.
pub(super) enum Writer {
    Own(WriteHalf),
    Other(Box<dyn AsyncWrite + Unpin>),
}

impl Writer {
    fn as_dyn(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Writer::Own(half) => Pin::new(half),
            Writer::Other(writer) => Pin::new(&mut **writer),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().as_dyn().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().as_dyn().poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().as_dyn().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().as_dyn().poll_close(cx)
    }
}
