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

/// How often tasks may be woken while the clock stands still.
const MOST_BUSY: usize = 1_000_000;

/// Runs a whole [`Server`] and its clients on one thread, with connections in memory and a simulated clock. The clock
/// moves only when every task waits, and then jumps to the next timer: so hours pass in milliseconds, and two runs give
/// the same result.
///
/// Everything between the server's sockets and its handlers is the real code: accepting, refusing, timeouts, memory,
/// drain, pushes. Handlers and clients must wait by the simulated clock ([`Peer::sleep`], [`Simulation::sleep`]), not
/// by the system's.
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
    /// How long tasks have blocked the thread since the clock was last read.
    blocked: Cell<Duration>,
}

impl Simulation {
    /// A simulation at the time 0.
    pub fn new() -> Simulation {
        let clock = Clock::new(crate::server::any_time());
        let begin = clock.now();
        Simulation { clock, executor: LocalExecutor::new(), begin, blocked: Cell::default() }
    }

    /// A listener for a server, and the network through which clients connect to it. `capacity` is how many unread
    /// bytes a connection holds in each direction before its writer waits; at least 1.
    pub fn network(capacity: usize) -> (MemoryListener, Network) {
        stream::network(capacity.max(1))
    }

    /// The time that has passed in the simulation.
    pub fn now(&self) -> Duration {
        self.clock.now() - self.begin
    }

    /// Waits this long, by the simulated clock.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<> {
        self.clock.sleep(duration)
    }

    /// Lets this much time pass while no other task runs, as if the calling task computed or blocked for so long.
    pub fn block(&self, duration: Duration) {
        self.blocked.set(self.blocked.get() + duration);
    }

    /// Spawns a task. It makes progress during [`run`](Simulation::run) only.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.executor.spawn(future)
    }

    /// [`Server::serve`] on this thread and by the simulated clock. Create the server with [`Server::with_listener`]
    /// and a [`MemoryListener`].
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

    /// Runs `main` and the spawned tasks until `main` is ready.
    ///
    /// # Panics
    /// If all tasks wait and there is no timer, so that no task could ever continue; and if tasks are woken a million
    /// times while the clock stands still, as they would keep a processor busy and get nowhere.
    #[track_caller]
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let bell = Arc::new(Bell(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&bell));
        let mut cx = Context::from_waker(&waker);
        let mut main = pin!(self.executor.run(main));
        let mut busy = 0;
        loop {
            if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                return output;
            }
            let patience = match bell.0.swap(false, SeqCst) {
                true => Some(Duration::ZERO),
                false => self.clock.patience(),
            };
            let Some(waited) = patience else {
                panic!("every task waits and there is no timer, since {:?}", self.now());
            };
            let passed = self.blocked.take() + waited;
            busy = if passed.is_zero() { busy + 1 } else { 0 };
            assert!(busy < MOST_BUSY, "tasks are woken again and again at {:?}, and none waits", self.now());
            self.clock.turn(self.clock.now() + passed, patience);
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
