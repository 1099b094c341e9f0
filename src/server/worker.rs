//! One thread that serves connections, each in its own task.

use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use smol::LocalExecutor;
use smol::channel::Receiver;

use super::clock::Clock;
use super::link::Entry;
use super::peer::Peer;
use super::responder::Responder;
use super::shared::Shared;
use super::thread::Thread;
use super::transport::{Accepted, Reactor, Transport};
use super::{task, tls};
use crate::framing::{Frame, Header};
use crate::peer::PeerName;

/// The time between closing the listener and telling the connections to end. Frames that arrive by then are handled.
const TICK: Duration = Duration::from_millis(10);

/// A connection on its way to a thread, and whether it is served or refused.
pub(super) struct Arrival {
    pub(super) accepted: Accepted,
    pub(super) peer: PeerName,
    pub(super) is_admitted: bool,
}

/// What a thread needs to serve: the header of the frames, and the factory of handlers.
pub(super) struct Service<H, N> {
    pub(super) shared: Arc<Shared>,
    pub(super) header: Arc<H>,
    pub(super) new_handler: Arc<N>,
}

impl<H, N> Clone for Service<H, N> {
    fn clone(&self) -> Service<H, N> {
        let Service { shared, header, new_handler } = self;
        Service { shared: Arc::clone(shared), header: Arc::clone(header), new_handler: Arc::clone(new_handler) }
    }
}

/// Serves the connections from `arrivals` until that is closed and the drain has ended. Sockets need the thread's
/// reactor.
pub(super) async fn run<H, N, F, E>(
    number: usize,
    service: Service<H, N>,
    arrivals: Receiver<Arrival>,
    clock: &Rc<Clock>,
    reactor: Option<&Rc<Reactor>>,
) where
    H: Header + Send + Sync + 'static,
    N: Fn(Peer) -> F,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let Service { shared, header, new_handler } = service;
    let executor = LocalExecutor::new();
    let thread = Thread::new(number, &shared, clock);
    let serving = async {
        while let Ok(Arrival { accepted, peer, is_admitted }) = arrivals.recv().await {
            let entry = Entry::new(&thread, peer, is_admitted);
            let header = Arc::clone(&header);
            let begin = Begin { executor: &executor, header: Arc::clone(&header), entry, new_handler: &*new_handler };
            match (accepted, reactor) {
                (Accepted::Stream(stream), Some(reactor)) => match reactor.socket(stream) {
                    Ok(socket) => begin.with(socket),
                    Err(error) => _ = begin.entry.end(error.into()),
                },
                (Accepted::Other(other), _) => begin.with(other),
                (Accepted::Stream(_), None) => unreachable!("a simulation accepts no sockets"),
            }
        }
        clock.sleep(TICK).await;
        thread.stop();
        let drained = poll_fn(|cx| thread.poll_empty(cx));
        drained.or(clock.sleep(shared.config.drain_timeout)).await;
    };
    let sweeping = async { match thread.sweep().await {} };
    executor.run(serving.or(sweeping)).await;
    // Tasks that are left are dropped with the executor; their entries end as stopped.
}

/// A connection whose task is not spawned yet.
struct Begin<'a, 'b, H, N> {
    executor: &'b LocalExecutor<'a>,
    header: Arc<H>,
    entry: Entry,
    new_handler: &'a N,
}

impl<'a, H: Header + 'a, N> Begin<'a, '_, H, N> {
    /// Spawns its task.
    fn with<T, F, E>(self, transport: T)
    where
        T: Transport + Into<tls::Below> + 'a,
        N: Fn(Peer) -> F,
        F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'a,
        E: Into<Box<dyn Error + Send + Sync>> + 'a,
    {
        let Begin { executor, header, entry, new_handler } = self;
        match entry.0.thread.shared.acceptor.clone() {
            Some(acceptor) => {
                executor.spawn(tls::serve(acceptor, transport.into(), header, entry, new_handler)).detach();
            }
            None if entry.is_admitted() => executor.spawn(task::serve(transport, header, entry, new_handler)).detach(),
            None => executor.spawn(task::refuse(transport, header, entry)).detach(),
        }
    }
}
