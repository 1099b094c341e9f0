//! The handle of a connection that its handler is made with.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Sleep;
use super::link::Link;
use super::outbox::Outbox;
use crate::peer::PeerName;

/// A connection, as `new_handler` of [`Server::serve`](crate::Server::serve) gets it: the peer's name, the outbox by which
/// anybody pushes to it, and a timer. Cheap to clone. It is not `Send` and stays on its thread; the [`Outbox`] may go anywhere.
///
/// ```
/// use std::time::Duration;
/// use unstick::framing::Frame;
/// use unstick::{Peer, Responder};
///
/// /// Answers a second later, with a number that counts the frames of this connection.
/// fn new_handler(peer: Peer) -> impl AsyncFnMut(Frame<'_>, &mut Responder) -> Result<(), unstick::framing::EncodeError> {
///     let mut count = 0;
///     async move |_frame, responder| {
///         count += 1;
///         peer.sleep(Duration::from_secs(1)).await;
///         responder.send(format!("{count}").as_bytes()).await
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Peer {
    pub(super) link: Rc<Link>,
}

impl Peer {
    /// The peer's name: its address over TCP, its process over a Unix socket.
    pub fn name(&self) -> &PeerName {
        &self.link.peer
    }

    /// The outbox by which anybody pushes frames to the peer; always the same one. It is created by the first call, so a
    /// connection that nobody pushes to needs no memory for it.
    pub fn outbox(&self) -> Outbox {
        self.link.make_outbox().clone()
    }

    /// Waits that long, by the server's clock: in a test, a `Simulation` (feature `testing`) may drive that. Meanwhile the
    /// connection is written to, and nothing is read from it.
    ///
    /// # Cancel-safety
    /// Dropping the future removes the timer.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.link.thread.clock.sleep(duration)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("name", &format_args!("{}", self.name())).finish_non_exhaustive()
    }
}
