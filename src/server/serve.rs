//! A server from its making to its end.

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
use super::encode::Encode;
use super::events;
use super::link::Entry;
use super::peer::Peer;
use super::responder::Responder;
use super::shared::{OnClose, OnOpen, Shared};
use super::system;
use super::thread::Thread;
use super::transport::{Listener, Listening, Reactor, Transport};
use super::worker::{self, Arrival, Service};
use crate::close::Closed;
use crate::framing::{Encoder, Format, Frame, Header};
use crate::peer::PeerName;

/// How much longer than its drain timeout a stop waits for a thread that a handler blocks.
const GRACE: Duration = Duration::from_secs(1);

/// A server that speaks frames. It listens once it is bound; [`serve`](Server::serve) accepts.
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
    /// Listens at the first address of `addr` that can be had.
    ///
    /// # Errors
    /// The system's: the address is in use, not ours, or not allowed. [`io::ErrorKind::InvalidInput`], where a limit is 0 or the
    /// format cannot say the greeting or the refusal.
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

    /// Listens at a Unix socket. A socket that is there already, and that nobody listens at any more, is replaced; ours goes
    /// when the server ends.
    ///
    /// # Errors
    /// As [`bind`](Server::bind); and [`io::ErrorKind::AlreadyExists`], where there is a file that is no socket.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>, config: ServerConfig<H>) -> io::Result<Server<H>> {
        let listening = Listening::unix(path.as_ref(), config.backlog)?;
        Server::new(listening, config)
    }

    /// Serves a TCP socket that listens already: inherited, say. Its backlog is as it is.
    ///
    /// # Errors
    /// As [`bind`](Server::bind).
    pub fn with_tcp(listener: TcpListener, config: ServerConfig<H>) -> io::Result<Server<H>> {
        #[cfg(target_os = "linux")]
        accept::tune(&SockRef::from(&listener), &config)?;
        Server::new(Listening::Tcp(Async::new(listener)?), config)
    }

    /// Serves a Unix socket that listens already: inherited, say. Its path is not removed.
    ///
    /// # Errors
    /// As [`bind`](Server::bind).
    #[cfg(unix)]
    pub fn with_unix(listener: std::os::unix::net::UnixListener, config: ServerConfig<H>) -> io::Result<Server<H>> {
        Server::new(Listening::Unix(Async::new(listener)?, None), config)
    }

    /// Serves whatever a listener of anybody's own accepts.
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

    /// What it does, to be looked at from any thread while it serves, and afterwards.
    pub fn account(&self) -> Account {
        self.shared.account.clone()
    }

    /// The address it listens at: the port is the real one also where 0 was asked for.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], where it does not listen at a TCP socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listening.local_addr()
    }

    /// Calls `on_open` for every connection, before it is served; also for one that there is no place for, unless it is
    /// turned away at once: for want of a [`refusal`](ServerConfig::refusal), or as more than 16 are being refused. Where it
    /// panics, this connection ends and no other one is touched.
    #[must_use]
    pub fn on_open(mut self, on_open: impl Fn(&PeerName) + Send + Sync + 'static) -> Server<H> {
        self.shared.on_open = Box::new(on_open);
        self
    }

    /// Calls `on_close` for every connection when it has ended, exactly once. Where it panics, only the panic hook tells.
    #[must_use]
    pub fn on_close(mut self, on_close: impl Fn(&Closed) + Send + Sync + 'static) -> Server<H> {
        self.shared.on_close = Box::new(on_close);
        self
    }

    /// Accepts and serves until `stop` is ready, which is first polled when the threads have begun, before anything is accepted;
    /// so it is also where to tell others that they may come. Then closes the listener and the outboxes, lets the connections finish what is
    /// in flight, and returns what it did. A thread that a handler blocks beyond the drain timeout is not waited for: its
    /// connections are still active then.
    ///
    /// Every connection has its own handler, which `new_handler` makes, its own buffers and its own task on one of the
    /// server's threads; so a handler may keep what it knows of its connection, and need not be `Send`. It gets each frame in
    /// turn, and a [`Responder`] to answer it; by its [`Peer`] it knows who is there, and has the outbox by which others push to
    /// it. It may wait for whatever it likes, and for as long as it likes: meanwhile nothing is read from its peer, what is sent
    /// and pushed is written, no timeout runs but that of a peer that takes nothing, and all other connections go on. If the
    /// peer breaks the connection off, a waiting handler is dropped; that the peer has ended its stream shows once the handler
    /// is done. Where it returns an error or panics, what it sent before is still written, this connection ends, and no other
    /// one is touched. A handler that computes long, or blocks, keeps the other connections of its thread waiting: hand such work
    /// to other threads (`smol::unblock`).
    ///
    /// # Errors
    /// The system's, where a thread cannot be had, or what it waits for events with; and nothing was accepted.
    ///
    /// # Cancel-safety
    /// Dropping the future is a stop that nobody waits for: the listener is closed, and the threads drain by themselves.
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

/// The header of a server's frames, and what its threads have in common.
fn share<H: Header + Send + Sync + 'static>(config: ServerConfig<H>) -> io::Result<(Arc<H>, Shared)> {
    let invalid = |error: Box<dyn Error + Send + Sync>| io::Error::new(io::ErrorKind::InvalidInput, error);
    if let Some(name) = config.zero() {
        return Err(invalid(format!("a limit of 0 lets nothing happen: {name}").into()));
    }
    let budget = Budget::new(config.bytes_allowed());
    let (header, config) = config.split(());
    let header = Arc::new(header);
    let encode: Arc<dyn Encode> = Arc::new(Encoder::new(Arc::clone(&header)));
    config.greeting.check("greeting", &*encode).map_err(|unfit| invalid(unfit.into()))?;
    config.refusal.check("refusal", &*encode).map_err(|unfit| invalid(unfit.into()))?;
    let allowed = config.connections_allowed();
    let account = Account::new(config.threads, &budget);
    let (on_open, on_close): (OnOpen, OnClose) = (Box::new(|_| ()), Box::new(|_| ()));
    Ok((header, Shared { config, allowed, encode, account, budget, on_open, on_close }))
}

/// Begins the threads, each with its reactor. Their own descriptors come before those of connections, of which there may be too
/// many.
///
/// # Errors
/// The system's; then those that have begun end.
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
            // It fails only if this thread's own wait does; then its connections end as stopped.
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

/// Serves one connection over any [`Transport`], on any runtime: what a [`Server`] does for each of its own, but what concerns
/// all connections together: threads, backlog, their number, the drain, TCP's own options. Its peer, responder and handler stay
/// where they are: the future is not `Send`.
///
/// # Errors
/// As [`Server::bind`], where the configuration is none to serve with.
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
    // It is the only one, so there is a place.
    _ = shared.account.open(shared.allowed);
    let clock = Clock::new(system::now());
    let thread = Thread::new(0, &Arc::new(shared), &clock);
    let entry = Entry::new(&thread, peer.into(), true);
    let serving = worker::serve(transport, header, entry, new_handler);
    let sweeping = async { match thread.sweep().await {} };
    Ok(system::with_clock(&clock, serving.or(sweeping)).await)
}
