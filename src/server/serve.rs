//! A server, from `bind` to the end of its drain.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Async;
use smol::channel::{self, Sender};
use socket2::SockRef;

use super::accept;
use super::account::{Account, Stats};
use super::budget::Budget;
use super::clock::Clock;
use super::config::ServerConfig;
use super::encode::Encoding;
use super::events;
use super::link::Entry;
use super::peer::Peer;
use super::responder::Responder;
use super::shared::{OnClose, OnOpen, Shared};
use super::system;
use super::task;
use super::thread::Thread;
use super::transport::{Listener, Listening, Reactor, Transport};
use super::worker::{self, Arrival, Service};
use crate::close::Closed;
use crate::framing::{Format, Frame, Header};
use crate::peer::PeerName;

/// How long a stop waits, after the drain timeout, for a thread that a handler blocks.
const GRACE: Duration = Duration::from_secs(1);

/// A server for length-prefixed frames, over TCP, Unix sockets or any [`Transport`].
///
/// [`bind`](Server::bind) starts listening; [`serve`](Server::serve) accepts connections and calls a handler with each
/// frame. [`ServerConfig`] has the limits.
///
/// The server brings its own threads with their own reactor, so `serve` can be awaited on any executor: under smol, as
/// here, or under tokio.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Client, ClientConfig, CloseKind, Responder, Server, ServerConfig};
/// # smol::block_on(async {
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?;
/// let addr = server.local_addr()?;
/// let (stop, stopped) = smol::channel::bounded::<()>(1);
///
/// let serving = smol::spawn(server.serve(
///     |_peer| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await,
///     async move { _ = stopped.recv().await },
/// ));
///
/// let mut client = Client::connect(addr, ClientConfig::default()).await?;
/// assert_eq!(client.call(b"hello").await?.payload(), b"hello");
/// client.finish().await;
///
/// drop(stop);
/// let stats = serving.await?;
/// assert_eq!((stats.accepted, stats.closes(CloseKind::Clean)), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Server<H = Format> {
    pub(super) listening: Listening,
    pub(super) header: Arc<H>,
    pub(super) shared: Shared,
}

impl<H: Header + Send + Sync + 'static> Server<H> {
    /// Listens on TCP, at the first address that can be bound.
    ///
    /// # Errors
    /// The system's: the address is in use, not local, or not allowed. [`io::ErrorKind::InvalidInput`] if a limit is 0,
    /// or if the format cannot encode the greeting or the refusal.
    pub fn bind(addr: impl ToSocketAddrs, config: ServerConfig<H>) -> io::Result<Server<H>> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for addr in addr.to_socket_addrs()? {
            match Listening::tcp(addr, config.backlog) {
                Ok(listener) => return Server::with_tcp(listener, config),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Listens on a Unix socket. On Unix only.
    ///
    /// A socket file at this path on which no process listens any more is replaced. The server removes its own file
    /// when it ends.
    ///
    /// ```
    /// use unstick::framing::Frame;
    /// use unstick::{Client, ClientConfig, Peer, PeerName, Responder, Server, ServerConfig};
    /// # smol::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("unstick-doc-{}.sock", std::process::id()));
    /// let server = Server::bind_unix(&path, ServerConfig::default())?;
    /// let serving = smol::spawn(server.serve(
    ///     |peer: Peer| {
    ///         // On Linux also the process and the user of the client.
    ///         assert!(matches!(peer.name(), PeerName::Unix { .. }));
    ///         async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await
    ///     },
    ///     std::future::pending(),
    /// ));
    ///
    /// let mut client = Client::connect_unix(&path, ClientConfig::default()).await?;
    /// assert_eq!(client.call(b"hello").await?.payload(), b"hello");
    ///
    /// serving.cancel().await; // stops the server
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`bind`](Server::bind); and [`io::ErrorKind::AlreadyExists`] if the path is a file that is not a socket.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>, config: ServerConfig<H>) -> io::Result<Server<H>> {
        let listening = Listening::unix(path.as_ref(), config.backlog)?;
        Server::new(listening, config)
    }

    /// Serves a TCP socket that is already listening, for example one inherited from a supervisor. Its backlog is not
    /// changed.
    ///
    /// # Errors
    /// As [`bind`](Server::bind).
    pub fn with_tcp(listener: TcpListener, config: ServerConfig<H>) -> io::Result<Server<H>> {
        #[cfg(target_os = "linux")]
        accept::tune(&SockRef::from(&listener), &config)?;
        Server::new(Listening::Tcp(Async::new(listener)?), config)
    }

    /// Serves a Unix socket that is already listening, for example one inherited from a supervisor. Its file is not
    /// removed. On Unix only.
    ///
    /// # Errors
    /// As [`bind`](Server::bind).
    #[cfg(unix)]
    pub fn with_unix(listener: std::os::unix::net::UnixListener, config: ServerConfig<H>) -> io::Result<Server<H>> {
        Server::new(Listening::Unix(Async::new(listener)?, None), config)
    }

    /// Serves the connections of your own [`Listener`], such as pipes or connections in memory. The trait has an
    /// example.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`], as [`bind`](Server::bind).
    pub fn with_listener(listener: impl Listener + 'static, config: ServerConfig<H>) -> io::Result<Server<H>> {
        Server::new(Listening::Other(Box::new(listener)), config)
    }

    fn new(listening: Listening, config: ServerConfig<H>) -> io::Result<Server<H>> {
        let (header, shared) = share(config)?;
        events::listening(&listening.name());
        Ok(Server { listening, header, shared })
    }

    /// The server's statistics, to read from any thread, while it serves and afterwards.
    pub fn account(&self) -> Account {
        self.shared.account.clone()
    }

    /// The TCP address that it listens on; if it was bound to port 0, with the actual port.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if it does not listen on a TCP socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listening.local_addr()
    }

    /// Calls `on_open` for every connection before it is served. If a [`refusal`](ServerConfig::refusal) is configured,
    /// it is called for refused connections too, but not while 16 refusals are being sent. If `on_open` panics, only
    /// that connection ends.
    #[must_use]
    pub fn on_open(mut self, on_open: impl Fn(&PeerName) + Send + Sync + 'static) -> Server<H> {
        self.shared.on_open = Box::new(on_open);
        self
    }

    /// Calls `on_close` exactly once for every connection, when it has ended. If `on_close` panics, the panic hook runs
    /// and the server continues.
    #[must_use]
    pub fn on_close(mut self, on_close: impl Fn(&Closed) + Send + Sync + 'static) -> Server<H> {
        self.shared.on_close = Box::new(on_close);
        self
    }

    /// Accepts and serves connections until `stop` is ready, then drains, and returns the final statistics. `stop` is
    /// first polled when the threads have started, before anything is accepted; so `stop` can also announce that the
    /// server is ready.
    ///
    /// # Handlers
    /// `new_handler` is called once for each connection, with its [`Peer`]: the peer's name, a timer, and the
    /// [`Outbox`](crate::Outbox) that pushes frames to it. It returns the connection's handler: `new_handler` is a
    /// closure that returns an async closure. The handler is called with each frame, one after the other and in order,
    /// and with a [`Responder`] to reply. A connection stays on one thread, so its handler may own state and need not
    /// be `Send`.
    ///
    /// ```no_run
    /// use std::convert::Infallible;
    /// use unstick::framing::Frame;
    /// use unstick::{Peer, Responder, Server, ServerConfig};
    /// # smol::block_on(async {
    /// let new_handler = |peer: Peer| {
    ///     let name = peer.name().to_string(); // the connection's own state
    ///     let mut frames = 0;
    ///     async move |frame: Frame<'_>, _: &mut Responder| {
    ///         frames += 1;
    ///         println!("{name}: frame {frames} has {} bytes", frame.payload().len());
    ///         Ok::<(), Infallible>(()) // the error's type must be known; this handler has none
    ///     }
    /// };
    /// Server::bind("127.0.0.1:4747", ServerConfig::default())?.serve(new_handler, std::future::pending()).await?;
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// A handler may wait as long as it likes, for another thread, a database or a timer. Meanwhile
    /// - its replies and pushes to its peer are written;
    /// - nothing is read from its peer, and only [`write_timeout`](ServerConfig::write_timeout) applies to it;
    /// - other connections are served.
    ///
    /// If the peer resets the connection, a waiting handler is dropped. If the peer only ends its stream, the handler
    /// continues, and its reply is still written. If a handler returns an error or panics, what it sent before is still
    /// written, and only this connection ends.
    ///
    /// A handler that blocks or computes for long delays the other connections of its thread: move such work to another
    /// thread, for example with `smol::unblock`.
    ///
    /// # Drain
    /// After `stop` the listener is closed, then the outboxes. Each connection handles the frames that have arrived,
    /// writes its replies, and ends as *stopped*. Connections that remain after
    /// [`drain_timeout`](ServerConfig::drain_timeout) are ended. One second later `serve` returns, even if a handler
    /// still blocks its thread; the connections of that thread are then still [`active`](Stats::active).
    ///
    /// # Errors
    /// The system's, if it cannot start a thread or has no descriptor for its events. Nothing was accepted then.
    ///
    /// # Cancel-safety
    /// Dropping the future stops the server without waiting: the listener is closed, and the threads drain in the
    /// background.
    pub async fn serve<N, F, E>(self, new_handler: N, stop: impl Future<Output = ()>) -> io::Result<Stats>
    where
        N: Fn(Peer) -> F + Send + Sync + 'static,
        F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Server { mut listening, header, shared } = self;
        let shared = Arc::new(shared);
        let service = Service { shared: Arc::clone(&shared), header, new_handler: Arc::new(new_handler) };
        let (ended, all_ended) = channel::bounded::<()>(1);
        let workers = start(&service, &ended).await?;
        drop((service, ended));
        let accept = accept::accept(&mut listening, &shared, &workers, &system::sleep);
        stop.or(accept).await;
        events::stopping(shared.account.stats().active);
        // The listener first, then the connections.
        drop(listening);
        drop(workers);
        let overdue = system::sleep(shared.config.drain_timeout.saturating_add(GRACE));
        async { _ = all_ended.recv().await }.or(overdue).await;
        let stats = shared.account.stats();
        events::drained(&stats);
        Ok(stats)
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listening, config) = (&self.listening, &self.shared.config);
        f.debug_struct("Server").field("listening", listening).field("config", config).finish_non_exhaustive()
    }
}

/// The header of a server's frames, and the state that its threads share.
pub(super) fn share<H: Header + Send + Sync + 'static>(config: ServerConfig<H>) -> io::Result<(Arc<H>, Shared)> {
    let invalid = |error: Box<dyn Error + Send + Sync>| io::Error::new(io::ErrorKind::InvalidInput, error);
    if let Some(name) = config.zero() {
        return Err(invalid(format!("{name} is 0; it must be at least 1").into()));
    }
    let (memory_budget, least) = (config.bytes_allowed(), config.least_budget());
    if memory_budget < least {
        let longest = config.format.max_payload_len();
        let text = format!(
            "a memory_budget of {memory_budget} bytes is less than {least}: the longest payload has {longest} bytes"
        );
        return Err(invalid(text.into()));
    }
    let budget = Budget::new(memory_budget);
    let (header, config) = config.split(());
    let header = Arc::new(header);
    let encode = Arc::new(Encoding::new(&header));
    config.greeting.check("greeting", &encode).map_err(|unfit| invalid(unfit.into()))?;
    config.refusal.check("refusal", &encode).map_err(|unfit| invalid(unfit.into()))?;
    let allowed = config.connections_allowed();
    let account = Account::new(config.threads, &budget);
    let (on_open, on_close): (OnOpen, OnClose) = (Box::new(|_| ()), Box::new(|_| ()));
    Ok((header, Shared { config, allowed, encode, account, budget, acceptor: None, on_open, on_close }))
}

/// Starts the threads, each with its reactor, before anything is accepted, as connections may use up the descriptors.
///
/// # Errors
/// The system's. Threads that have started then end.
async fn start<H, N, F, E>(service: &Service<H, N>, ended: &Sender<()>) -> io::Result<Vec<Sender<Arrival>>>
where
    H: Header + Send + Sync + 'static,
    N: Fn(Peer) -> F + Send + Sync + 'static,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (ready, is_ready) = channel::unbounded::<io::Result<()>>();
    let mut workers = Vec::new();
    for number in 0..service.shared.config.threads {
        let (sender, arrivals) = channel::unbounded();
        let (service, ready, ended) = (service.clone(), ready.clone(), ended.clone());
        system::spawn(format!("unstick-{number}"), move || {
            let reactor = match Reactor::new() {
                Ok(reactor) => reactor,
                Err(error) => {
                    _ = ready.try_send(Err(error));
                    return;
                }
            };
            _ = ready.try_send(Ok(()));
            let clock = Rc::clone(reactor.clock());
            // It fails only if this thread's wait for events fails; then its connections end as stopped.
            _ = reactor.run(worker::run(number, service, arrivals, &clock, Some(&reactor)));
            drop(ended);
        })?;
        workers.push(sender);
    }
    for _ in &workers {
        is_ready.recv().await.map_err(io::Error::other)??;
    }
    Ok(workers)
}

/// Serves one connection over any [`Transport`], on any runtime, and returns why it ended.
///
/// It does what a [`Server`] does for each of its connections. Server-wide settings are ignored: `threads`, `backlog`,
/// `max_connections`, `keepalive`, `drain_timeout`.
///
/// **The future is not `Send`**: await it on a `LocalExecutor`, in a `LocalSet`, or in `block_on`.
/// [`Halves`](crate::Halves) has an example.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`], as [`Server::bind`].
///
/// # Cancel-safety
/// Dropping the future breaks the connection off.
pub async fn serve_connection<T, H, N, F, E>(
    peer: impl Into<PeerName>,
    transport: T,
    config: ServerConfig<H>,
    new_handler: N,
) -> io::Result<Closed>
where
    T: Transport,
    H: Header + Send + Sync + 'static,
    N: FnOnce(Peer) -> F,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (header, shared) = share(config.threads(1))?;
    // It is the only connection, so it is admitted.
    _ = shared.account.open(shared.allowed);
    let clock = Clock::new(system::now());
    let thread = Thread::new(0, &Arc::new(shared), &clock);
    let entry = Entry::new(&thread, peer.into(), true);
    let serving = task::serve(transport, header, entry, new_handler);
    let sweeping = async { match thread.sweep().await {} };
    Ok(system::with_clock(&clock, serving.or(sweeping)).await)
}
