//! A server without sockets, threads or a clock of its own.

use std::error::Error;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::FutureExt;
use futures_lite::future::zip;
use smol::channel;

use super::accept;
use super::account::Stats;
use super::clock::Clock;
use super::peer::Peer;
use super::responder::Responder;
use super::serve::Server;
use super::system;
use super::worker::{self, Service};
use crate::framing::{Frame, Header};

/// A time to begin with.
pub(crate) fn any_time() -> Instant {
    system::now()
}

impl<H: Header + Send + Sync + 'static> Server<H> {
    /// [`serve`](Server::serve) on this thread, with a clock that the caller drives.
    pub(crate) async fn simulate<N, F, E>(
        self,
        clock: Rc<Clock>,
        new_handler: N,
        stop: impl Future<Output = ()>,
    ) -> Stats
    where
        N: Fn(Peer) -> F + 'static,
        F: AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), E> + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Server { mut listening, header, shared } = self;
        let shared = Arc::new(shared);
        let service = Service { shared: Arc::clone(&shared), header, new_handler: Arc::new(new_handler) };
        let (worker, arrivals) = channel::unbounded();
        let serving = worker::run(0, service, arrivals, &clock, None);
        let accepting = async {
            let (workers, sleep) = ([worker], async |duration| clock.sleep(duration).await);
            stop.or(accept::accept(&mut listening, &shared, &workers, &sleep)).await;
            drop(listening);
        };
        zip(serving, accepting).await;
        shared.account.stats()
    }
}
