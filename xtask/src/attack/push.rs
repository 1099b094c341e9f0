//! What the attacked server pushes to all that subscribed, each push with its number and its time.

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use unstick::{Outbox, PushError};

use super::server::locked;

/// Between two bursts.
const EVERY: Duration = Duration::from_millis(10);

/// The subscribed connections.
#[derive(Default)]
pub(super) struct Hub(Mutex<Vec<Outbox>>);

impl Hub {
    pub(super) fn add(&self, outbox: Outbox) {
        locked(&self.0).push(outbox);
    }

    /// Pushes bursts of `burst` frames of `len` bytes to all, for ever. A connection with a full outbox is broken off.
    pub(super) fn publish(&self, len: usize, burst: u64) {
        for number in 0.. {
            if number % burst == 0 {
                thread::sleep(EVERY);
            }
            let payload = payload(number, now(), len);
            locked(&self.0).retain(|outbox| match outbox.try_send(&payload) {
                Ok(()) => true,
                Err(PushError::Full { .. }) => {
                    outbox.break_off();
                    false
                }
                Err(_) => false,
            });
        }
    }
}

/// A received push.
#[derive(Clone, Copy, Debug)]
pub(super) struct Push {
    pub(super) number: u64,
    at: u64,
}

impl Push {
    /// How long ago it was pushed.
    pub(super) fn age(self) -> Duration {
        Duration::from_nanos(now().saturating_sub(self.at))
    }
}

/// The push with this payload, which should have `len` bytes and the number `next`, if that is known.
///
/// # Errors
/// If it is altered, or another one.
pub(super) fn verify(came: &[u8], len: usize, next: Option<u64>) -> io::Result<Push> {
    let field = |at: usize| came.get(at..at + 8).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes);
    let (Some(number), Some(at)) = (field(0), field(8)) else {
        return Err(io::Error::other(format!("a push of {} bytes", came.len())));
    };
    if next.is_some_and(|next| next != number) {
        return Err(io::Error::other(format!("push {number} came where {next:?} was due")));
    }
    match came == payload(number, at, len) {
        true => Ok(Push { number, at }),
        false => Err(io::Error::other(format!("push {number} is altered"))),
    }
}

fn payload(number: u64, at: u64, len: usize) -> Bytes {
    let mut payload = [number.to_le_bytes(), at.to_le_bytes()].concat();
    payload.resize(len, number as u8);
    payload.into()
}

/// Nanoseconds by a clock that all processes have.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
