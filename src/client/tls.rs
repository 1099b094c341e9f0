//! A client over TLS.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_net::AsyncToSocketAddrs;
use futures_lite::io::{AsyncRead, AsyncWrite};
use rustls::pki_types::ServerName;

use super::{Client, ClientConfig, ClientStream, ConnectError, tcp, unix};
use crate::framing::Header;
use crate::handshake::HandshakeError;
use crate::peer::PeerName;
use crate::tls::{Channel, ClientSide, READ_LEN, Received, Session, WRITE_LEN};

/// The least that a read asks of the socket, in bytes.
const ROOM_LEN: usize = 16 * 1024;

impl<H: Header + Clone> Client<H> {
    /// [`connect`](Client::connect) over TLS. Needs feature `tls`. `Server::tls` has an example, and the lines for
    /// `Cargo.toml`.
    ///
    /// `name` is a [`ServerName`]: the server's certificate must be valid for it. `tls` is a
    /// [`rustls::ClientConfig`]: crypto provider, roots, versions, ALPN, and the client's own certificate. [`peer`](Client::peer)
    /// returns the server's certificates and the protocol, in a [`PeerName::Tls`](crate::PeerName::Tls). The handshake
    /// counts towards [`connect_timeout`](ClientConfig::connect_timeout).
    ///
    /// In TLS 1.3, `connect_tls` succeeds before the server has checked the client's certificate. If the server rejects
    /// it, the first [`recv`](Client::recv) fails, with the server's alert.
    ///
    /// # Errors
    /// As [`connect`](Client::connect), or [`ConnectError::Handshake`].
    ///
    /// # Cancel-safety
    /// As [`connect`](Client::connect).
    pub async fn connect_tls(
        addr: impl AsyncToSocketAddrs,
        name: ServerName<'static>,
        tls: Arc<rustls::ClientConfig>,
        config: ClientConfig<H>,
    ) -> Result<Client<H>, ConnectError> {
        let secured = secure(tcp(addr), name, tls, config.format.clone());
        Client::open(secured, config).await
    }

    /// [`connect_tls`](Client::connect_tls) to a Unix socket. On Unix only; needs feature `tls`.
    ///
    /// # Errors
    /// As [`connect_tls`](Client::connect_tls).
    ///
    /// # Cancel-safety
    /// As [`connect`](Client::connect).
    #[cfg(unix)]
    pub async fn connect_unix_tls(
        path: impl AsRef<Path>,
        name: ServerName<'static>,
        tls: Arc<rustls::ClientConfig>,
        config: ClientConfig<H>,
    ) -> Result<Client<H>, ConnectError> {
        let secured = secure(unix(path.as_ref()), name, tls, config.format.clone());
        Client::open(secured, config).await
    }
}

/// Connects, and shakes hands.
async fn secure(
    socket: impl Future<Output = Result<(ClientStream, PeerName), ConnectError>>,
    name: ServerName<'static>,
    tls: Arc<rustls::ClientConfig>,
    header: impl Header,
) -> Result<(ClientStream, PeerName), ConnectError> {
    let session = Session::client(tls, name).map_err(|error| HandshakeError::Tls(Box::new(error)));
    let session = session.map_err(ConnectError::Handshake)?;
    let (stream, peer) = socket.await?;
    let mut channel = Channel::new(stream, session);
    loop {
        match poll_fn(|cx| channel.poll_handshake(ROOM_LEN, cx)).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                // The alert is sent already, if that was possible.
                _ = poll_fn(|cx| channel.poll_close(cx)).await;
                return Err(ConnectError::Handshake(error.diagnosed(header)));
            }
        }
    }
    let peer = channel.session().peer(peer);
    let stream = TlsStream { shared: Arc::new(Shared { channel: Mutex::new(channel), wakers: Arc::default() }) };
    Ok((ClientStream::Tls(stream), peer))
}

/// A client's stream over TLS. Clones are the same stream.
#[derive(Clone)]
pub struct TlsStream {
    shared: Arc<Shared>,
}

struct Shared {
    channel: Mutex<Channel<ClientStream, ClientSide>>,
    wakers: Arc<Wakers>,
}

/// The tasks that read and write: one or two. The socket wakes both, as a read may have to write, and a write to read.
#[derive(Default)]
struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        for waker in [&self.reader, &self.writer] {
            locked(waker).take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Nothing panics while it holds a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TlsStream {
    /// Polls the session for a task that reads or writes.
    fn poll<T>(
        &self,
        waker: &Mutex<Option<Waker>>,
        cx: &Context<'_>,
        work: impl FnOnce(&mut Channel<ClientStream, ClientSide>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut channel = locked(&self.shared.channel);
        *locked(waker) = Some(cx.waker().clone());
        let both = Waker::from(Arc::clone(&self.shared.wakers));
        work(&mut channel, &mut Context::from_waker(&both))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll(&self.shared.wakers.reader, cx, |channel, cx| {
            loop {
                match channel.poll_receive(buf.len().clamp(ROOM_LEN, READ_LEN), buf, cx) {
                    Poll::Ready(Ok(Received::Other)) => {}
                    received => return received.map_ok(|received| received.len()),
                }
            }
        })
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(&self.shared.wakers.writer, cx, |channel, cx| channel.poll_write(bufs, WRITE_LEN, cx))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(&self.shared.wakers.writer, cx, Channel::poll_flush)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(&self.shared.wakers.writer, cx, Channel::poll_close)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(locked(&self.shared.channel).stream()).finish()
    }
}
