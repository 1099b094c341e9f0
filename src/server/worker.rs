//! One thread that serves connections, each in its own task.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use smol::LocalExecutor;
use smol::channel::Receiver;

use super::clock::Clock;
use super::connection::Connection;
use super::link::Entry;
use super::panic;
use super::peer::Peer;
use super::responder::Responder;
use super::shared::Shared;
use super::thread::Thread;
use super::transport::{Accepted, Reactor, Transport};
use crate::close::Closed;
use crate::framing::{Frame, Header};
use crate::peer::PeerName;

/// The time between closing the listener and telling the connections to end: what has arrived by then is still handled.
const TICK: Duration = Duration::from_millis(10);

/// A connection on its way to a thread, and whether it is served or refused.
pub(super) struct Arrival {
    pub(super) accepted: Accepted,
    pub(super) peer: PeerName,
    pub(super) is_admitted: bool,
}

/// What a thread needs to serve: the header of the frames, and what makes a handler for each connection.
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

/// Serves what comes by `arrivals`, until that is closed and the drain is over. Sockets need the thread's reactor.
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
            match (accepted, reactor) {
                (Accepted::Stream(stream), Some(reactor)) => match reactor.socket(stream) {
                    Ok(socket) if is_admitted => executor.spawn(serve(socket, header, entry, &*new_handler)).detach(),
                    Ok(socket) => executor.spawn(refuse(socket, header, entry)).detach(),
                    Err(error) => _ = entry.end(error.into()),
                },
                (Accepted::Other(other), _) if is_admitted => {
                    executor.spawn(serve(other, header, entry, &*new_handler)).detach();
                }
                (Accepted::Other(other), _) => executor.spawn(refuse(other, header, entry)).detach(),
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

/// Serves a connection to its end.
///
/// It is no async function: the future of one would keep its arguments beside the connection that is made of them.
pub(super) fn serve<T, H, N, F, E>(
    transport: T,
    header: Arc<H>,
    entry: Entry,
    new_handler: N,
) -> impl Future<Output = Closed> + use<T, H, N, F, E>
where
    T: Transport,
    H: Header,
    N: FnOnce(Peer) -> F,
    F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let peer = Peer { link: Rc::clone(&entry.0) };
    let handler = catch_unwind(AssertUnwindSafe(|| new_handler(peer)));
    let mut connection = handler.map(|handler| Connection::new(transport, header, Rc::clone(&entry.0), handler));
    async move {
        let reason = match &mut connection {
            Err(panic) => panic::reason(&**panic),
            Ok(connection) => match AssertUnwindSafe(connection.serve()).catch_unwind().await {
                Err(panic) => panic::reason(&*panic),
                Ok(reason) => *reason,
            },
        };
        // The handler goes with it, and what it does then may panic, too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(connection)));
        entry.end(dropped.err().map_or(reason, |panic| panic::reason(&*panic)))
    }
}

/// Sends the refusal to a peer that is not admitted.
async fn refuse<T: Transport, H: Header>(transport: T, header: Arc<H>, entry: Entry) {
    let nothing = async |_: Frame<'_>, _: &mut Responder| Ok::<(), Infallible>(());
    let mut connection = Connection::new(transport, header, Rc::clone(&entry.0), nothing);
    let reason = connection.refuse().await;
    drop(connection);
    entry.end(reason);
}
