//! The clock and the timers of one thread. The system or a simulation sets the clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// If a thread does not look at its sockets for longer than this, the excess does not count against its peers.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// The clock of one thread. It is set once in each turn of the thread's event loop, and stands still while tasks run.
pub(crate) struct Clock {
    now: Cell<Instant>,
    /// The time, less how long the thread did not look at its sockets, beyond [`LATE`] each time.
    peers_now: Cell<Instant>,
    /// The timers by their time, and a number for those of the same time.
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    timers_set: Cell<u64>,
    /// Tasks that yielded to others.
    next_turn: RefCell<Vec<Waker>>,
}

impl Clock {
    pub(crate) fn new(now: Instant) -> Rc<Clock> {
        Rc::new(Clock {
            now: Cell::new(now),
            peers_now: Cell::new(now),
            timers: RefCell::default(),
            timers_set: Cell::default(),
            next_turn: RefCell::default(),
        })
    }

    /// The time as of this turn.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// The time for the deadlines of peers: the time, less how long the thread was late to look at its sockets.
    pub(super) fn peers_now(&self) -> Instant {
        self.peers_now.get()
    }

    /// Waits this long.
    pub(crate) fn sleep(self: &Rc<Clock>, duration: Duration) -> Sleep {
        Sleep { until: self.now().checked_add(duration), clock: Rc::clone(self), timer: None }
    }

    /// Wakes the task in the next turn, after the tasks that events wake.
    pub(super) fn wake_next_turn(&self, cx: &Context<'_>) {
        self.next_turn.borrow_mut().push(cx.waker().clone());
    }

    /// How long the thread may wait for events: until the first timer; not at all if a task has yielded. `None`: there
    /// is no timer.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if !self.next_turn.borrow().is_empty() {
            return Some(Duration::ZERO);
        }
        let (until, _) = *self.timers.borrow().first_key_value()?.0;
        Some(until.saturating_duration_since(self.now()))
    }

    /// Begins a turn at `now`, after a wait for events that should have taken at most `patience`. Wakes the tasks that
    /// yielded, and those whose timer has expired.
    pub(crate) fn turn(&self, now: Instant, patience: Option<Duration>) {
        let passed = now.saturating_duration_since(self.now.replace(now));
        // Without a timer, the wait may take any time, so the thread is not late.
        let late = patience.map_or(Duration::ZERO, |patience| passed.saturating_sub(patience.saturating_add(LATE)));
        self.peers_now.set(self.peers_now.get() + (passed - late));
        self.next_turn.borrow_mut().drain(..).for_each(Waker::wake);
        let mut timers = self.timers.borrow_mut();
        while let Some(first) = timers.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().wake();
        }
    }

    fn set(&self, until: Instant, waker: Waker) -> u64 {
        let number = self.timers_set.get();
        self.timers_set.set(number + 1);
        self.timers.borrow_mut().insert((until, number), waker);
        number
    }
}

/// The future of [`Peer::sleep`](crate::Peer::sleep): ready once the time has passed. Dropping it removes the timer.
pub struct Sleep {
    clock: Rc<Clock>,
    /// `None`: beyond what an `Instant` can say, so never.
    until: Option<Instant>,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if self.clock.now() >= until {
            return Poll::Ready(());
        }
        match self.timer {
            Some(number) => {
                if let Some(waker) = self.clock.timers.borrow_mut().get_mut(&(until, number)) {
                    waker.clone_from(cx.waker());
                }
            }
            None => self.timer = Some(self.clock.set(until, cx.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(until), Some(number)) = (self.until, self.timer) {
            self.clock.timers.borrow_mut().remove(&(until, number));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.until.map(|until| until.saturating_duration_since(self.clock.now()));
        f.debug_struct("Sleep").field("left", &left).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Any time will do to begin with.
    fn clock() -> Rc<Clock> {
        Clock::new(crate::server::system::now())
    }

    #[test]
    fn a_sleeper_is_ready_when_its_time_has_come_and_not_before() {
        let (clock, mut cx) = (clock(), Context::from_waker(Waker::noop()));
        let (mut one, mut two) = (pin!(clock.sleep(SECOND)), pin!(clock.sleep(2 * SECOND)));
        assert_eq!(clock.patience(), None, "nobody has asked yet");
        assert!(one.as_mut().poll(&mut cx).is_pending() && two.as_mut().poll(&mut cx).is_pending());
        assert!(one.as_mut().poll(&mut cx).is_pending(), "asking twice sets no second timer");
        assert_eq!((clock.patience(), clock.timers.borrow().len()), (Some(SECOND), 2));
        clock.turn(clock.now() + SECOND, Some(SECOND));
        assert!(one.as_mut().poll(&mut cx).is_ready() && two.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.patience(), Some(SECOND));
    }

    #[test]
    fn a_dropped_sleep_leaves_no_timer() {
        let (clock, mut cx) = (clock(), Context::from_waker(Waker::noop()));
        let mut sleep = Box::pin(clock.sleep(SECOND));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        drop(sleep);
        assert_eq!(clock.patience(), None);
        assert!(pin!(clock.sleep(Duration::MAX)).poll(&mut cx).is_pending(), "for ever, and without a timer");
        assert_eq!(clock.patience(), None);
    }

    /// A delay of up to a tenth of a second counts against peers; the rest does not.
    #[test]
    fn late_checks_do_not_count_against_peers() {
        let clock = clock();
        let begin = clock.now();
        let judged = |clock: &Clock| clock.peers_now() - begin;
        clock.turn(begin + SECOND, Some(SECOND));
        assert_eq!(judged(&clock), SECOND, "events were waited for all the time");
        clock.turn(begin + SECOND + LATE, Some(Duration::ZERO));
        assert_eq!(judged(&clock), SECOND + LATE, "a little late is in time");
        clock.turn(begin + 10 * SECOND, Some(Duration::ZERO));
        assert_eq!(judged(&clock), SECOND + 2 * LATE);
        clock.turn(begin + 20 * SECOND, None);
        assert_eq!(judged(&clock), 11 * SECOND + 2 * LATE, "no timer was set: it waited");
    }
}
