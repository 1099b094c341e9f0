//! Smol's reactor, which all threads share.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_lite::io::{AsyncRead, AsyncWrite};
use smol::Async;

/// The I/O of one thread.
pub(in crate::server) struct Reactor;

impl Reactor {
    pub(in crate::server) fn new() -> io::Result<Rc<Reactor>> {
        Ok(Rc::new(Reactor))
    }

    /// What time it is.
    pub(in crate::server) fn now(&self) -> Instant {
        Instant::now()
    }

    /// Wakes the task once others had their turn: smol looks for events now and then.
    pub(in crate::server) fn next_turn(&self, cx: &Context<'_>) {
        cx.waker().wake_by_ref();
    }

    /// Runs `main` to its end on this thread.
    pub(in crate::server) fn run<T>(&self, main: impl Future<Output = T>) -> io::Result<T> {
        Ok(smol::block_on(main))
    }

    /// Makes two halves of a socket.
    pub(in crate::server) fn halves(&self, stream: TcpStream) -> io::Result<(ReadHalf, WriteHalf)> {
        let stream = Rc::new(Async::new(stream)?);
        Ok((ReadHalf { stream: Rc::clone(&stream), drained: Cell::new(false) }, WriteHalf { stream }))
    }
}

/// The reading half. After a read that did not fill its buffer it waits for readiness before it reads again: the system
/// call that would only say "not yet" is saved.
pub(in crate::server) struct ReadHalf {
    stream: Rc<Async<TcpStream>>,
    drained: Cell<bool>,
}

impl ReadHalf {
    /// Lets closing the socket break the connection off, so that the system keeps nothing that the peer does not take.
    pub(in crate::server) fn break_off(&self) {
        super::break_off(self.stream.get_ref());
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.drained.get() {
                ready!(self.stream.poll_readable(cx))?;
                self.drained.set(false);
            }
            match self.stream.get_ref().read(buf) {
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
pub(in crate::server) struct WriteHalf {
    stream: Rc<Async<TcpStream>>,
}

impl WriteHalf {
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.stream.poll_writable(cx))?,
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
        super::shutdown(self.stream.get_ref())
    }
}
