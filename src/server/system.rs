//! The only file of the server that asks the system for the time, for timers and for threads.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use smol::Timer;

use super::clock::Clock;

pub(super) fn now() -> Instant {
    Instant::now()
}

/// Waits, on any runtime.
pub(super) async fn sleep(duration: Duration) {
    Timer::after(duration).await;
}

/// Begins a thread of this name.
///
/// # Errors
/// The system's: there may be too many.
pub(super) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(run).map(drop)
}

/// Runs the future with a clock that follows the system's, on any runtime.
pub(super) async fn with_clock<T>(clock: &Clock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut timer = Timer::never();
    // How long the last wait should have taken at most; `None`, any time, before the first one.
    let mut patience = None;
    poll_fn(|cx| {
        loop {
            clock.turn(now(), patience);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            patience = clock.patience();
            let Some(left) = patience else { return Poll::Pending };
            if left.is_zero() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            timer.set_after(left);
            if Pin::new(&mut timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}
