//! A TLS session over a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::Error;

use super::scratch::{self, For};
use super::session::{Session, Side};
use crate::handshake::HandshakeError;

/// The most bytes of one read from the stream, and of plaintext encrypted at once. With 10 × 4 frames of 64 KiB, each
/// of the two takes 8 % less CPU than with 64 KiB: fewer records are left unfinished and moved twice. 256 KiB is no
/// better.
pub(crate) const READ_LEN: usize = 128 * 1024;
pub(crate) const WRITE_LEN: usize = 128 * 1024;

/// The most bytes of one read that discards them.
const DISCARDED_LEN: usize = 64 * 1024;

/// Memory for records, in bytes: enough for most writes.
const SEALED_LEN: usize = 132 * 1024;

/// A TLS session and the stream below it.
///
/// A read may have to write, and a write to read: if a task does each, both must be woken.
pub(crate) struct Channel<S, C> {
    stream: S,
    session: Session<C>,
    /// The stream below has ended.
    has_ended: bool,
    /// Our `close_notify` was queued.
    is_closing: bool,
    /// A writer waits for the stream. When the stream wakes it, it sends the rest.
    writer_waits: bool,
}

/// The result of a read.
pub(crate) enum Received {
    /// The number of bytes of plaintext; 0 if the peer ended its stream.
    Plaintext(usize),
    /// Bytes were read, but gave no plaintext yet.
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

    /// Does one step of the handshake, and reads at most `room` bytes. Returns whether the handshake is complete.
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

    /// Moves buffered plaintext to `buf`. If there is none, reads once, at most `room` bytes.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::UnexpectedEof`] if it ended without `close_notify`;
    /// [`io::ErrorKind::InvalidData`], which holds rustls's error.
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
            return self.poll_discard(cx);
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

    /// Sends records that the session made by itself, such as an alert. If that fails, the next read returns the error.
    /// A writer that waits for the stream sends them instead: if they were sent here, nothing would wake it.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if !self.writer_waits {
            _ = self.send_more(cx);
        }
    }

    /// After an error, once our stream has ended, reads and discards what the peer sends. Closing a socket with unread
    /// bytes resets the connection, and the alert that names the error could be lost.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        let stream = Pin::new(&mut self.stream);
        scratch::with(For::Received, DISCARDED_LEN, |memory| {
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

    /// Reads once, and processes the bytes. Returns how many bytes of plaintext went to `buf`, and how many were read.
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

    /// Encrypts at most `most` bytes of these slices, once all earlier records are sent. Records that the stream does
    /// not take at once are sent by the next write or flush.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::InvalidData`], which holds rustls's error.
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

    /// Sends all records.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Sends all records and a `close_notify`, and ends our stream.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if !std::mem::replace(&mut self.is_closing, true) {
            self.session.close();
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_close(cx)
    }

    /// Sends all records for a writer, which is woken if the stream takes only some of them.
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

/// Writes as many of these bytes as the stream takes, and returns how many. If some are left, the task is woken once it
/// takes more.
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
