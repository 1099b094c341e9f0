//! A server that speaks frames over TCP.

mod accept;
mod account;
mod clock;
mod config;
mod connection;
mod connections;
#[cfg(feature = "tracing")]
mod events;
mod greeting;
mod input;
mod panic;
mod place;
mod pool;
mod reactor;
mod responder;
#[cfg(not(feature = "tracing"))]
mod silence;
mod timeouts;
mod worker;
mod writer;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::channel::{self, Sender};
use smol::{Async, Timer};
use socket2::SockRef;

pub use account::{Account, Stats};
pub use clock::{Clock, SystemClock};
pub use config::{ServerConfig, TUTORIAL_GREETING};
pub use connection::serve_connection;
pub use greeting::Greeting;
pub use responder::Responder;

use self::reactor::Reactor;
#[cfg(not(feature = "tracing"))]
use self::silence as events;
use crate::close::Closed;
use crate::framing::Frame;

/// How much longer than its drain timeout a stop waits for a thread that a handler blocks.
const GRACE: Duration = Duration::from_secs(1);

/// A server that speaks frames over TCP. It listens once it is bound; [`serve`](Server::serve) accepts.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Client, ClientConfig, CloseKind, Responder, Server, ServerConfig, WriteError};
/// # smol::block_on(async {
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?;
/// let addr = server.local_addr();
/// let (stop, stopped) = smol::channel::bounded::<()>(1);
///
/// let serving = smol::spawn(server.serve(
///     |_peer| async |frame: Frame<'_>, replies: &mut Responder| replies.send(frame.payload()).await,
///     async move { _ = stopped.recv().await },
/// ));
///
/// let mut client = Client::connect(addr, ClientConfig::default()).await?;
/// assert_eq!(client.call(b"hello").await?.payload(), b"hello");
/// client.finish().await;
///
/// drop(stop);
/// let served = serving.await;
/// assert_eq!((served.accepted, served.closes(CloseKind::Clean)), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Server {
    listener: Async<TcpListener>,
    addr: SocketAddr,
    config: ServerConfig,
    account: Account,
    on_open: OnOpen,
    on_close: OnClose,
}

type OnOpen = Box<dyn Fn(SocketAddr) + Send + Sync>;
type OnClose = Box<dyn Fn(&Closed) + Send + Sync>;

/// What the threads of a server have in common.
struct Shared {
    config: ServerConfig,
    /// Connections that are served at a time.
    allowed: usize,
    account: Account,
    on_open: OnOpen,
    on_close: OnClose,
}

/// A connection on its way to a thread, and whether there is a place for it.
struct Arrival {
    stream: TcpStream,
    peer: SocketAddr,
    has_place: bool,
}

impl Server {
    /// Listens at the first address of `addr` that can be had.
    ///
    /// # Errors
    /// The system's: the address is in use, not ours, or not allowed. [`io::ErrorKind::InvalidInput`], where the format
    /// cannot say the greeting or the refusal.
    pub fn bind(addr: impl ToSocketAddrs, config: ServerConfig) -> io::Result<Server> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for addr in addr.to_socket_addrs()? {
            match accept::listen(addr, config.backlog) {
                Ok(listener) => return Server::with_listener(listener, config),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Serves a listener that was bound elsewhere: inherited, say. Its backlog is as it is.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::InvalidInput`], where the format cannot say the greeting or the refusal.
    pub fn with_listener(listener: TcpListener, config: ServerConfig) -> io::Result<Server> {
        for (greeting, what) in [(&config.greeting, "the greeting"), (&config.refusal, "the refusal")] {
            let wire = greeting.wire(what, config.format);
            wire.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        #[cfg(target_os = "linux")]
        accept::tune(&SockRef::from(&listener), &config)?;
        let listener = Async::new(listener)?;
        let addr = listener.get_ref().local_addr()?;
        let account = Account::new(config.threads.get(), config.bytes_allowed());
        events::listening(addr);
        Ok(Server { listener, addr, config, account, on_open: Box::new(|_| ()), on_close: Box::new(|_| ()) })
    }

    /// What it does, to be looked at from any thread while it serves, and afterwards.
    pub fn account(&self) -> Account {
        self.account.clone()
    }

    /// The address it listens at: the port is the real one also where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Calls `on_open` for every connection, before it is served; also for one that there is no place for, unless it is
    /// turned away at once, as more than 16 are being refused. Where it panics, this connection ends and no other one is
    /// touched.
    #[must_use]
    pub fn on_open(mut self, on_open: impl Fn(SocketAddr) + Send + Sync + 'static) -> Server {
        self.on_open = Box::new(on_open);
        self
    }

    /// Calls `on_close` for every connection when it has ended, exactly once. Where it panics, only the panic hook tells.
    #[must_use]
    pub fn on_close(mut self, on_close: impl Fn(&Closed) + Send + Sync + 'static) -> Server {
        self.on_close = Box::new(on_close);
        self
    }

    /// Accepts and serves until `stop` is ready; then closes the listener, lets the connections finish what is in flight,
    /// and returns what it did. A thread that a handler blocks beyond the drain timeout is not waited for: its connections are
    /// still active then.
    ///
    /// Every connection has its own handler, which `new_handler` makes, its own buffers and its own task on one of the
    /// server's threads; so a handler may keep what it knows of its connection, and need not be `Send`. It gets each frame
    /// and a place to put replies. Replies are written once the input at hand is dealt with. Where the handler returns an
    /// error or panics, what it answered before is still written, this connection ends, and no other one is touched. A
    /// handler that computes long, or blocks, keeps the other connections of its thread waiting: hand such work to other
    /// threads (`smol::unblock`).
    ///
    /// # Cancel-safety
    /// Dropping the future is a stop that nobody waits for: the listener is closed, and the threads drain by themselves.
    pub async fn serve<N, H, E>(self, new_handler: N, stop: impl Future<Output = ()>) -> Stats
    where
        N: Fn(SocketAddr) -> H + Send + Sync + 'static,
        H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let shared = Arc::new(Shared {
            allowed: self.config.connections_allowed(),
            config: self.config,
            account: self.account,
            on_open: self.on_open,
            on_close: self.on_close,
        });
        let (ready, all_ready) = channel::bounded::<()>(1);
        let (ended, all_ended) = channel::bounded::<()>(1);
        let new_handler = Arc::new(new_handler);
        let workers: Vec<Sender<Arrival>> = (0..shared.config.threads.get())
            .map(|thread| {
                let (sender, arrivals) = channel::unbounded();
                let (shared, new_handler) = (Arc::clone(&shared), Arc::clone(&new_handler));
                let (ready, ended) = (ready.clone(), ended.clone());
                thread::spawn(move || {
                    let reactor = Reactor::new();
                    drop(ready);
                    worker::run(thread, reactor, &shared, &*new_handler, &arrivals);
                    drop(ended);
                });
                sender
            })
            .collect();
        drop((ready, ended));
        // The threads' own descriptors come before those of connections, of which there may be too many.
        _ = all_ready.recv().await;
        let accept = accept::accept(&self.listener, &shared, &workers);
        stop.or(accept).await;
        events::stopping(shared.account.stats().active);
        // The listener first, then the connections.
        drop(self.listener);
        drop(workers);
        let all_ended = async { _ = all_ended.recv().await };
        let overdue = async { _ = Timer::after(shared.config.drain_timeout + GRACE).await };
        all_ended.or(overdue).await;
        let stats = shared.account.stats();
        events::drained(&stats);
        stats
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Accounts for a connection that has ended.
    fn closed(&self, has_place: bool, closed: &Closed) {
        self.account.close(has_place, &closed.reason);
        events::closed(closed);
        // A panic there is the caller's, and the panic hook tells of it. Here it must not keep the drain from its end.
        _ = catch_unwind(AssertUnwindSafe(|| (self.on_close)(closed)));
    }
}
