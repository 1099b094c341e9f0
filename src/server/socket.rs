//! A TCP stream of one thread, in two halves.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::io::{AsyncRead, AsyncWrite};
use smol::Async;

/// The two halves of a socket.
pub(super) fn halves(io: Async<TcpStream>) -> (ReadHalf, WriteHalf) {
    let io = Rc::new(io);
    (ReadHalf { io: Rc::clone(&io), drained: Cell::new(false) }, WriteHalf { io })
}

/// The reading half. After a read that did not fill its buffer it waits for readiness before it reads again: the system
/// call that would only say "not yet" is saved.
pub(super) struct ReadHalf {
    io: Rc<Async<TcpStream>>,
    drained: Cell<bool>,
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.drained.get() {
                ready!(self.io.poll_readable(cx))?;
                self.drained.set(false);
            }
            match self.io.get_ref().read(buf) {
                Ok(n) => {
                    self.drained.set(n < buf.len());
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained.set(true),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The writing half. Closing it sends FIN.
pub(super) struct WriteHalf {
    io: Rc<Async<TcpStream>>,
}

impl WriteHalf {
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(self.io.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.io.poll_writable(cx))?,
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut io| io.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut io| io.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.io.get_ref().shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
