//! What the workers of a run share: its clock, when it begins, and whether it is to end early. What they report.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use super::fault::Fault;
use super::times::Times;

/// What is wanted of a run that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// That it goes on.
    #[default]
    GoOn,
    /// That no more frames are sent, and what is in flight is awaited.
    Stop,
    /// That it ends at once.
    Abort,
}

/// What the workers of a run share.
#[derive(Debug)]
pub(super) struct Control {
    base: Instant,
    start: OnceLock<u64>,
    wish: AtomicU8,
    /// Shards that send no more, and the frames that they sent.
    silent: AtomicUsize,
    sent: AtomicU64,
}

impl Control {
    pub(super) fn new() -> Control {
        Control {
            base: Instant::now(),
            start: OnceLock::new(),
            wish: AtomicU8::new(0),
            silent: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// The run's clock, in nanoseconds.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// The run begins at this time of its clock.
    pub(super) fn start_at(&self, start: u64) {
        // It begins once.
        _ = self.start.set(start);
    }

    /// When the run begins, once that is known.
    pub(super) fn start(&self) -> Option<u64> {
        self.start.get().copied()
    }

    pub(super) fn wish(&self) -> Wish {
        match self.wish.load(SeqCst) {
            0 => Wish::GoOn,
            1 => Wish::Stop,
            _ => Wish::Abort,
        }
    }

    /// A wish once said stays.
    pub(super) fn ask(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, SeqCst);
    }

    /// A worker sends no more; it sent so many frames.
    pub(super) fn fall_silent(&self, sent: u64) {
        self.sent.fetch_add(sent, SeqCst);
        self.silent.fetch_add(1, SeqCst);
    }

    /// The frames that all workers sent, once all of them have.
    pub(super) fn sent(&self, workers: usize) -> Option<u64> {
        (self.silent.load(SeqCst) == workers).then(|| self.sent.load(SeqCst))
    }
}

/// A fault and where it was found.
#[derive(Debug)]
pub(super) struct ConnectionFault {
    pub(super) connection: u64,
    /// The number of the frame that was to come.
    pub(super) sequence: u64,
    /// Its offset in the server's stream.
    pub(super) offset: u64,
    pub(super) fault: Fault,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) in_flight: u64,
    pub(super) backlog: u64,
    pub(super) connections: usize,
    pub(super) faults: usize,
}

/// What a worker says while it runs.
#[derive(Clone, Debug)]
pub(super) enum Report {
    /// All its connections are made, or failed; so many are made.
    Ready { held: usize },
    /// How far it is.
    Progress { worker: usize, snapshot: Snapshot },
    /// What the frames that were to be sent in this second of the measured time showed, so far as is known a second
    /// later.
    Second { second: usize, response_ns: Times, send_lag_ns: Times },
}
