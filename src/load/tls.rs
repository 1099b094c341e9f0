//! TLS over a socket of the load.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::socket::{Received, Stream};
use crate::tls::{self, Channel, ClientSide, READ_LEN, Session, WRITE_LEN};

/// Bytes of one read from the socket at least.
const ROOM_LEN: usize = 16 * 1024;

/// TLS for the connections of a load, in [`Plan::tls`](super::Plan::tls). With feature `tls`.
///
/// The rustls configuration is yours: crypto provider, roots, versions, and the client's own certificate.
///
/// ```
/// use std::sync::Arc;
/// use unstick::load::{Plan, Target, Tls};
///
/// # let provider = Arc::new(rustls::crypto::ring::default_provider());
/// # let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
/// # let config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
/// let mut plan = Plan::new(Target::Tcp(vec!["127.0.0.1:4747".parse()?]));
/// plan.tls = Some(Tls::new(Arc::new(config), "localhost".try_into()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS to a server whose certificate is for this name.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Tls {
        Tls { config, name }
    }
}

/// A TLS session over a socket. Nothing is to be woken: the shard's poller tells whenever the socket is ready.
pub(super) struct Secured {
    channel: Channel<Stream, ClientSide>,
    /// Our stream is to end, and its end is not sent yet.
    is_ending: bool,
}

impl Secured {
    /// # Errors
    /// rustls's, of the configuration.
    pub(super) fn new(stream: Stream, tls: &Tls) -> io::Result<Secured> {
        let session = Session::client(Arc::clone(&tls.config), tls.name.clone());
        let session = session.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Secured { channel: Channel::new(stream, session), is_ending: false })
    }

    /// Goes on with connecting and the handshake; whether they are done.
    pub(super) fn establish(&mut self) -> io::Result<bool> {
        if !self.channel.stream().establish()? {
            return Ok(false);
        }
        let cx = &mut Context::from_waker(Waker::noop());
        loop {
            match self.channel.poll_handshake(ROOM_LEN, cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(true)) => return Ok(true),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => {
                    // The alert that says why is sent already, as far as it can be.
                    _ = self.channel.poll_close(cx);
                    return Err(error.into());
                }
            }
        }
    }

    /// Takes plaintext that waits, or reads from the socket until there is some. Before, what waits to be sent is.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<Received> {
        // Where that fails, the read says why.
        _ = self.go_on_sending();
        // Behind our end a session that failed would read on, and forget what it reads.
        if let Some(error) = self.channel.session().error() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()));
        }
        let cx = &mut Context::from_waker(Waker::noop());
        loop {
            match self.channel.poll_receive(space.len().clamp(ROOM_LEN, READ_LEN), space, cx) {
                Poll::Pending => return Ok(Received::Nothing),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(tls::Received::Other)) => {}
                Poll::Ready(Ok(received)) if received.len() == 0 => return Ok(Received::End),
                // More plaintext may wait, or the end of TLS's stream, of which the socket does not tell.
                Poll::Ready(Ok(received)) => return Ok(Received::Bytes { len: received.len(), more: true }),
            }
        }
    }

    /// Writes; how much was taken, which may wait in part. What is less than all says that there is no room.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut taken = 0;
        while taken < bytes.len() {
            match self.channel.poll_write(&[IoSlice::new(&bytes[taken..])], WRITE_LEN, cx)? {
                Poll::Pending => break,
                Poll::Ready(n) => taken += n,
            }
        }
        Ok(taken)
    }

    /// Ends our stream: a `close_notify`, and behind it the socket's end.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.is_ending = true;
        self.go_on_sending()
    }

    /// Breaks the connection off.
    pub(super) fn break_off(mut self) {
        self.channel.stream().break_off();
    }

    fn go_on_sending(&mut self) -> io::Result<()> {
        let cx = &mut Context::from_waker(Waker::noop());
        let sent = if self.is_ending { self.channel.poll_close(cx) } else { self.channel.poll_flush(cx) };
        match sent {
            Poll::Pending => Ok(()),
            Poll::Ready(sent) => {
                self.is_ending = false;
                sent
            }
        }
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

/// What is not ready is pending; the task that polls is not woken.
impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut().read(buf) {
            Ok(Received::Nothing) => Poll::Pending,
            Ok(Received::End) => Poll::Ready(Ok(0)),
            Ok(Received::Bytes { len, .. }) => Poll::Ready(Ok(len)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut().write(buf) {
            Ok(0) if !buf.is_empty() => Poll::Pending,
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end())
    }
}
