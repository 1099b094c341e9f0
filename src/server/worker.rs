//! One thread that serves connections, each in its own task.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::poll_fn;
use smol::channel::Receiver;
use smol::{LocalExecutor, Timer};

use super::connection::Connection;
use super::connections::Connections;
use super::panic;
use super::place::Place;
use super::reactor::{Reactor, ReadHalf, WriteHalf};
use super::responder::Responder;
use super::writer::{To, Writer};
use super::{Arrival, Shared};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::Frame;

/// Between closing the listener and telling the connections: what has arrived by then is in flight.
const TICK: Duration = Duration::from_millis(10);

/// Serves the sockets that come by `arrivals`, until that is closed and the drain is over.
pub(super) fn run<N, H, E>(
    thread: usize,
    reactor: io::Result<Rc<Reactor>>,
    shared: &Arc<Shared>,
    new_handler: &N,
    arrivals: &Receiver<Arrival>,
) where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let reactor = match reactor {
        Ok(reactor) => reactor,
        Err(error) => return refuse_all(shared, arrivals, &error),
    };
    let executor = LocalExecutor::new();
    let connections = Rc::new(Connections::new(thread, shared.config.format, &reactor));
    let serving = async {
        while let Ok(Arrival { stream, peer, has_place }) = arrivals.recv().await {
            let place = Place::among(shared, &connections, peer, has_place);
            match reactor.halves(stream) {
                Ok(halves) if has_place => executor.spawn(serve(place, halves, new_handler)).detach(),
                Ok(halves) => executor.spawn(refuse(place, halves)).detach(),
                Err(error) => place.close(error.into()),
            }
        }
        Timer::after(TICK).await;
        connections.stop();
        let drained = poll_fn(|cx| connections.poll_empty(cx));
        let overdue = async {
            Timer::after(shared.config.drain_timeout).await;
        };
        drained.or(overdue).await;
    };
    let ended = reactor.run(executor.run(serving.or(connections.sweep())));
    // Tasks that are left are dropped with the executor, and their places say so.
    drop(executor);
    if let Err(error) = ended {
        refuse_all(shared, arrivals, &error);
    }
}

/// A thread without a reactor serves nobody: each connection that comes to it is closed for that reason.
fn refuse_all(shared: &Shared, arrivals: &Receiver<Arrival>, error: &io::Error) {
    while let Ok(Arrival { peer, has_place, .. }) = arrivals.recv_blocking() {
        let reason = CloseReason::Io(io::Error::new(error.kind(), error.to_string()));
        shared.closed(has_place, &Closed { peer: peer.into(), reason, traffic: Traffic::default() });
    }
}

/// Serves a connection to its end. An async function keeps room for what it is given beside what it makes of it; so the
/// connection is made here, and used where it is.
fn serve<N, H, E>(
    place: Rc<Place>,
    (reader, writer): (ReadHalf, WriteHalf),
    new_handler: &N,
) -> impl Future<Output = ()> + use<N, H, E>
where
    N: Fn(SocketAddr) -> H,
    H: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let handler = catch_unwind(AssertUnwindSafe(|| new_handler(place.peer())));
    let connection = handler.map(|handler| {
        let writer = Writer::new(To::Own(writer), &place);
        Connection::new(reader, writer, place.format(), handler)
    });
    // The connection knows its place, and only one of the two needs room.
    let mut connection = connection.map_err(|panic| (place, panic));
    async move {
        let reason = match &mut connection {
            Err((_, panic)) => panic::reason(&**panic),
            Ok(connection) => match AssertUnwindSafe(connection.serve()).catch_unwind().await {
                Err(panic) => panic::reason(&*panic),
                Ok(reason) => *reason,
            },
        };
        let place = Rc::clone(match &connection {
            Err((place, _)) => place,
            Ok(connection) => connection.place(),
        });
        if let Ok(connection) = &connection
            && let CloseReason::SlowReader { .. } | CloseReason::Overflow { .. } | CloseReason::OverBudget { .. } =
                reason
        {
            connection.reader().break_off();
        }
        // The handler goes with it, and what it does then may panic, too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(connection)));
        place.close(dropped.err().map_or(reason, |panic| panic::reason(&*panic)));
    }
}

/// Tells a peer that there is no place for it.
async fn refuse(place: Rc<Place>, (reader, writer): (ReadHalf, WriteHalf)) {
    let nothing = async |_: Frame<'_>, _: &mut Responder| Ok::<(), Infallible>(());
    let mut connection = Connection::new(reader, Writer::new(To::Own(writer), &place), place.format(), nothing);
    let reason = connection.refuse().await;
    drop(connection);
    place.close(*reason);
}
