//! What a connection's task shares with its responder and its peer handle.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;

use super::outbox::{Outbox, State};
use super::output::Output;
use super::thread::Thread;
use crate::adapters::NO_COPY_LEN;
use crate::close::{CloseReason, Closed, Traffic};
use crate::peer::PeerName;

/// What a TLS transport keeps: received records that it cannot decrypt yet, and records that it has not sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Kept {
    /// Bytes received that belong to an unfinished record.
    pub(super) unfinished: usize,
    /// Bytes of unsent records.
    pub(super) unsent: usize,
    /// Bytes of memory leased for both.
    pub(super) held: usize,
    /// Bytes that it waits to lease; 0 if it does not wait.
    pub(super) wants: usize,
}

/// What a connection's task shares with its responder and its peer handle. Only the task has the transport.
pub(super) struct Link {
    pub(super) thread: Rc<Thread>,
    pub(super) peer: PeerName,
    pub(super) output: RefCell<Output>,
    /// Made at its first use.
    outbox: OnceCell<Outbox>,
    /// The memory of a large frame that the handler works on, so that its payload can be kept without a copy. Boxed, as
    /// most connections have none.
    pub(super) received: RefCell<Option<Box<Bytes>>>,
    /// What its transport keeps, if that is over TLS.
    pub(super) kept: Cell<Kept>,
    /// Its slot in [`Thread`].
    pub(super) slot: usize,
    /// Whether it is served; otherwise it is refused.
    is_admitted: bool,
    /// The traffic that the account has counted.
    traffic: Cell<Traffic>,
    ended: Cell<bool>,
}

impl Link {
    fn new(thread: &Rc<Thread>, peer: PeerName, is_admitted: bool) -> Rc<Link> {
        Rc::new(Link {
            thread: Rc::clone(thread),
            peer,
            output: RefCell::new(Output::new(&thread.shared)),
            outbox: OnceCell::new(),
            received: RefCell::default(),
            kept: Cell::default(),
            slot: thread.enter(),
            is_admitted,
            traffic: Cell::default(),
            ended: Cell::default(),
        })
    }

    /// Updates the account with all traffic so far.
    pub(super) fn passed(&self, frames_in: u64, bytes_in: u64) {
        let output = self.output.borrow();
        self.tell(Traffic { frames_in, bytes_in, frames_out: output.frames, bytes_out: output.bytes });
    }

    /// Updates the account with all that was sent so far, such as a greeting or pushes, before anything is received.
    pub(super) fn sent(&self, output: &Output) {
        self.tell(Traffic { frames_out: output.frames, bytes_out: output.bytes, ..self.traffic.get() });
    }

    fn tell(&self, now: Traffic) {
        let before = self.traffic.replace(now);
        if before != now {
            self.thread.shared.account.passed(self.thread.number, before, now);
        }
    }

    /// The connection's outbox, if it was made.
    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get()
    }

    /// The connection's outbox, which is made if there is none.
    pub(super) fn make_outbox(&self) -> &Outbox {
        self.outbox.get_or_init(|| {
            let shared = &self.thread.shared;
            let outbox = Outbox::new(&shared.encode, &shared.budget, shared.config.outbox_limit);
            if self.ended.get() || self.thread.stopping() {
                outbox.shut();
            }
            outbox
        })
    }

    /// Moves pushes to the end of the queue, so that frames keep the order of sending.
    #[inline]
    pub(super) fn take_pushes(&self, output: &mut Output) {
        if let Some(outbox) = self.outbox.get()
            && outbox.is_pending()
        {
            output.take(outbox, None);
        }
    }

    /// These bytes without a copy, if they are long and part of the frame that the handler works on.
    pub(super) fn part_of_received(&self, bytes: &[u8]) -> Option<Bytes> {
        let received = self.received.borrow();
        let received = received.as_deref()?;
        let start = bytes.as_ptr().addr().checked_sub(received.as_ptr().addr())?;
        let is_part = bytes.len() >= NO_COPY_LEN && start + bytes.len() <= received.len();
        is_part.then(|| received.slice(start..start + bytes.len()))
    }

    /// The state of the outbox.
    pub(super) fn state(&self) -> State {
        self.outbox.get().map_or(State::Open, Outbox::state)
    }

    /// Ends pushing.
    pub(super) fn shut_outbox(&self) {
        if let Some(outbox) = self.outbox.get()
            && outbox.state() != State::Closed
        {
            outbox.shut();
        }
    }
}

/// The connection's entry in its server's account and in its thread. Its end is counted exactly once, even if its task
/// is dropped.
pub(super) struct Entry(pub(super) Rc<Link>);

impl Entry {
    /// A new connection, which is admitted or will be refused.
    pub(super) fn new(thread: &Rc<Thread>, peer: PeerName, is_admitted: bool) -> Entry {
        Entry(Link::new(thread, peer, is_admitted))
    }

    /// Whether it is served; otherwise it is refused.
    pub(super) fn is_admitted(&self) -> bool {
        self.0.is_admitted
    }

    /// Reports that it has ended for this reason.
    pub(super) fn end(&self, reason: CloseReason) -> Closed {
        let link = &*self.0;
        link.ended.set(true);
        if let Some(outbox) = link.outbox() {
            outbox.forget();
        }
        link.thread.shared.closed(link.peer.clone(), link.is_admitted, reason, link.traffic.get())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.0.ended.get() {
            // Only a task that outlived the drain timeout is dropped without a reason.
            self.end(CloseReason::Stopped);
        }
        self.0.thread.leave(self.0.slot);
    }
}
