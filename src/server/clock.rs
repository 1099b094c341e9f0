//! Time, as a served connection sees it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use smol::Timer;

/// Where a served connection has its time from: the system, or a test that makes it up.
///
/// ```
/// use std::cell::Cell;
/// use std::task::{Context, Poll};
/// use std::time::{Duration, Instant};
/// use unstick::Clock;
///
/// /// Time that passes only when nobody has anything else to do.
/// struct MadeUp(Cell<Instant>);
///
/// impl Clock for MadeUp {
///     fn now(&self) -> Instant {
///         self.0.get()
///     }
///
///     fn poll_until(&self, deadline: Instant, _cx: &mut Context<'_>) -> Poll<()> {
///         self.0.set(deadline);
///         Poll::Ready(())
///     }
/// }
/// # let clock = MadeUp(Cell::new(Instant::now()));
/// # let later = clock.now() + Duration::from_secs(10);
/// # assert!(clock.poll_until(later, &mut Context::from_waker(std::task::Waker::noop())).is_ready());
/// # assert_eq!(clock.now(), later);
/// ```
pub trait Clock {
    /// What time it is.
    fn now(&self) -> Instant;

    /// Whether this time has come; where it has not, the task is woken once it has. The last time asked for counts, and the
    /// ones before are forgotten.
    fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

/// The system's clock, with a timer of smol's. It works on any runtime.
pub struct SystemClock {
    timer: RefCell<(Option<Instant>, Timer)>,
}

impl SystemClock {
    /// A clock for one connection.
    pub fn new() -> SystemClock {
        SystemClock { timer: RefCell::new((None, Timer::never())) }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn poll_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let (set, timer) = &mut *self.timer.borrow_mut();
        if *set != Some(deadline) {
            *set = Some(deadline);
            timer.set_at(deadline);
        }
        let fired = Pin::new(timer).poll(cx).map(|_| ());
        if fired.is_ready() {
            *set = None;
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_fn};

    use super::*;

    #[test]
    fn a_time_that_has_come_is_told_as_often_as_it_is_asked_for_and_so_is_the_next_one() {
        let clock = SystemClock::default();
        assert_eq!(format!("{clock:?}"), "SystemClock");
        let begin = clock.now();
        block_on(async {
            for millis in [1, 1, 2, 0] {
                let until = begin + Duration::from_millis(millis);
                poll_fn(|cx| clock.poll_until(until, cx)).await;
                assert!(clock.now() >= until, "{millis} ms");
            }
            let far = begin + Duration::from_secs(1000);
            let polled = poll_fn(|cx| Poll::Ready(clock.poll_until(far, cx))).await;
            assert!(polled.is_pending());
        });
    }
}
