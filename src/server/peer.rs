//! What a handler knows of its connection.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Sleep;
use super::link::Link;
use super::outbox::Outbox;
use crate::peer::PeerName;

/// A connection's peer, as its handler meets it: its name, and the outbox by which anybody pushes to it. Cheap to clone; it
/// stays on its thread, and the [`Outbox`] goes to others.
#[derive(Clone)]
pub struct Peer {
    pub(super) link: Rc<Link>,
}

impl Peer {
    /// Its name: its address over TCP, its process over a Unix socket.
    pub fn name(&self) -> &PeerName {
        &self.link.peer
    }

    /// Where anybody pushes frames to it. It is made when it is first asked for: who does not push needs no memory for it.
    pub fn outbox(&self) -> Outbox {
        self.link.make_outbox().clone()
    }

    /// Waits for so long by the server's clock, which a simulation drives. Meanwhile the connection is written to, and nothing is
    /// read from it.
    ///
    /// # Cancel-safety
    /// Dropping the future takes the timer back.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.link.thread.clock.sleep(duration)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("name", &format_args!("{}", self.name())).finish_non_exhaustive()
    }
}
