//! The readiness of many sockets, by an epoll of the shard's own, and waits that are exact, by a timer of its own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

/// Events taken by one wait.
const EVENTS: usize = 1024;
/// The key of the timer.
const TIMER: u64 = u64::MAX;
/// A wait of so many nanoseconds may be longer by a part of a millisecond: the system counts it in those.
const LONG: u64 = 50_000_000;

/// An epoll, edge-triggered: a socket is registered once.
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// What the timer is set to.
    set_to: u64,
    events: Vec<Event>,
}

/// A socket is ready, for reading or writing or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) key: usize,
    /// The end of the peer's stream is there to be read, or the connection is broken.
    pub(super) to_the_end: bool,
}

impl Poller {
    /// # Errors
    /// The system's.
    pub(super) fn new() -> io::Result<Poller> {
        // Else the system would let a wait be 50 µs late, to wake for several at once.
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Each expiry is an edge, and need not be read back.
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Poller { epoll, timer, set_to: 0, events: Vec::with_capacity(EVENTS) })
    }

    /// Registers a socket. It is forgotten when it is closed.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn register(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key as u64), flags)?)
    }

    /// Waits for events until `time` at most, to the nanosecond where that is near. Both times are of one clock.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn wait(&mut self, time: u64, now: u64) -> io::Result<()> {
        let wait = timespec(time.saturating_sub(now));
        if time > now && time - now < LONG && self.set_to != time {
            self.set_to = time;
            let once = Itimerspec { it_interval: timespec(0), it_value: wait };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        }
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many events the last wait brought.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The socket of one of them; `None` where it is the timer.
    pub(super) fn ready(&self, index: usize) -> Option<Ready> {
        let Event { flags, data } = self.events[index];
        let to_the_end = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        (data.u64() != TIMER).then(|| Ready { key: data.u64() as usize, to_the_end })
    }
}

fn timespec(nanoseconds: u64) -> Timespec {
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as i64 }
}
