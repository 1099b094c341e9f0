//! A whole server on one thread, with connections in memory and a simulated clock.

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

/// Runs a whole [`Server`] and its clients on one thread, with connections in memory and a simulated clock. The time moves only
/// when no task can go on, to that of the next timer: so hours pass in milliseconds, and two runs give the same.
///
/// Everything of the server between its sockets and its handlers is the real code: accepting, refusing, timeouts, memory, drain,
/// pushes. Handlers and clients must wait by this clock ([`Peer::sleep`], [`Simulation::sleep`]), and not by that of the system.
///
/// ```
/// use std::time::Duration;
/// use unstick::framing::{Format, Frame};
/// use unstick::testing::Simulation;
/// use unstick::{CloseKind, FramedRead, FramedWrite, Responder, Server, ServerConfig};
///
/// let simulation = Simulation::new();
/// let (listener, network) = Simulation::network(64 * 1024);
/// let server = Server::with_listener(listener, ServerConfig::default())?;
/// let stop = simulation.sleep(Duration::from_secs(3600));
/// let echo = async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
/// let serving = simulation.serve(server, move |_peer| echo, stop);
///
/// let client = simulation.spawn(async move {
///     let mut stream = network.connect("a client");
///     FramedWrite::new(&mut stream, Format::U32_LE).send(b"hello").await.unwrap();
///     FramedRead::new(&mut stream, Format::U32_LE).next_frame().await.unwrap().unwrap().payload().to_vec()
/// });
/// let stats = simulation.run(serving);
/// assert_eq!(simulation.run(client), b"hello");
/// assert_eq!(stats.closes(CloseKind::Clean), 1);
/// assert!(simulation.now() >= Duration::from_secs(3600));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Simulation {
    clock: Rc<Clock>,
    executor: LocalExecutor<'static>,
    begin: Instant,
    /// How long tasks blocked the thread in this turn.
    blocked: Cell<Duration>,
}

impl Simulation {
    /// A simulation at the time 0.
    pub fn new() -> Simulation {
        let clock = Clock::new(crate::server::any_time());
        let begin = clock.now();
        Simulation { clock, executor: LocalExecutor::new(), begin, blocked: Cell::default() }
    }

    /// A listener for a server, and the network by which clients connect to it. `capacity` is how many bytes a connection holds
    /// in each direction, written and not yet read, before its writer waits; at least 1.
    pub fn network(capacity: usize) -> (MemoryListener, Network) {
        stream::network(capacity.max(1))
    }

    /// The time that has passed in the simulation.
    pub fn now(&self) -> Duration {
        self.clock.now() - self.begin
    }

    /// Waits that long, by the simulated clock.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<> {
        self.clock.sleep(duration)
    }

    /// Lets that much time pass while no other task goes on, as if the task that calls it computed or blocked that long.
    pub fn block(&self, duration: Duration) {
        self.blocked.set(self.blocked.get() + duration);
    }

    /// Spawns a task. It makes progress during [`run`](Simulation::run) only.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.executor.spawn(future)
    }

    /// [`Server::serve`] on this thread and by the simulated clock. The server must have been made
    /// [with](Server::with_listener) a [`MemoryListener`].
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

    /// Runs `main`, and the tasks that were spawned, until `main` is ready.
    ///
    /// # Panics
    /// If all tasks wait and there is no timer, so that no task would ever go on.
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

/// Whether a task was woken.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
