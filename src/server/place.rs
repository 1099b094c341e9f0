//! A connection's place: what it may do, what time it is, what it is told, and its figures.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::clock::Clock;
use super::connections::Connections;
use super::{ServerConfig, Shared};
use crate::close::{CloseReason, Closed, Traffic};
use crate::framing::Format;

/// One connection's place among the others, or alone. It is accounted for exactly once, whatever becomes of its task.
pub(super) struct Place {
    peer: SocketAddr,
    traffic: Cell<Traffic>,
    /// Bytes of memory that the reading side has.
    pub(super) input: Cell<usize>,
    /// Bytes of replies that wait, or of memory for them.
    pub(super) replies: Cell<usize>,
    /// What the books know of both.
    held: Cell<usize>,
    /// The write timeout has passed.
    pub(super) write_overdue: Cell<bool>,
    /// The writer is being closed. Whoever closes flushes before, each time it asks; that this is done is no progress then.
    pub(super) closing: Cell<bool>,
    closed: Cell<bool>,
    /// It is served, and not one too many.
    is_served: bool,
    around: Around,
}

/// What is around a connection.
enum Around {
    /// A server's thread, with others.
    Thread { shared: Arc<Shared>, connections: Rc<Connections>, slot: usize },
    /// What it was given.
    Alone(Box<Alone>),
}

/// What a connection has that nobody stops, and that shares with nobody.
struct Alone {
    config: ServerConfig,
    format: Rc<Format>,
    clock: Box<dyn Clock>,
}

impl Place {
    /// A place on a server's thread.
    pub(super) fn among(
        shared: &Arc<Shared>,
        connections: &Rc<Connections>,
        peer: SocketAddr,
        is_served: bool,
    ) -> Rc<Place> {
        let (shared, connections) = (Arc::clone(shared), Rc::clone(connections));
        let slot = connections.enter();
        Place::new(peer, is_served, Around::Thread { shared, connections, slot })
    }

    /// A place without others.
    pub(super) fn alone(config: ServerConfig, clock: impl Clock + 'static, peer: SocketAddr) -> Rc<Place> {
        let alone = Alone { format: Rc::new(config.format), config, clock: Box::new(clock) };
        Place::new(peer, true, Around::Alone(Box::new(alone)))
    }

    fn new(peer: SocketAddr, is_served: bool, around: Around) -> Rc<Place> {
        Rc::new(Place {
            peer,
            traffic: Cell::default(),
            input: Cell::default(),
            replies: Cell::default(),
            held: Cell::default(),
            write_overdue: Cell::default(),
            closing: Cell::default(),
            closed: Cell::default(),
            is_served,
            around,
        })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What passed, as far as it is counted.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    pub(super) fn config(&self) -> &ServerConfig {
        match &self.around {
            Around::Thread { shared, .. } => &shared.config,
            Around::Alone(alone) => &alone.config,
        }
    }

    /// The format, which all connections of a thread have in common.
    pub(super) fn format(&self) -> &Rc<Format> {
        match &self.around {
            Around::Thread { connections, .. } => &connections.format,
            Around::Alone(alone) => &alone.format,
        }
    }

    /// How many connections are served at a time.
    pub(super) fn max_connections(&self) -> usize {
        match &self.around {
            Around::Thread { shared, .. } => shared.allowed,
            Around::Alone(_) => 1,
        }
    }

    pub(super) fn now(&self) -> Instant {
        match &self.around {
            Around::Thread { connections, .. } => connections.now(),
            Around::Alone(alone) => alone.clock.now(),
        }
    }

    /// Whether this time has come; wakes the task once it has. The last time asked for counts.
    pub(super) fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        match &self.around {
            Around::Thread { connections, slot, .. } => connections.poll_until(*slot, deadline, cx),
            Around::Alone(alone) => alone.clock.poll_until(deadline, cx),
        }
    }

    /// Wakes the task once others had their turn: those that wait for events, too.
    pub(super) fn next_turn(&self, cx: &Context<'_>) {
        match &self.around {
            Around::Thread { connections, .. } => connections.next_turn(cx),
            Around::Alone(_) => cx.waker().wake_by_ref(),
        }
    }

    /// Whether to end as soon as what is in flight is dealt with.
    pub(super) fn stopping(&self) -> bool {
        matches!(&self.around, Around::Thread { connections, .. } if connections.stopping())
    }

    /// The same; wakes the task when that changes.
    pub(super) fn poll_stopping(&self, cx: &mut Context<'_>) -> bool {
        match &self.around {
            Around::Thread { connections, slot, .. } => connections.poll_stopping(*slot, cx),
            Around::Alone(_) => false,
        }
    }

    /// Enters into the books what has passed by now.
    pub(super) fn passed(&self, now: Traffic) {
        let before = self.traffic.replace(now);
        if let Around::Thread { shared, connections, .. } = &self.around {
            shared.account.passed(connections.thread, before, now);
        }
    }

    /// Enters into the books what the connection holds while it waits.
    ///
    /// # Errors
    /// Where that is more than it may.
    pub(super) fn hold(&self) -> Result<(), CloseReason> {
        let now = self.input.get() + self.replies.get();
        let before = self.held.replace(now);
        match &self.around {
            Around::Thread { shared, .. } if before != now => shared.account.hold(before, now),
            _ => Ok(()),
        }
    }

    /// The connection has ended, for this reason.
    pub(super) fn close(&self, reason: CloseReason) {
        self.closed.set(true);
        if let Around::Thread { shared, .. } = &self.around {
            let given_back = shared.account.hold(self.held.replace(0), 0);
            debug_assert!(given_back.is_ok(), "less is never too much");
            shared.closed(self.is_served, &Closed { peer: self.peer.into(), reason, traffic: self.traffic.get() });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.closed.get() {
            // Only a task that outlived the drain timeout is dropped without a reason.
            self.close(CloseReason::Stopped);
        }
        if let Around::Thread { connections, slot, .. } = &self.around {
            connections.leave(*slot);
        }
    }
}
