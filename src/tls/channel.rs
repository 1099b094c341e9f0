//! A TLS session over a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::Error;

use super::scratch::{self, For};
use super::session::{Session, Side};
use crate::handshake::HandshakeError;

/// Bytes of one read from the stream below, and of content that is encrypted at once, at most. Of 10 × 4 frames of 64 KiB each took
/// 8 % less of a core so than with 64 KiB: fewer records are left unfinished, which are moved twice. 256 KiB gained nothing more.
pub(crate) const READ_LEN: usize = 128 * 1024;
pub(crate) const WRITE_LEN: usize = 128 * 1024;

/// Bytes of one read of what is forgotten.
const FORGOTTEN_LEN: usize = 64 * 1024;

/// Memory that most writes need for their records.
const SEALED_LEN: usize = 132 * 1024;

/// A TLS session, and the stream that it is over.
///
/// Reading may write, and writing read: both are woken by either.
pub(crate) struct Channel<S, C> {
    stream: S,
    session: Session<C>,
    /// The stream below has ended.
    has_ended: bool,
    /// Our `close_notify` was queued.
    is_closing: bool,
    /// Who writes waits for the stream, and goes on sending when that wakes it.
    writer_waits: bool,
}

/// What a read came to.
pub(crate) enum Received {
    /// So many bytes of plaintext; 0 at the peer's end.
    Plaintext(usize),
    /// Something, but no plaintext.
    Other,
}

impl Received {
    /// Bytes of plaintext.
    pub(crate) fn len(&self) -> usize {
        match self {
            Received::Plaintext(n) => *n,
            Received::Other => 0,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, C: Side> Channel<S, C> {
    pub(crate) fn new(stream: S, session: Session<C>) -> Channel<S, C> {
        Channel { stream, session, has_ended: false, is_closing: false, writer_waits: false }
    }

    pub(crate) fn session(&mut self) -> &mut Session<C> {
        &mut self.session
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// One step of the handshake, which reads at most `room` bytes: whether that is done.
    pub(crate) fn poll_handshake(&mut self, room: usize, cx: &mut Context<'_>) -> Poll<Result<bool, HandshakeError>> {
        self.session.advance();
        let sent = self.poll_send(cx).map_err(HandshakeError::Io)?;
        if let Some(first) = self.session.not_tls() {
            let error = HandshakeError::NotTls { first: first.to_vec(), diagnosis: None, is_frame: false };
            return Poll::Ready(Err(error));
        }
        if let Some(error) = self.session.error() {
            return Poll::Ready(Err(HandshakeError::Tls(Box::new(error.clone()))));
        }
        if !self.session.is_handshaking() && sent.is_ready() {
            return Poll::Ready(Ok(true));
        }
        let (_, received) = ready!(self.poll_fill(room, &mut [], cx)).map_err(HandshakeError::Io)?;
        if received == 0 {
            return Poll::Ready(Err(HandshakeError::Ended));
        }
        Poll::Ready(Ok(false))
    }

    /// Plaintext that waits, or what one read of `room` bytes brings.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::UnexpectedEof`] at its end, where no `close_notify` came; [`io::ErrorKind::InvalidData`] with
    /// rustls's error in it.
    pub(crate) fn poll_receive(
        &mut self,
        room: usize,
        buf: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Received>> {
        let taken = self.session.take(buf);
        if taken > 0 || buf.is_empty() {
            return Poll::Ready(Ok(Received::Plaintext(taken)));
        }
        if self.is_closing && self.session.error().is_some() {
            return self.poll_forget(cx);
        }
        if let Some(end) = self.end() {
            return Poll::Ready(end);
        }
        self.answer(cx);
        let (filled, _) = ready!(self.poll_fill(room, buf, cx))?;
        self.answer(cx);
        if filled > 0 {
            return Poll::Ready(Ok(Received::Plaintext(filled)));
        }
        Poll::Ready(self.end().unwrap_or(Ok(Received::Other)))
    }

    /// Sends what the session answered by itself. If that cannot be sent, the read says why. Whoever waits to write does it: were it
    /// done for him here, nothing would wake him.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if !self.writer_waits {
            _ = self.send_more(cx);
        }
    }

    /// Reads what a peer sends after an error, once we have closed: to close with bytes of it unread would reset the connection, and
    /// the alert that names the error could be lost.
    fn poll_forget(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        let stream = Pin::new(&mut self.stream);
        scratch::with(For::Received, FORGOTTEN_LEN, |memory| {
            stream.poll_read(cx, memory).map_ok(|n| Received::Plaintext(n.min(1)))
        })
    }

    /// How the session ended, if it did.
    fn end(&self) -> Option<io::Result<Received>> {
        if let Some(error) = self.session.error() {
            return Some(Err(invalid(error.clone())));
        }
        if self.session.is_ended() {
            return Some(Ok(Received::Plaintext(0)));
        }
        self.has_ended.then(|| {
            let text = "the stream ended without TLS's close_notify";
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
        })
    }

    /// Reads once, and processes what came: how much plaintext went to `buf`, and how much was read.
    fn poll_fill(&mut self, room: usize, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<(usize, usize)>> {
        let Channel { stream, session, has_ended, .. } = self;
        let before = session.unfinished().len();
        scratch::with(For::Received, before + room, |memory| {
            let received = loop {
                match ready!(Pin::new(&mut *stream).poll_read(cx, &mut memory[before..before + room])) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    received => break received?,
                }
            };
            *has_ended = received == 0;
            if *has_ended {
                return Poll::Ready(Ok((0, 0)));
            }
            memory[..before].copy_from_slice(session.unfinished());
            Poll::Ready(Ok((session.receive(&mut memory[..before + received], buf), received)))
        })
    }

    /// Takes `most` bytes or fewer of these pieces, once what was taken before is sent. What the stream does not take at once waits,
    /// and goes with the next write or flush.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::InvalidData`] with rustls's error in it.
    pub(crate) fn poll_write(
        &mut self,
        pieces: &[IoSlice<'_>],
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.poll_send(cx))?;
            let Channel { stream, session, .. } = self;
            let written = scratch::with(For::Sealed, SEALED_LEN, |sealed| {
                let Some((put, len)) = session.seal(pieces, most, sealed).map_err(invalid)? else { return Ok(None) };
                let sent = send(stream, &sealed[..len], cx)?;
                session.send_later(&sealed[sent..len]);
                Ok::<_, io::Error>(Some(put))
            })?;
            if let Some(put) = written {
                return Poll::Ready(Ok(put));
            }
        }
    }

    /// Sends what was taken.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Sends what was taken and a `close_notify`, and ends our stream.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !std::mem::replace(&mut self.is_closing, true) {
            self.session.close();
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_close(cx)
    }

    /// Sends what is to be sent, for who writes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.send_more(cx);
        self.writer_waits = sent.is_pending();
        sent
    }

    fn send_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Channel { stream, session, .. } = self;
        if session.outgoing().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let sent = send(stream, session.outgoing(), cx)?;
        session.sent(sent);
        if session.outgoing().is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Writes these bytes as far as the stream takes them; how many. Where that is not all, the task is woken once it takes more.
fn send(stream: &mut (impl AsyncWrite + Unpin), records: &[u8], cx: &mut Context<'_>) -> io::Result<usize> {
    let mut sent = 0;
    while sent < records.len() {
        match Pin::new(&mut *stream).poll_write(cx, &records[sent..]) {
            Poll::Pending => break,
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => sent += n,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => return Err(error),
        }
    }
    Ok(sent)
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
