//! A server that speaks frames over TCP.

mod connection;
mod pool;
mod reactor;
mod worker;
mod writer;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use futures_lite::{FutureExt, future};
use smol::channel::{self, Sender};
use smol::{Async, Timer};
use socket2::{Domain, Protocol, Socket, Type};

pub use connection::{Greeting, Replies, serve_connection};

use self::reactor::Reactor;
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Format, Frame};

/// The seed's greeting, 23 bytes of UTF-8.
pub const SEED_GREETING: &str = "Hello client! 你好...";

/// After a failed accept the listener rests, at first so long, then twice as long each time.
const FIRST_REST: Duration = Duration::from_millis(10);
/// The longest such rest.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Accepts in a row after which a stop has its turn.
const ACCEPTS_A_TURN: usize = 16;

/// What a server does unless told otherwise: the seed's format and greeting, one thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The format, in both directions. [`Format::U32_LE`] with 1 MiB by default.
    pub format: Format,
    /// What is said first. The seed's greeting as a frame by default.
    pub greeting: Greeting,
    /// Connections that the system completes before they are accepted; the system has a limit of its own. 1024 by
    /// default.
    pub backlog: u32,
    /// Threads that serve connections. 1 by default.
    pub threads: NonZeroUsize,
    /// How long a stop waits for what is in flight. 10 s by default.
    pub drain_deadline: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            format: Format::U32_LE,
            greeting: Greeting::Frame(SEED_GREETING.into()),
            backlog: 1024,
            threads: NonZeroUsize::MIN,
            drain_deadline: Duration::from_secs(10),
        }
    }
}

impl ServerConfig {
    /// The same with another format.
    #[must_use]
    pub fn format(self, format: Format) -> ServerConfig {
        ServerConfig { format, ..self }
    }

    /// The same with another greeting.
    #[must_use]
    pub fn greeting(self, greeting: Greeting) -> ServerConfig {
        ServerConfig { greeting, ..self }
    }

    /// The same with another backlog.
    #[must_use]
    pub fn backlog(self, backlog: u32) -> ServerConfig {
        ServerConfig { backlog, ..self }
    }

    /// The same with another number of threads.
    #[must_use]
    pub fn threads(self, threads: NonZeroUsize) -> ServerConfig {
        ServerConfig { threads, ..self }
    }

    /// The same with another drain deadline.
    #[must_use]
    pub fn drain_deadline(self, drain_deadline: Duration) -> ServerConfig {
        ServerConfig { drain_deadline, ..self }
    }
}

/// A server that speaks frames over TCP. It listens once it is bound; [`serve`](Server::serve) accepts.
///
/// ```
/// use unstick::framing::Frame;
/// use unstick::{Client, ClientConfig, Replies, Server, ServerConfig, WriteError};
/// # smol::block_on(async {
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?;
/// let addr = server.local_addr();
/// let (stop, stopped) = smol::channel::bounded::<()>(1);
///
/// let serving = smol::spawn(server.serve(
///     |_peer| async |frame: Frame<'_>, replies: &mut Replies| replies.send(frame.payload()).await,
///     async move { _ = stopped.recv().await },
/// ));
///
/// let mut client = Client::connect(addr, ClientConfig::default()).await?;
/// assert_eq!(client.call(b"hello").await?.payload(), b"hello");
/// client.finish().await;
///
/// drop(stop);
/// let served = serving.await;
/// assert_eq!((served.accepted, served.closes("clean")), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Server {
    listener: Async<TcpListener>,
    addr: SocketAddr,
    config: ServerConfig,
    on_open: OnOpen,
    on_close: OnClose,
}

type OnOpen = Box<dyn Fn(SocketAddr) + Send + Sync>;
type OnClose = Box<dyn Fn(&Closed) + Send + Sync>;

/// What the threads of a server have in common.
struct Shared {
    format: Format,
    greeting: Greeting,
    drain_deadline: Duration,
    on_open: OnOpen,
    on_close: OnClose,
    accepted: AtomicU64,
    closes: [AtomicU64; CloseReason::NAMES.len()],
    traffic: [AtomicU64; 4],
}

/// What a server did, from its start to its stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Connections accepted. Each is closed, for exactly one reason.
    pub accepted: u64,
    /// What passed over all of them.
    pub traffic: Traffic,
    closes: [u64; CloseReason::NAMES.len()],
}

impl Served {
    /// How many connections ended for the reason of this name, one of [`CloseReason::NAMES`]; 0 for any other name.
    pub fn closes(&self, name: &str) -> u64 {
        CloseReason::NAMES.iter().position(|known| *known == name).map_or(0, |index| self.closes[index])
    }
}

impl Server {
    /// Listens at the first address of `addr` that can be had.
    ///
    /// # Errors
    /// The system's: the address is in use, not ours, or not allowed.
    pub fn bind(addr: impl ToSocketAddrs, config: ServerConfig) -> io::Result<Server> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for addr in addr.to_socket_addrs()? {
            match listen(addr, config.backlog) {
                Ok(listener) => return Server::with_listener(listener, config),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Serves a listener that was bound elsewhere: inherited, say. Its backlog is as it is.
    ///
    /// # Errors
    /// The system's.
    pub fn with_listener(listener: TcpListener, config: ServerConfig) -> io::Result<Server> {
        let listener = Async::new(listener)?;
        let addr = listener.get_ref().local_addr()?;
        Ok(Server { listener, addr, config, on_open: Box::new(|_| ()), on_close: Box::new(|_| ()) })
    }

    /// The address it listens at: the port is the real one also where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Calls `on_open` for every connection, before it is served. Where it panics, this connection ends and no other one is
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
    /// and returns.
    ///
    /// Every connection has its own handler, which `new_handler` makes, its own buffers and its own task on one of the
    /// server's threads; so a handler may keep what it knows of its connection, and need not be `Send`. It gets each frame
    /// and a place to put replies. Replies are written once the input at hand is dealt with. Where the handler returns an
    /// error or panics, what it answered before is still written, this connection ends, and no other one is touched. A handler that computes long, or blocks, keeps
    /// the other connections of its thread waiting: hand such work to other threads (`smol::unblock`).
    ///
    /// # Cancel-safety
    /// Dropping the future is a stop that nobody waits for: the listener is closed, and the threads drain by themselves.
    pub async fn serve<N, H, E>(self, new_handler: N, stop: impl Future<Output = ()>) -> Served
    where
        N: Fn(SocketAddr) -> H + Send + Sync + 'static,
        H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E> + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let shared = Arc::new(Shared {
            format: self.config.format,
            greeting: self.config.greeting,
            drain_deadline: self.config.drain_deadline,
            on_open: self.on_open,
            on_close: self.on_close,
            accepted: AtomicU64::default(),
            closes: Default::default(),
            traffic: Default::default(),
        });
        let (ready, all_ready) = channel::bounded::<()>(1);
        let (ended, all_ended) = channel::bounded::<()>(1);
        let new_handler = Arc::new(new_handler);
        let workers: Vec<Sender<(TcpStream, SocketAddr)>> = (0..self.config.threads.get())
            .map(|_| {
                let (sender, sockets) = channel::unbounded();
                let (shared, new_handler) = (Arc::clone(&shared), Arc::clone(&new_handler));
                let (ready, ended) = (ready.clone(), ended.clone());
                thread::spawn(move || {
                    let reactor = Reactor::new();
                    drop(ready);
                    worker::run(reactor, &shared, &*new_handler, &sockets);
                    drop(ended);
                });
                sender
            })
            .collect();
        drop((ready, ended));
        // The threads' own descriptors come before those of connections, of which there may be too many.
        _ = all_ready.recv().await;
        let accept = accept(&self.listener, &shared, &workers);
        stop.or(accept).await;
        // The listener first, then the connections.
        drop(self.listener);
        drop(workers);
        _ = all_ended.recv().await;
        shared.served()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).field("config", &self.config).finish_non_exhaustive()
    }
}

fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT. (On Windows the option means something else.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Hands sockets to the workers in turn, for ever.
async fn accept(listener: &Async<TcpListener>, shared: &Shared, workers: &[Sender<(TcpStream, SocketAddr)>]) {
    for (turn, worker) in workers.iter().cycle().enumerate() {
        if turn % ACCEPTS_A_TURN == 0 {
            future::yield_now().await;
        }
        let (stream, peer) = accept_one(listener).await;
        match shared.open(stream, peer) {
            Ok(stream) => _ = worker.try_send((stream, peer)),
            Err(reason) => shared.closed(&Closed { peer, reason, traffic: Traffic::default() }),
        }
    }
}

/// An accept that fails is tried again after a rest: nothing that a peer does, and no lack of descriptors, ends the server.
async fn accept_one(listener: &Async<TcpListener>) -> (Async<TcpStream>, SocketAddr) {
    let mut rest = FIRST_REST;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(_) => {
                Timer::after(rest).await;
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

impl Shared {
    /// Counts a connection, tells of it, and makes its socket ready to be served.
    fn open(&self, stream: Async<TcpStream>, peer: SocketAddr) -> Result<TcpStream, CloseReason> {
        self.accepted.fetch_add(1, Relaxed);
        catch_unwind(AssertUnwindSafe(|| (self.on_open)(peer))).map_err(|panic| CloseReason::of_panic(&*panic))?;
        let stream = stream.into_inner()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn closed(&self, closed: &Closed) {
        self.closes[closed.reason.index()].fetch_add(1, Relaxed);
        let Traffic { frames_in, bytes_in, frames_out, bytes_out } = closed.traffic;
        for (sum, number) in self.traffic.iter().zip([frames_in, bytes_in, frames_out, bytes_out]) {
            sum.fetch_add(number, Relaxed);
        }
        // A panic there is the caller's, and the panic hook tells of it. Here it must not keep the drain from its end.
        _ = catch_unwind(AssertUnwindSafe(|| (self.on_close)(closed)));
    }

    fn served(&self) -> Served {
        let [frames_in, bytes_in, frames_out, bytes_out] = self.traffic.each_ref().map(|sum| sum.load(Relaxed));
        Served {
            accepted: self.accepted.load(Relaxed),
            traffic: Traffic { frames_in, bytes_in, frames_out, bytes_out },
            closes: self.closes.each_ref().map(|count| count.load(Relaxed)),
        }
    }
}
