//! The connections of one thread: who is to be woken by a stop, and when its deadline has come.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::poll_fn;
use slab::Slab;
use smol::Timer;

use super::reactor::Reactor;
use super::timeouts::Listening;
use crate::framing::Format;

/// Between two looks at the deadlines: a connection ends so much after its deadline at most.
const SWEEP: Duration = Duration::from_millis(100);

/// The connections of one thread.
pub(super) struct Connections {
    pub(super) thread: usize,
    pub(super) format: Rc<Format>,
    reactor: Rc<Reactor>,
    stopping: Cell<bool>,
    /// A slot for each connection.
    slots: RefCell<Slab<Slot>>,
    /// Who is to be woken when the last connection has ended.
    emptied: Cell<Option<Waker>>,
    /// For how long this thread did not listen.
    listening: Cell<Listening>,
    /// The time of the last look at the deadlines.
    swept: Cell<Instant>,
    /// Whether there is a deadline to look at, and who is to be woken when there is.
    armed: Cell<bool>,
    sweeper: Cell<Option<Waker>>,
}

/// Who is to be woken, by a stop or when its deadline has come.
#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    deadline: Option<Instant>,
}

impl Slot {
    /// Registers the task, unless it is registered already.
    fn register(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

impl Connections {
    pub(super) fn new(thread: usize, format: Format, reactor: &Rc<Reactor>) -> Connections {
        Connections {
            thread,
            format: Rc::new(format),
            reactor: Rc::clone(reactor),
            stopping: Cell::default(),
            slots: RefCell::default(),
            emptied: Cell::default(),
            listening: Cell::default(),
            swept: Cell::new(reactor.now()),
            armed: Cell::default(),
            sweeper: Cell::default(),
        }
    }

    pub(super) fn next_turn(&self, cx: &Context<'_>) {
        self.reactor.next_turn(cx);
    }

    /// The time, without that for which this thread did not listen.
    pub(super) fn now(&self) -> Instant {
        self.listening.get().time(self.reactor.now())
    }

    pub(super) fn stop(&self) {
        self.stopping.set(true);
        for (_, slot) in &mut *self.slots.borrow_mut() {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slots.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.emptied.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Looks at the deadlines now and then, while there are any, for ever.
    pub(super) async fn sweep(&self) {
        loop {
            poll_fn(|cx| self.poll_armed(cx)).await;
            let due = self.now() + SWEEP;
            Timer::after(SWEEP).await;
            self.listening.set(self.listening.get().look(self.reactor.now(), due, SWEEP));
            self.wake_overdue();
        }
    }

    /// A connection comes: its slot.
    pub(super) fn enter(&self) -> usize {
        self.slots.borrow_mut().insert(Slot::default())
    }

    /// It goes.
    pub(super) fn leave(&self, slot: usize) {
        let mut slots = self.slots.borrow_mut();
        slots.remove(slot);
        if slots.is_empty()
            && let Some(waker) = self.emptied.take()
        {
            waker.wake();
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// The same; wakes the task when that changes.
    pub(super) fn poll_stopping(&self, slot: usize, cx: &mut Context<'_>) -> bool {
        let stopping = self.stopping();
        if !stopping {
            self.slots.borrow_mut()[slot].register(cx);
        }
        stopping
    }

    /// Whether this time has come; wakes the task once it has. The time of the last look at the deadlines decides, as that
    /// knows for how long this thread did not listen.
    pub(super) fn poll_until(&self, slot: usize, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.swept.get() >= deadline {
            return Poll::Ready(());
        }
        let slot = &mut self.slots.borrow_mut()[slot];
        slot.deadline = Some(deadline);
        slot.register(cx);
        self.arm();
        Poll::Pending
    }

    fn poll_armed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.armed.get() {
            return Poll::Ready(());
        }
        self.sweeper.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn arm(&self) {
        if !self.armed.replace(true)
            && let Some(sweeper) = self.sweeper.take()
        {
            sweeper.wake();
        }
    }

    fn wake_overdue(&self) {
        let now = self.now();
        self.swept.set(now);
        let mut armed = false;
        for (_, slot) in &mut *self.slots.borrow_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) {
                slot.deadline = None;
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            }
            armed |= slot.deadline.is_some();
        }
        self.armed.set(armed);
    }
}
