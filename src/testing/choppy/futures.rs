//! The choppy reader and writer as `futures` I/O: `WouldBlock` becomes pending.

use std::cell::{Ref, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::{ChoppyRead, ChoppyWrite, Step};

impl AsyncRead for ChoppyRead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        poll(cx, self.read(buf))
    }
}

impl AsyncWrite for ChoppyWrite {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        poll(cx, self.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll(cx, self.write_vectored(bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(cx, self.flush())
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = poll(cx, self.end());
        self.closed |= matches!(polled, Poll::Ready(Ok(())));
        polled
    }
}

/// A [`ChoppyWrite`] that a test shares, to look at it while a connection writes to it.
#[derive(Clone, Debug, Default)]
pub struct SharedWrite(Rc<RefCell<ChoppyWrite>>);

impl SharedWrite {
    /// As [`ChoppyWrite::new`].
    pub fn new(script: impl IntoIterator<Item = Step>) -> SharedWrite {
        SharedWrite(Rc::new(RefCell::new(ChoppyWrite::new(script))))
    }

    /// The writer and what it has received so far. Drop the borrow before the next write.
    pub fn look(&self) -> Ref<'_, ChoppyWrite> {
        self.0.borrow()
    }
}

impl AsyncWrite for SharedWrite {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_close(cx)
    }
}

/// If it is not ready, the task is woken at once.
fn poll<T>(cx: &mut Context<'_>, result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        result => Poll::Ready(result),
    }
}
