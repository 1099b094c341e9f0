//! A whole server on one thread, with connections in memory and a clock that is made up.

mod stream;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use smol::{LocalExecutor, Task};

pub use self::stream::{MemoryListener, MemoryStream, Network};
use crate::framing::{Frame, Header};
use crate::server::{Clock, Peer, Responder, Server, Stats};

/// A world in which a whole server runs, on one thread: with connections in memory and with a clock that goes on only when
/// nobody can do anything. Hours pass in milliseconds, and a second run gives what the first one gave.
///
/// All of a server is the real one, between its sockets and its handlers: accepting, refusing, timeouts, memory, drain, pushes.
///
/// ```
/// use std::time::Duration;
/// use unstick::framing::{Format, Frame};
/// use unstick::testing::Simulation;
/// use unstick::{CloseKind, FramedRead, FramedWrite, Responder, Server, ServerConfig};
///
/// let world = Simulation::new();
/// let (listener, network) = Simulation::network(64 * 1024);
/// let server = Server::with_listener(listener, ServerConfig::default())?;
/// let stop = world.sleep(Duration::from_secs(3600));
/// let late = async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
/// let serving = world.serve(server, move |_peer| late, stop);
///
/// let client = world.spawn(async move {
///     let mut stream = network.connect("a client");
///     FramedWrite::new(&mut stream, Format::U32_LE).send(b"hello").await.unwrap();
///     FramedRead::new(&mut stream, Format::U32_LE).next_frame().await.unwrap().unwrap().payload().to_vec()
/// });
/// let stats = world.run(serving);
/// assert_eq!(world.run(client), b"hello");
/// assert_eq!(stats.closes(CloseKind::Clean), 1);
/// assert!(world.now() >= Duration::from_secs(3600));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Simulation {
    clock: Rc<Clock>,
    executor: LocalExecutor<'static>,
    begin: Instant,
    /// For how long tasks blocked the thread in this turn.
    blocked: Cell<Duration>,
}

impl Simulation {
    /// A world at the time 0.
    pub fn new() -> Simulation {
        let clock = Clock::new(crate::server::any_time());
        let begin = clock.now();
        Simulation { clock, executor: LocalExecutor::new(), begin, blocked: Cell::default() }
    }

    /// Where a server listens, and by which clients connect to it. `capacity` is how many bytes are on their way in each
    /// direction of a connection before its writer waits; at least 1.
    pub fn network(capacity: usize) -> (MemoryListener, Network) {
        stream::network(capacity.max(1))
    }

    /// The time since the begin.
    pub fn now(&self) -> Duration {
        self.clock.now() - self.begin
    }

    /// Waits for so long.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<> {
        self.clock.sleep(duration)
    }

    /// Keeps the thread for so long, as who computes or blocks does: nobody else goes on meanwhile.
    pub fn block(&self, duration: Duration) {
        self.blocked.set(self.blocked.get() + duration);
    }

    /// Begins a task, which goes on while something [runs](Simulation::run).
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.executor.spawn(future)
    }

    /// [`Server::serve`], with this world's clock and on this thread. The server's must be a listener in memory.
    pub fn serve<H, N, F, E, S>(
        &self,
        server: Server<H>,
        new_handler: N,
        stop: S,
    ) -> impl Future<Output = Stats> + use<H, N, F, E, S>
    where
        S: Future<Output = ()>,
        H: Header + Send + Sync + 'static,
        N: Fn(Peer) -> F + 'static,
        F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        server.simulate(Rc::clone(&self.clock), new_handler, stop)
    }

    /// Runs until `main` is done. Whenever nobody can go on, the time is that of the next timer.
    ///
    /// # Panics
    /// Where nobody can go on ever: all wait, and there is no timer.
    #[track_caller]
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let bell = Arc::new(Bell(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&bell));
        let mut cx = Context::from_waker(&waker);
        let mut main = pin!(self.executor.run(main));
        loop {
            if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                return output;
            }
            let patience = match bell.0.swap(false, SeqCst) {
                true => Some(Duration::ZERO),
                false => self.clock.patience(),
            };
            let Some(waited) = patience else {
                panic!("all wait, and nobody for a time, since {:?}", self.now());
            };
            self.clock.turn(self.clock.now() + self.blocked.take() + waited, patience);
        }
    }
}

impl Default for Simulation {
    fn default() -> Simulation {
        Simulation::new()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// Whether a task can go on.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
