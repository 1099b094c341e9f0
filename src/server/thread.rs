//! What the connections of one thread share: the clock, the stop, and one task that checks all deadlines.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::poll_fn;
use slab::Slab;

use super::clock::Clock;
use super::shared::Shared;

/// The time between two checks of the deadlines: a connection ends at most this late.
const SWEEP: Duration = Duration::from_millis(100);

/// What the connections of one thread share.
pub(super) struct Thread {
    /// Its number.
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Rc<Clock>,
    stopping: Cell<bool>,
    /// A slot for each connection.
    slots: RefCell<Slab<Slot>>,
    /// Woken when the last connection has ended.
    emptied: Cell<Option<Waker>>,
    /// Whether there are deadlines to check, and the task that checks them.
    armed: Cell<bool>,
    sweeper: Cell<Option<Waker>>,
}

/// A connection's task, which a stop or its deadline wakes.
#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    deadline: Option<Instant>,
}

impl Thread {
    pub(super) fn new(number: usize, shared: &Arc<Shared>, clock: &Rc<Clock>) -> Rc<Thread> {
        Rc::new(Thread {
            number,
            shared: Arc::clone(shared),
            clock: Rc::clone(clock),
            stopping: Cell::default(),
            slots: RefCell::default(),
            emptied: Cell::default(),
            armed: Cell::default(),
            sweeper: Cell::default(),
        })
    }

    /// Whether connections must end as soon as the frames in flight are handled.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Tells all connections to end.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        for (_, slot) in &mut *self.slots.borrow_mut() {
            slot.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Ready if there is no connection; otherwise the task is woken when the last one has ended.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slots.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.emptied.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Adds a connection, and returns its slot.
    pub(super) fn enter(&self) -> usize {
        self.slots.borrow_mut().insert(Slot::default())
    }

    /// Removes a connection.
    pub(super) fn leave(&self, slot: usize) {
        let mut slots = self.slots.borrow_mut();
        slots.remove(slot);
        if slots.is_empty() {
            self.emptied.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Registers the task to be woken by a stop or at `deadline`. Returns whether `deadline` has passed already.
    pub(super) fn wait(&self, slot: usize, deadline: Option<Instant>, cx: &Context<'_>) -> bool {
        if deadline.is_some_and(|deadline| deadline <= self.clock.peers_now()) {
            return true;
        }
        let slot = &mut self.slots.borrow_mut()[slot];
        if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        slot.deadline = deadline;
        if deadline.is_some() && !self.armed.replace(true) {
            self.sweeper.take().into_iter().for_each(Waker::wake);
        }
        false
    }

    /// Checks the deadlines every [`SWEEP`], while there are any, for ever.
    pub(super) async fn sweep(&self) -> Infallible {
        loop {
            poll_fn(|cx| match self.armed.get() {
                true => Poll::Ready(()),
                false => {
                    self.sweeper.set(Some(cx.waker().clone()));
                    Poll::Pending
                }
            })
            .await;
            self.clock.sleep(SWEEP).await;
            self.armed.set(self.wake_overdue());
        }
    }

    /// Wakes the tasks whose deadline has passed. Returns whether there are more deadlines.
    fn wake_overdue(&self) -> bool {
        let now = self.clock.peers_now();
        let mut more = false;
        for (_, slot) in &mut *self.slots.borrow_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) {
                slot.deadline = None;
                slot.waker.take().into_iter().for_each(Waker::wake);
            }
            more |= slot.deadline.is_some();
        }
        more
    }
}
