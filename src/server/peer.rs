//! The handle of a connection that the handler's factory gets.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Sleep;
use super::link::Link;
use super::outbox::Outbox;
use crate::peer::PeerName;

/// A connection, as `new_handler` of [`Server::serve`](crate::Server::serve) gets it: the peer's name, an outbox to
/// push to it, and a timer. Cheap to clone. It is not `Send` and stays on its thread; the [`Outbox`] can go to any
/// thread.
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
    /// The peer's name: its address over TCP, its process over a Unix socket; over TLS with its certificates.
    pub fn name(&self) -> &PeerName {
        &self.link.peer
    }

    /// The outbox that pushes frames to the peer; always the same one. The first call creates it, so a connection
    /// without pushes needs no memory for it.
    pub fn outbox(&self) -> Outbox {
        self.link.make_outbox().clone()
    }

    /// Waits this long, by the server's clock, which a `Simulation` (feature `testing`) can drive. Meanwhile replies
    /// and pushes are written, and nothing is read from the connection.
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
