//! Transports and listeners: sockets, and the user's own.
//!
//! A worker thread has a [`Reactor`], which runs its tasks and makes a [`Socket`] of each stream. On Linux that is an epoll of
//! the thread's own, in which a socket is registered once for its whole life; elsewhere it is smol's reactor, which all
//! threads share and which is told of every single wait. The interface is the same, so the choice is made here and nowhere
//! else. `--cfg unstick_portable` chooses smol's on Linux, too, to test it.

mod halves;
mod listener;
mod stream;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

#[cfg(all(target_os = "linux", not(unstick_portable)))]
mod epoll;
#[cfg(all(target_os = "linux", not(unstick_portable)))]
pub(super) use epoll::{Reactor, Socket};

#[cfg(any(not(target_os = "linux"), unstick_portable))]
mod portable;
#[cfg(any(not(target_os = "linux"), unstick_portable))]
pub(super) use portable::{Reactor, Socket};

pub use self::halves::Halves;
pub use self::listener::Listener;
pub(super) use self::listener::{Accepted, Listening};
pub(super) use self::stream::Stream;

/// The bytes of a connection in both directions: a socket, a TLS session, a pipe.
///
/// One task owns it, and polls it for reading and for writing with the same waker. A transport wakes that task when
/// either can continue; so reading may wait for a write, and writing for a read, as TLS needs.
///
/// [`poll_close`](AsyncWrite::poll_close) ends our stream and leaves reading open, as a FIN does. For a reader and a
/// writer that are two values there is [`Halves`].
///
/// ```
/// use std::io;
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use futures_lite::io::{AsyncRead, AsyncWrite};
/// use unstick::Transport;
///
/// /// A peer that sends these bytes, and reads whatever comes.
/// struct Canned(&'static [u8]);
///
/// impl AsyncRead for Canned {
///     fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
///         Pin::new(&mut self.0).poll_read(cx, buf)
///     }
/// }
///
/// impl AsyncWrite for Canned {
///     fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
///         Poll::Ready(Ok(buf.len()))
///     }
///     fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> { Poll::Ready(Ok(())) }
///     fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> { Poll::Ready(Ok(())) }
/// }
///
/// impl Transport for Canned {}
/// ```
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Ready with the error if the peer broke the connection off, for example by a RST; not if it only ended its
    /// stream. It is polled while a handler waits and nothing is read. By default it is always `Pending`, and the next
    /// read or write fails instead.
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let _ = cx;
        Poll::Pending
    }

    /// Called before the transport is dropped without having been closed: it should discard what the peer has not read,
    /// and reset the connection if it can. Does nothing by default.
    fn break_off(&mut self) {}
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        (**self).poll_broken(cx)
    }

    fn break_off(&mut self) {
        (**self).break_off();
    }
}

/// The socket's own calls, the same over both reactors.
impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Socket::read(&self, cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(cx, buf.len(), |stream| stream.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.write_with(cx, len, |stream| stream.write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream().end())
    }
}

impl Transport for Socket {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        Socket::broken(self, cx)
    }

    fn break_off(&mut self) {
        self.stream().break_off();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(self.stream()).finish()
    }
}
