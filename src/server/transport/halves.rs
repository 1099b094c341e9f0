//! A transport of a reader and a writer.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use super::Transport;

/// A [`Transport`] of a reader and a writer: two pipes, standard input and output, bytes in memory.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Halves, PeerName, Responder, ServerConfig, serve_connection};
/// # futures_lite::future::block_on(async {
/// let requests: &[u8] = b"\x02\0\0\0hi\x05\0\0\0he"; // ends inside the second frame
/// let memory = Halves { reader: requests, writer: futures_lite::io::sink() };
/// let echo = |_peer| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
/// let closed = serve_connection(PeerName::Other("memory".into()), memory, ServerConfig::default(), echo).await?;
/// assert_eq!(closed.reason.name(), "truncated");
/// assert_eq!(closed.traffic.frames_out, 1);
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub struct Halves<R, W> {
    /// Reads what the peer sends.
    pub reader: R,
    /// Writes what is sent to the peer.
    pub writer: W,
}

/// Leaves out the two halves, which may not be `Debug`.
impl<R, W> fmt::Debug for Halves<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Halves")
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Halves<R, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Halves<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_close(cx)
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Transport for Halves<R, W> {}
