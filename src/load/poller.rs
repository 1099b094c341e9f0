//! The readiness of many sockets, by an epoll of the shard's own, and waits that are exact.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Events taken by one wait.
const EVENTS: usize = 1024;

/// An epoll, edge-triggered: a socket is registered once.
pub(super) struct Poller {
    epoll: OwnedFd,
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
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS) })
    }

    /// Registers a socket. It is forgotten when it is closed.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn register(&self, socket: impl AsFd, key: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key as u64), flags)?)
    }

    /// Waits for events, so many nanoseconds at most, to the nanosecond (`epoll_pwait2`).
    ///
    /// # Errors
    /// The system's.
    pub(super) fn wait(&mut self, nanoseconds: u64) -> io::Result<()> {
        let timeout =
            Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as i64 };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many events the last wait brought.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// One of them.
    pub(super) fn ready(&self, index: usize) -> Ready {
        let Event { flags, data } = self.events[index];
        let to_the_end = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready { key: data.u64() as usize, to_the_end }
    }
}
