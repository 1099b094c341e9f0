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

/// What a transport keeps between reading and handing on, and between taking and writing: records of TLS.
#[derive(Clone, Copy, Default)]
pub(super) struct Kept {
    /// Bytes received that belong to an unfinished record.
    pub(super) unfinished: usize,
    /// Bytes taken that are not written.
    pub(super) unsent: usize,
    /// Bytes of memory that are leased for both.
    pub(super) held: usize,
    /// Bytes for which a lease is waited for; 0 for none.
    pub(super) wants: usize,
}

/// What a connection's task shares with its responder and its peer handle. Only the task has the transport.
pub(super) struct Link {
    pub(super) thread: Rc<Thread>,
    pub(super) peer: PeerName,
    pub(super) output: RefCell<Output>,
    /// Made when it is first asked for.
    outbox: OnceCell<Outbox>,
    /// The memory of the frame at hand, where it is large: so its payload can be kept without a copy. In memory of its own, as
    /// most connections have none.
    pub(super) received: RefCell<Option<Box<Bytes>>>,
    /// What its transport keeps, if that is over TLS.
    pub(super) kept: Cell<Kept>,
    /// Its slot in its thread.
    pub(super) slot: usize,
    /// Whether it is served, or refused.
    is_admitted: bool,
    /// What the account knows of it.
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

    /// Tells the account what has passed by now.
    pub(super) fn passed(&self, frames_in: u64, bytes_in: u64) {
        let output = self.output.borrow();
        self.tell(Traffic { frames_in, bytes_in, frames_out: output.frames, bytes_out: output.bytes });
    }

    /// Tells the account what was put on its way by now, also where nothing has come since: a greeting, and what is pushed.
    pub(super) fn sent(&self, output: &Output) {
        self.tell(Traffic { frames_out: output.frames, bytes_out: output.bytes, ..self.traffic.get() });
    }

    fn tell(&self, now: Traffic) {
        let before = self.traffic.replace(now);
        if before != now {
            self.thread.shared.account.passed(self.thread.number, before, now);
        }
    }

    /// The connection's outbox, if anybody has asked for it.
    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get()
    }

    /// The connection's outbox.
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

    /// Moves what was pushed behind what waits, so that frames keep the order of sending.
    #[inline]
    pub(super) fn take_pushes(&self, output: &mut Output) {
        if let Some(outbox) = self.outbox.get()
            && outbox.is_due()
        {
            output.take(outbox, None);
        }
    }

    /// These bytes without a copy, where they are long, and within the memory of the frame at hand.
    pub(super) fn part_of_received(&self, bytes: &[u8]) -> Option<Bytes> {
        let received = self.received.borrow();
        let received = received.as_deref()?;
        let start = bytes.as_ptr().addr().checked_sub(received.as_ptr().addr())?;
        let is_part = bytes.len() >= NO_COPY_LEN && start + bytes.len() <= received.len();
        is_part.then(|| received.slice(start..start + bytes.len()))
    }

    /// How far the outbox is.
    pub(super) fn state(&self) -> State {
        self.outbox.get().map_or(State::Open, Outbox::state)
    }

    /// Nothing is pushed any more.
    pub(super) fn shut_outbox(&self) {
        if let Some(outbox) = self.outbox.get()
            && outbox.state() != State::Closed
        {
            outbox.shut();
        }
    }
}

/// The connection's entry in its server's account and its thread: it is accounted for exactly once, whatever becomes of its
/// task.
pub(super) struct Entry(pub(super) Rc<Link>);

impl Entry {
    /// A connection comes, which is admitted or is to be refused.
    pub(super) fn new(thread: &Rc<Thread>, peer: PeerName, is_admitted: bool) -> Entry {
        Entry(Link::new(thread, peer, is_admitted))
    }

    /// Whether it is served, or refused.
    pub(super) fn is_admitted(&self) -> bool {
        self.0.is_admitted
    }

    /// It has ended, for this reason.
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
