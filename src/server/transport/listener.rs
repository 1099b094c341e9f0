//! Listeners, which accept connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use smol::Async;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Stream, Transport};
use crate::peer::PeerName;

/// Your own source of connections for [`Server::with_listener`](crate::Server::with_listener), such as pipes or
/// connections in memory.
///
/// ```
/// use std::io;
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use futures_lite::StreamExt;
/// use smol::channel::{self, Receiver};
/// use unstick::framing::{Format, Frame};
/// use unstick::{FramedRead, FramedWrite, Halves, Listener, PeerName, Responder, Server, ServerConfig, Transport};
///
/// /// Connections that come by a channel, from anywhere in the process.
/// struct FromChannel<T>(Pin<Box<Receiver<(T, String)>>>);
///
/// impl<T: Transport + Send + 'static> Listener for FromChannel<T> {
///     fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Transport + Send>, PeerName)>> {
///         match self.0.poll_next(cx) {
///             Poll::Ready(Some((transport, name))) => Poll::Ready(Ok((Box::new(transport), PeerName::Other(name.into())))),
///             // The channel is closed, so there will be none: the server goes on until it is stopped.
///             Poll::Ready(None) | Poll::Pending => Poll::Pending,
///         }
///     }
/// }
///
/// # smol::block_on(async {
/// let (sender, connections) = channel::unbounded();
/// let server = Server::with_listener(FromChannel(Box::pin(connections)), ServerConfig::default())?;
/// let (stop, stopped) = channel::bounded::<()>(1);
/// let serving = smol::spawn(server.serve(
///     |_peer| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await,
///     async move { _ = stopped.recv().await },
/// ));
///
/// // A connection of two pipes.
/// let ((requests, to_server), (replies, to_client)) = (piper::pipe(1024), piper::pipe(1024));
/// sender.send((Halves { reader: requests, writer: to_client }, "a pipe".to_owned())).await?;
/// FramedWrite::new(to_server, Format::U32_LE).send(b"hello").await?;
/// assert_eq!(FramedRead::new(replies, Format::U32_LE).next_frame().await?.unwrap().payload(), b"hello");
///
/// drop(stop);
/// assert_eq!(serving.await?.accepted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Listener: Send {
    /// The next connection, with its peer's name; `Pending` if there is none now, and the task is woken once there is
    /// one.
    ///
    /// # Errors
    /// If accepting failed. The server counts the failure and tries again after 10 ms, doubled each time up to 1 s; at
    /// once if a peer can cause the error, as for [`io::ErrorKind::ConnectionAborted`].
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Transport + Send>, PeerName)>>;
}

/// What a server listens on.
pub(in crate::server) enum Listening {
    Tcp(Async<TcpListener>),
    #[cfg(unix)]
    Unix(Async<UnixListener>, Option<Bound>),
    Other(Box<dyn Listener>),
}

/// A connection that was accepted, on its way to a thread.
pub(in crate::server) enum Accepted {
    Stream(Stream),
    Other(Box<dyn Transport + Send>),
}

impl Listening {
    /// Listens at this address.
    pub(in crate::server) fn tcp(addr: SocketAddr, backlog: usize) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the old connections' TIME_WAIT. (On Windows the option means something else.)
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        listen(&socket, backlog)?;
        Ok(socket.into())
    }

    /// Listens at this path. An existing socket on which no process listens is replaced.
    #[cfg(unix)]
    pub(in crate::server) fn unix(path: &Path, backlog: usize) -> io::Result<Listening> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let addr = socket2::SockAddr::unix(path)?;
        if let Err(error) = socket.bind(&addr) {
            // The system also refuses to connect to a file that is not a socket: such a file must not be removed.
            let is_other = |file: std::fs::Metadata| !file.file_type().is_socket();
            if std::fs::symlink_metadata(path).is_ok_and(is_other) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket"));
            }
            let is_left = error.kind() == io::ErrorKind::AddrInUse
                && Socket::new(Domain::UNIX, Type::STREAM, None)?
                    .connect(&addr)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !is_left {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&addr)?;
        }
        let bound = Bound(path.to_owned());
        listen(&socket, backlog)?;
        Ok(Listening::Unix(Async::new(socket.into())?, Some(bound)))
    }

    pub(in crate::server) async fn accept(&mut self) -> io::Result<(Accepted, PeerName)> {
        match self {
            Listening::Tcp(listener) => {
                let (stream, peer) = listener.read_with(TcpListener::accept).await?;
                Ok((Accepted::Stream(Stream::Tcp(stream)), peer.into()))
            }
            #[cfg(unix)]
            Listening::Unix(listener, _) => {
                let (stream, addr) = listener.read_with(UnixListener::accept).await?;
                let path = addr.as_pathname().map(Path::to_owned);
                let credentials = credentials(&stream);
                Ok((Accepted::Stream(Stream::Unix(stream)), PeerName::Unix { path, credentials }))
            }
            Listening::Other(listener) => {
                let (transport, peer) = poll_fn(|cx| listener.poll_accept(cx)).await?;
                Ok((Accepted::Other(transport), peer))
            }
        }
    }

    /// Its name in reports.
    pub(in crate::server) fn name(&self) -> String {
        match self {
            Listening::Tcp(listener) => {
                listener.get_ref().local_addr().map_or_else(|_| "tcp".into(), |addr| addr.to_string())
            }
            #[cfg(unix)]
            Listening::Unix(listener, _) => {
                let path = listener.get_ref().local_addr().ok().and_then(|addr| addr.as_pathname().map(Path::to_owned));
                PeerName::Unix { path, credentials: None }.to_string()
            }
            Listening::Other(_) => "a listener".into(),
        }
    }

    /// The address of a TCP socket.
    pub(in crate::server) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Listening::Tcp(listener) => listener.get_ref().local_addr(),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "not a TCP socket, which alone has such an address")),
        }
    }
}

/// A user's listener need not implement `Debug`.
impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listening::Tcp(listener) => listener.get_ref().fmt(f),
            #[cfg(unix)]
            Listening::Unix(listener, bound) => f.debug_tuple("Unix").field(listener.get_ref()).field(bound).finish(),
            Listening::Other(_) => f.write_str("Listener"),
        }
    }
}

/// The system's own limit on completed connections applies, too.
fn listen(socket: &Socket, backlog: usize) -> io::Result<()> {
    SockRef::from(socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// The file of a socket that we made, removed with the listener.
#[cfg(unix)]
#[derive(Debug)]
pub(in crate::server) struct Bound(PathBuf);

#[cfg(unix)]
impl Drop for Bound {
    fn drop(&mut self) {
        // If it is already removed, there is nothing to do.
        _ = std::fs::remove_file(&self.0);
    }
}

/// The peer's process at the time when it connected.
#[cfg(target_os = "linux")]
fn credentials(stream: &std::os::unix::net::UnixStream) -> Option<crate::peer::Credentials> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    let (pid, uid, gid) = (peer.pid.as_raw_nonzero().get(), peer.uid.as_raw(), peer.gid.as_raw());
    Some(crate::peer::Credentials { pid: Some(pid), uid, gid })
}

/// Other systems have no common way to ask.
#[cfg(all(unix, not(target_os = "linux")))]
fn credentials(_: &std::os::unix::net::UnixStream) -> Option<crate::peer::Credentials> {
    None
}
