//! One thread that serves connections, each in its own task.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use slab::Slab;
use smol::channel::Receiver;
use smol::{LocalExecutor, Timer};

use super::Shared;
use super::connection::{Connection, Replies, Signals};
use super::reactor::{Reactor, ReadHalf, WriteHalf};
use super::writer::Writer;
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::{Format, Frame};

/// How long a peer has to read our last replies after we closed, before it is cut off.
const LINGER: Duration = Duration::from_secs(1);

/// Between closing the listener and telling the connections: what has arrived by then is in flight.
const TICK: Duration = Duration::from_millis(10);

/// The connections of one thread.
struct Connections {
    format: Rc<Format>,
    stopping: Cell<bool>,
    /// A slot for each connection: who is to be woken by a stop.
    wakers: RefCell<Slab<Option<Waker>>>,
    /// Who is to be woken when the last connection has ended.
    emptied: Cell<Option<Waker>>,
}

/// Serves the sockets that come by `sockets`, until that is closed and the drain is over.
pub(super) fn run<N, H, E>(
    reactor: io::Result<Rc<Reactor>>,
    shared: &Arc<Shared>,
    new_handler: &N,
    sockets: &Receiver<(TcpStream, SocketAddr)>,
) where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let reactor = match reactor {
        Ok(reactor) => reactor,
        Err(error) => return refuse_all(shared, sockets, &error),
    };
    let executor = LocalExecutor::new();
    let connections = Rc::new(Connections::new(shared.format));
    let ended = reactor.run(executor.run(async {
        while let Ok((stream, peer)) = sockets.recv().await {
            let mut ticket = Ticket::new(shared, &connections, peer);
            match reactor.halves(stream) {
                Ok(halves) => executor.spawn(serve(ticket, halves, new_handler)).detach(),
                Err(error) => ticket.close(error.into()),
            }
        }
        Timer::after(TICK).await;
        connections.stop();
        let drained = poll_fn(|cx| connections.poll_empty(cx));
        let overdue = async {
            Timer::after(shared.drain_deadline).await;
        };
        drained.or(overdue).await;
    }));
    // Tasks that are left are dropped with the executor, and their tickets say so.
    drop(executor);
    if let Err(error) = ended {
        refuse_all(shared, sockets, &error);
    }
}

/// A thread without a reactor serves nobody: each connection that comes to it is closed for that reason.
fn refuse_all(shared: &Shared, sockets: &Receiver<(TcpStream, SocketAddr)>, error: &io::Error) {
    while let Ok((_, peer)) = sockets.recv_blocking() {
        let reason = CloseReason::Io(io::Error::new(error.kind(), error.to_string()));
        shared.closed(&Closed { peer, reason, traffic: Traffic::default() });
    }
}

async fn serve<N, H, E>(mut ticket: Box<Ticket>, (reader, writer): (ReadHalf, WriteHalf), new_handler: &N)
where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Replies) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let reason = match catch_unwind(AssertUnwindSafe(|| new_handler(ticket.peer))) {
        Err(panic) => CloseReason::of_panic(&*panic),
        Ok(handler) => {
            let socket = (ticket.peer, reader, Writer::Own(writer));
            let format = &ticket.connections.format;
            let mut connection = Connection::new(socket, format, handler, &*ticket, &ticket.traffic);
            let served = AssertUnwindSafe(connection.serve(&ticket.shared.greeting)).catch_unwind().await;
            served.unwrap_or_else(|panic| CloseReason::of_panic(&*panic))
        }
    };
    ticket.close(reason);
}

impl Connections {
    fn new(format: Format) -> Connections {
        Connections {
            format: Rc::new(format),
            stopping: Cell::default(),
            wakers: RefCell::default(),
            emptied: Cell::default(),
        }
    }

    fn stop(&self) {
        self.stopping.set(true);
        for (_, waker) in &mut *self.wakers.borrow_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wakers.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.emptied.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// A connection's place among the others. It is accounted for exactly once, whatever becomes of its task.
struct Ticket {
    shared: Arc<Shared>,
    connections: Rc<Connections>,
    peer: SocketAddr,
    slot: usize,
    traffic: Cell<Traffic>,
    closed: bool,
}

impl Ticket {
    fn new(shared: &Arc<Shared>, connections: &Rc<Connections>, peer: SocketAddr) -> Box<Ticket> {
        let slot = connections.wakers.borrow_mut().insert(None);
        let (shared, connections) = (Arc::clone(shared), Rc::clone(connections));
        Box::new(Ticket { shared, connections, peer, slot, traffic: Cell::default(), closed: false })
    }

    fn close(&mut self, reason: CloseReason) {
        self.closed = true;
        self.shared.closed(&Closed { peer: self.peer, reason, traffic: self.traffic.get() });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.closed {
            // Only a task that outlived the drain deadline is dropped without a reason.
            self.close(CloseReason::Stopped);
        }
        let mut wakers = self.connections.wakers.borrow_mut();
        wakers.remove(self.slot);
        if wakers.is_empty()
            && let Some(waker) = self.connections.emptied.take()
        {
            waker.wake();
        }
    }
}

impl Signals for &Ticket {
    fn stopping(&self, cx: &mut Context<'_>) -> bool {
        if self.connections.stopping.get() {
            return true;
        }
        let slot = &mut self.connections.wakers.borrow_mut()[self.slot];
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *slot = Some(cx.waker().clone());
        }
        false
    }

    async fn lingered(&self) {
        Timer::after(LINGER).await;
    }
}
