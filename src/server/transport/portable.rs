//! Smol's reactor, which all threads share.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use smol::Async;

use super::Stream;
use crate::server::clock::Clock;
use crate::server::system;

/// The I/O and the time of one thread.
pub(in crate::server) struct Reactor {
    clock: Rc<Clock>,
}

impl Reactor {
    pub(in crate::server) fn new() -> io::Result<Rc<Reactor>> {
        Ok(Rc::new(Reactor { clock: Clock::new(system::now()) }))
    }

    pub(in crate::server) fn clock(&self) -> &Rc<Clock> {
        &self.clock
    }

    /// Runs `main` to its end on this thread.
    ///
    /// # Errors
    /// None. The signature is that of the other reactor.
    pub(in crate::server) fn run<T>(&self, main: impl Future<Output = T>) -> io::Result<T> {
        Ok(smol::block_on(system::with_clock(&self.clock, main)))
    }

    /// Registers a socket.
    ///
    /// # Errors
    /// If the system refuses to.
    pub(in crate::server) fn socket(&self, stream: Stream) -> io::Result<Socket> {
        Ok(Socket { stream: Async::new(stream)?, drained: Cell::new(false) })
    }
}

/// A socket. After a read that did not fill the buffer, it waits for readiness before it reads again. This saves a
/// system call that would only return "not yet".
pub(in crate::server) struct Socket {
    stream: Async<Stream>,
    drained: Cell<bool>,
}

impl Socket {
    pub(super) fn stream(&self) -> &Stream {
        self.stream.get_ref()
    }

    pub(super) fn read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.drained.get() {
                ready!(self.stream.poll_readable(cx))?;
                self.drained.set(false);
            }
            match self.stream().read(buf) {
                Ok(n) => {
                    self.drained.set(n < buf.len());
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained.set(true),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(super) fn write_with(
        &self,
        cx: &mut Context<'_>,
        _len: usize,
        mut write: impl FnMut(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write(self.stream()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.stream.poll_writable(cx))?,
                result => return Poll::Ready(result),
            }
        }
    }

    /// A broken connection shows only if nothing else can be read: smol's reactor reports readiness, not its cause.
    pub(super) fn broken(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.stream.poll_readable(cx).is_ready()
            && let Some(error) = self.stream().error()
        {
            return Poll::Ready(error);
        }
        Poll::Pending
    }
}
