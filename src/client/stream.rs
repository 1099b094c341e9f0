//! The stream of a client: a socket, TCP or Unix, or TLS over one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_net::TcpStream;
#[cfg(unix)]
use async_net::unix::UnixStream;
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::TlsStream;

/// The stream of a [`Client`](crate::Client): a socket, TCP or Unix, or TLS over one. The halves of
/// [`split`](crate::Client::split) read and write it.
///
/// Closing it ends our stream (FIN); reading stays open. Clones are the same stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientStream {
    /// From [`Client::connect`](crate::Client::connect).
    Tcp(TcpStream),
    /// From `Client::connect_unix`.
    #[cfg(unix)]
    Unix(UnixStream),
    /// From `Client::connect_tls` or `Client::connect_unix_tls`. Closing it sends TLS's `close_notify` first.
    Tls(TlsStream),
}

trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadWrite for S {}

impl ClientStream {
    fn socket(self: Pin<&mut Self>) -> Pin<&mut dyn ReadWrite> {
        match self.get_mut() {
            ClientStream::Tcp(stream) => Pin::new(stream),
            #[cfg(unix)]
            ClientStream::Unix(stream) => Pin::new(stream),
            ClientStream::Tls(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket().poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_close(cx)
    }
}
