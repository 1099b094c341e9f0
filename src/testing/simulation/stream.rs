//! Connections in memory that end like TCP connections.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

use crate::peer::PeerName;
use crate::server::{Listener, Transport};

/// One end of a connection in memory: what is written at one end is read at the other. A writer waits while its
/// direction is full.
///
/// It ends as a TCP connection does. Closing it is a FIN: the other end reads the rest, then the end of the stream. Dropping it is
/// a FIN, too, or a RST if bytes are unread. [`reset`](MemoryStream::reset) is a RST: both ends fail.
pub struct MemoryStream {
    incoming: Arc<Mutex<Way>>,
    outgoing: Arc<Mutex<Way>>,
}

/// One direction.
struct Way {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// The writer has closed.
    ended: bool,
    /// The connection was reset.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Way {
    fn new(capacity: usize) -> Arc<Mutex<Way>> {
        let bytes = VecDeque::new();
        Arc::new(Mutex::new(Way { bytes, capacity, ended: false, reset: false, reader: None, writer: None }))
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    fn check(&self) -> io::Result<()> {
        if self.reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStream {
    /// Both ends of a connection.
    fn pair(capacity: usize) -> (MemoryStream, MemoryStream) {
        let (one, two) = (Way::new(capacity), Way::new(capacity));
        let other = MemoryStream { incoming: Arc::clone(&two), outgoing: Arc::clone(&one) };
        (MemoryStream { incoming: one, outgoing: two }, other)
    }

    /// Resets the connection: what is not read yet is lost, and both ends fail with [`io::ErrorKind::ConnectionReset`].
    pub fn reset(&self) {
        for way in [&self.incoming, &self.outgoing] {
            let mut way = locked(way);
            way.reset = true;
            way.bytes.clear();
            way.wake();
        }
    }

    /// Bytes that can be read here.
    pub fn unread(&self) -> usize {
        locked(&self.incoming).bytes.len()
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        if self.unread() > 0 {
            return self.reset();
        }
        let mut outgoing = locked(&self.outgoing);
        outgoing.ended = true;
        outgoing.wake();
        drop(outgoing);
        // The other end fails when it writes.
        let mut incoming = locked(&self.incoming);
        incoming.capacity = 0;
        incoming.wake();
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut way = locked(&self.incoming);
        way.check()?;
        if way.bytes.is_empty() {
            if way.ended || buf.is_empty() {
                return Poll::Ready(Ok(0));
            }
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = buf.len().min(way.bytes.len());
        for (slot, byte) in buf.iter_mut().zip(way.bytes.drain(..n)) {
            *slot = byte;
        }
        way.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut way = locked(&self.outgoing);
        way.check()?;
        if way.ended || way.capacity == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = buf.len().min(way.capacity - way.bytes.len().min(way.capacity));
        if n == 0 && !buf.is_empty() {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&buf[..n]);
        way.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = locked(&self.outgoing);
        way.ended = true;
        way.wake();
        Poll::Ready(Ok(()))
    }
}

impl Transport for MemoryStream {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut way = locked(&self.incoming);
        match way.check() {
            Err(error) => Poll::Ready(error),
            Ok(()) => {
                way.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn break_off(&mut self) {
        self.reset();
    }
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStream").field("unread", &self.unread()).finish_non_exhaustive()
    }
}

/// Connections that were not yet accepted.
#[derive(Default)]
struct Backlog {
    waiting: VecDeque<(MemoryStream, PeerName)>,
    acceptor: Option<Waker>,
    closed: bool,
}

/// The listener of a simulated server, for [`Server::with_listener`](crate::Server::with_listener).
pub struct MemoryListener {
    backlog: Arc<Mutex<Backlog>>,
}

/// Connects clients to a [`MemoryListener`]. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    backlog: Arc<Mutex<Backlog>>,
    capacity: usize,
}

pub(super) fn network(capacity: usize) -> (MemoryListener, Network) {
    let backlog = Arc::new(Mutex::new(Backlog::default()));
    (MemoryListener { backlog: Arc::clone(&backlog) }, Network { backlog, capacity })
}

impl Network {
    /// Connects as a peer of this name. If the listener was dropped, the connection is reset.
    pub fn connect(&self, name: &str) -> MemoryStream {
        let (ours, theirs) = MemoryStream::pair(self.capacity);
        let mut backlog = locked(&self.backlog);
        if backlog.closed {
            theirs.reset();
        } else {
            backlog.waiting.push_back((theirs, PeerName::Other(name.into())));
            backlog.acceptor.take().into_iter().for_each(Waker::wake);
        }
        ours
    }
}

impl Listener for MemoryListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Transport + Send>, PeerName)>> {
        let mut backlog = locked(&self.backlog);
        match backlog.waiting.pop_front() {
            Some((stream, name)) => Poll::Ready(Ok((Box::new(stream), name))),
            None => {
                backlog.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        let mut backlog = locked(&self.backlog);
        backlog.closed = true;
        backlog.waiting.drain(..).for_each(|(stream, _)| stream.reset());
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryListener").field("waiting", &locked(&self.backlog).waiting.len()).finish()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
