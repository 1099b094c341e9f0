//! One thread that serves connections, each in its own task.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use slab::Slab;
use smol::channel::Receiver;
use smol::{LocalExecutor, Timer};

use super::clock::Clock;
use super::connection::{Connection, Replies, Surroundings};
use super::meter::Meter;
use super::reactor::{Reactor, ReadHalf, WriteHalf};
use super::{Arrival, ServerConfig, Shared};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Format, Frame};

/// Between closing the listener and telling the connections: what has arrived by then is in flight.
const TICK: Duration = Duration::from_millis(10);

/// Between two looks at the deadlines: a connection ends so much after its deadline at most.
const SWEEP: Duration = Duration::from_millis(100);

/// The connections of one thread.
struct Connections {
    thread: usize,
    format: Rc<Format>,
    reactor: Rc<Reactor>,
    stopping: Cell<bool>,
    /// A slot for each connection.
    slots: RefCell<Slab<Slot>>,
    /// Who is to be woken when the last connection has ended.
    emptied: Cell<Option<Waker>>,
    /// For how long this thread did not listen: a handler blocked it, or the machine gave it no time. That is not held against
    /// the peers, so it is taken off the time.
    deaf: Cell<Duration>,
    /// The time of the last look at the deadlines.
    swept: Cell<Instant>,
    /// Whether there is a deadline to look at, and who is to be woken when there is.
    armed: Cell<bool>,
    sweeper: Cell<Option<Waker>>,
}

/// Who is to be woken, by a stop or when its deadline has come.
#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    deadline: Option<Instant>,
}

/// Serves the sockets that come by `arrivals`, until that is closed and the drain is over.
pub(super) fn run<N, H, E>(
    thread: usize,
    reactor: io::Result<Rc<Reactor>>,
    shared: &Arc<Shared>,
    new_handler: &N,
    arrivals: &Receiver<Arrival>,
) where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let reactor = match reactor {
        Ok(reactor) => reactor,
        Err(error) => return refuse_all(shared, arrivals, &error),
    };
    let executor = LocalExecutor::new();
    let connections = Rc::new(Connections::new(thread, shared.config.format, &reactor));
    let serving = async {
        while let Ok(Arrival { stream, peer, place }) = arrivals.recv().await {
            let ticket = Ticket::new(shared, &connections, peer);
            match reactor.halves(stream) {
                Ok(halves) if place => executor.spawn(serve(ticket, halves, new_handler)).detach(),
                Ok(halves) => executor.spawn(refuse(ticket, halves)).detach(),
                Err(error) => ticket.close(error.into()),
            }
        }
        Timer::after(TICK).await;
        connections.stop();
        let drained = poll_fn(|cx| connections.poll_empty(cx));
        let overdue = async {
            Timer::after(shared.config.drain_deadline).await;
        };
        drained.or(overdue).await;
    };
    let ended = reactor.run(executor.run(serving.or(connections.sweep())));
    // Tasks that are left are dropped with the executor, and their tickets say so.
    drop(executor);
    if let Err(error) = ended {
        refuse_all(shared, arrivals, &error);
    }
}

/// A thread without a reactor serves nobody: each connection that comes to it is closed for that reason.
fn refuse_all(shared: &Shared, arrivals: &Receiver<Arrival>, error: &io::Error) {
    while let Ok(Arrival { peer, .. }) = arrivals.recv_blocking() {
        let reason = CloseReason::Io(io::Error::new(error.kind(), error.to_string()));
        shared.closed(&Closed { peer, reason, traffic: Traffic::default() });
    }
}

async fn serve<N, H, E>(ticket: Rc<Ticket>, halves: (ReadHalf, WriteHalf), new_handler: &N)
where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let reason = match catch_unwind(AssertUnwindSafe(|| new_handler(ticket.meter.peer))) {
        Err(panic) => CloseReason::of_panic(&*panic),
        Ok(handler) => {
            let mut connection = Connection::new(halves, &ticket.connections.format, handler, Rc::clone(&ticket));
            let greeting = &ticket.shared.config.greeting;
            let served = AssertUnwindSafe(connection.serve(greeting)).catch_unwind().await;
            let reason = served.unwrap_or_else(|panic| CloseReason::of_panic(&*panic));
            if let CloseReason::SlowReader { .. } | CloseReason::Overflow { .. } | CloseReason::OverBudget { .. } =
                reason
            {
                connection.reader().break_off();
            }
            reason
        }
    };
    ticket.close(reason);
}

/// Tells a peer that there is no place for it.
async fn refuse(ticket: Rc<Ticket>, halves: (ReadHalf, WriteHalf)) {
    let nothing = async |_: Frame<'_>, _: &mut Replies| Ok::<(), Infallible>(());
    let mut connection = Connection::new(halves, &ticket.connections.format, nothing, Rc::clone(&ticket));
    let reason = connection.refuse(ticket.shared.allowed).await;
    drop(connection);
    ticket.close(reason);
}

impl Connections {
    fn new(thread: usize, format: Format, reactor: &Rc<Reactor>) -> Connections {
        Connections {
            thread,
            format: Rc::new(format),
            reactor: Rc::clone(reactor),
            stopping: Cell::default(),
            slots: RefCell::default(),
            emptied: Cell::default(),
            deaf: Cell::default(),
            swept: Cell::new(reactor.now()),
            armed: Cell::default(),
            sweeper: Cell::default(),
        }
    }

    /// The time, without that for which this thread did not listen.
    fn now(&self) -> Instant {
        self.reactor.now() - self.deaf.get()
    }

    fn stop(&self) {
        self.stopping.set(true);
        for (_, slot) in &mut *self.slots.borrow_mut() {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slots.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.emptied.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Looks at the deadlines now and then, while there are any, for ever.
    async fn sweep(&self) {
        loop {
            poll_fn(|cx| self.poll_armed(cx)).await;
            let due = self.now() + SWEEP;
            Timer::after(SWEEP).await;
            let late = self.now().saturating_duration_since(due);
            if late > SWEEP {
                self.deaf.set(self.deaf.get() + late);
            }
            self.wake_overdue();
        }
    }

    fn poll_armed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.armed.get() {
            return Poll::Ready(());
        }
        self.sweeper.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn arm(&self) {
        if !self.armed.replace(true)
            && let Some(sweeper) = self.sweeper.take()
        {
            sweeper.wake();
        }
    }

    fn wake_overdue(&self) {
        let now = self.now();
        self.swept.set(now);
        let mut armed = false;
        for (_, slot) in &mut *self.slots.borrow_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) {
                slot.deadline = None;
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            }
            armed |= slot.deadline.is_some();
        }
        self.armed.set(armed);
    }
}

/// A connection's place among the others. It is accounted for exactly once, whatever becomes of its task.
struct Ticket {
    shared: Arc<Shared>,
    connections: Rc<Connections>,
    slot: usize,
    meter: Rc<Meter>,
    /// What the books know of the meter.
    booked: Cell<Traffic>,
    held: Cell<usize>,
    closed: Cell<bool>,
}

impl Ticket {
    fn new(shared: &Arc<Shared>, connections: &Rc<Connections>, peer: SocketAddr) -> Rc<Ticket> {
        let slot = connections.slots.borrow_mut().insert(Slot::default());
        let (shared, connections) = (Arc::clone(shared), Rc::clone(connections));
        let meter = Rc::new(Meter::new(peer));
        Rc::new(Ticket {
            shared,
            connections,
            slot,
            meter,
            booked: Cell::default(),
            held: Cell::default(),
            closed: Cell::default(),
        })
    }

    fn close(&self, reason: CloseReason) {
        self.closed.set(true);
        self.book();
        _ = self.shared.account.hold(self.held.replace(0), 0);
        self.shared.closed(&Closed { peer: self.meter.peer, reason, traffic: self.meter.traffic.get() });
    }

    /// Enters into the books what passed.
    fn book(&self) {
        let traffic = self.meter.traffic.get();
        let booked = self.booked.replace(traffic);
        if traffic != booked {
            self.shared.account.passed(self.connections.thread, booked, traffic);
        }
    }

    /// Registers the task, unless it is registered already.
    fn register(&self, slot: &mut Slot, cx: &Context<'_>) {
        if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.closed.get() {
            // Only a task that outlived the drain deadline is dropped without a reason.
            self.close(CloseReason::Stopped);
        }
        let mut slots = self.connections.slots.borrow_mut();
        slots.remove(self.slot);
        if slots.is_empty()
            && let Some(waker) = self.connections.emptied.take()
        {
            waker.wake();
        }
    }
}

impl Clock for Rc<Ticket> {
    fn now(&self) -> Instant {
        self.connections.now()
    }

    /// The time of the last look at the deadlines decides, as that knows for how long this thread did not listen.
    fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.connections.swept.get() >= deadline {
            return Poll::Ready(());
        }
        let slot = &mut self.connections.slots.borrow_mut()[self.slot];
        slot.deadline = Some(deadline);
        self.register(slot, cx);
        self.connections.arm();
        Poll::Pending
    }
}

impl Surroundings for Rc<Ticket> {
    fn limits(&self) -> &ServerConfig {
        &self.shared.config
    }

    fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }

    fn stopping(&self) -> bool {
        self.connections.stopping.get()
    }

    fn poll_stopping(&self, cx: &mut Context<'_>) -> bool {
        let stopping = self.stopping();
        if !stopping {
            self.register(&mut self.connections.slots.borrow_mut()[self.slot], cx);
        }
        stopping
    }

    fn settle(&self) -> Result<(), CloseReason> {
        self.book();
        let held = self.meter.held();
        match self.held.replace(held) {
            before if before == held => Ok(()),
            before => self.shared.account.hold(before, held),
        }
    }
}
