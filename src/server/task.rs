//! The task of one connection: it is served or refused, and its end is reported.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::FutureExt;

use super::connection::Connection;
use super::link::Entry;
use super::panic;
use super::peer::Peer;
use super::responder::Responder;
use super::transport::Transport;
use crate::close::Closed;
use crate::framing::{Frame, Header};

/// Serves a connection to its end.
///
/// It is not an `async fn`, as the future of one would keep the arguments beside the connection that is made of them.
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
        // This drops the handler, which may panic, too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(connection)));
        entry.end(dropped.err().map_or(reason, |panic| panic::reason(&*panic)))
    }
}

/// Sends the refusal to a peer that is not admitted.
pub(super) async fn refuse<T: Transport, H: Header>(transport: T, header: Arc<H>, entry: Entry) {
    let nothing = async |_: Frame<'_>, _: &mut Responder| Ok::<(), Infallible>(());
    let mut connection = Connection::new(transport, header, Rc::clone(&entry.0), nothing);
    let reason = connection.refuse().await;
    drop(connection);
    entry.end(reason);
}
