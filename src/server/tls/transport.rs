//! A transport over TLS. Its memory is leased from the budget.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use super::below::Below;
use super::lease::{Reading, Writing};
use crate::server::link::{Kept, Link};
use crate::server::transport::Transport;
use crate::tls::{Channel, MAX_RECORD_LEN, Received, ServerSide};

/// A transport over TLS, after the handshake.
pub(in crate::server) struct Tls {
    channel: Channel<Below, ServerSide>,
    reading: Reading,
    writing: Writing,
    link: Rc<Link>,
}

impl Tls {
    pub(super) fn new(channel: Channel<Below, ServerSide>, reading: Reading, link: Rc<Link>) -> Tls {
        let writing = Writing::new(&link.thread.shared.budget);
        Tls { channel, reading, writing, link }
    }

    /// Tells the connection what this transport keeps, and how many bytes of memory it waits for.
    fn keep(&mut self, wants: usize) {
        let session = self.channel.session();
        let (unfinished, unsent) = (session.unfinished().len(), session.outgoing().len());
        let held = self.reading.held() + self.writing.held();
        self.link.kept.set(Kept { unfinished, unsent, held, wants });
    }
}

impl AsyncRead for Tls {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let tls = &mut *self;
        loop {
            let unfinished = tls.channel.session().unfinished().len();
            if unfinished > MAX_RECORD_LEN {
                let text = "after the handshake, the peer sent a handshake message longer than a record";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
            }
            // Decrypted bytes need no more memory.
            let room = match tls.channel.session().has_plaintext() {
                true => Ok(0),
                false => tls.reading.room(unfinished, buf.len()),
            };
            let (received, wants) = match room {
                Ok(room) => (tls.channel.poll_receive(room, buf, cx), 0),
                Err(wants) => (Poll::Pending, wants),
            };
            match received {
                Poll::Ready(Ok(Received::Other)) => continue,
                Poll::Ready(_) => {}
                Poll::Pending => {
                    tls.channel.session().park();
                    tls.reading.keeps(tls.channel.session().held());
                }
            }
            tls.keep(wants);
            return received.map_ok(|received| received.len());
        }
    }
}

impl AsyncWrite for Tls {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tls = &mut *self;
        let written = tls.channel.poll_write(bufs, tls.writing.room(), cx);
        tls.writing.keeps(tls.channel.session().sending());
        tls.keep(0);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tls = &mut *self;
        let flushed = tls.channel.poll_flush(cx);
        tls.writing.keeps(tls.channel.session().sending());
        tls.keep(0);
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.poll_close(cx)
    }
}

impl Transport for Tls {
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.channel.stream().poll_broken(cx)
    }

    fn break_off(&mut self) {
        self.channel.stream().break_off();
    }
}
