//! The statistics of a server: every connection is counted exactly once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use crate::close::{CloseKind, CloseReason, Traffic};

/// The statistics of a [`Server`](crate::Server), to read from any thread, also after it has ended. Cheap to clone.
///
/// ```
/// use unstick::{Server, ServerConfig};
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?;
/// let account = server.account();
/// assert_eq!(account.stats().accepted, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

/// The statistics of a server at one moment. They balance: `accepted = active + closed()`.
///
/// Its `Display` is one line, with the reasons of closed connections last:
/// `accepted 3, active 1, refused 1; in 9 frames, 81 bytes; out 12 frames, 108 bytes; buffered 0 bytes; accept failures
/// 0; closed 2: clean 1, refused 1`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted, including those that were refused.
    pub accepted: u64,
    /// Connections that have not ended yet.
    pub active: u64,
    /// How often accepting failed, for example because no descriptor was free.
    pub accept_failures: u64,
    /// Frames and bytes of all connections, including active ones. Numbers of a live connection are added after each
    /// batch of frames, so they may lag a little.
    pub traffic: Traffic,
    /// Bytes of the [`memory_budget`](crate::ServerConfig::memory_budget) that are in use.
    pub buffered: usize,
    closes: [u64; CloseKind::ALL.len()],
}

impl Stats {
    /// How many connections have ended for a reason of this kind.
    pub fn closes(&self, kind: CloseKind) -> u64 {
        self.closes[kind as usize]
    }

    /// How many connections have ended, for any reason.
    pub fn closed(&self) -> u64 {
        self.closes.iter().sum()
    }

    /// How many connections were refused because [`max_connections`](crate::ServerConfig::max_connections) were being
    /// served.
    pub fn refused(&self) -> u64 {
        self.closes(CloseKind::Refused)
    }

    /// The reasons why connections ended, each with their number.
    fn reasons(&self) -> impl Iterator<Item = (CloseKind, u64)> {
        CloseKind::ALL.iter().map(|kind| (*kind, self.closes(*kind))).filter(|(_, count)| *count > 0)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (traffic, closed) = (self.traffic, self.closed());
        write!(f, "accepted {}, active {}, refused {}; ", self.accepted, self.active, self.refused())?;
        write!(f, "in {} frames, {} bytes; ", traffic.frames_in, traffic.bytes_in)?;
        write!(f, "out {} frames, {} bytes; ", traffic.frames_out, traffic.bytes_out)?;
        write!(f, "buffered {} bytes; accept failures {}; closed {closed}", self.buffered, self.accept_failures)?;
        for (index, (kind, count)) in self.reasons().enumerate() {
            let before = if index == 0 { ": " } else { ", " };
            write!(f, "{before}{kind} {count}")?;
        }
        Ok(())
    }
}

/// Names the reasons of closed connections.
impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats")
            .field("accepted", &self.accepted)
            .field("active", &self.active)
            .field("accept_failures", &self.accept_failures)
            .field("traffic", &self.traffic)
            .field("buffered", &self.buffered)
            .field("closes", &self.reasons().collect::<BTreeMap<_, _>>())
            .finish()
    }
}

impl Account {
    /// The account of a server with this many threads.
    pub(super) fn new(threads: usize, budget: &Arc<Budget>) -> Account {
        let passed = (0..threads).map(|_| Passed::default()).collect();
        Account { inner: Arc::new(Inner { counts: Mutex::default(), passed, budget: Arc::clone(budget) }) }
    }

    /// The statistics of this moment.
    pub fn stats(&self) -> Stats {
        let mut traffic = Traffic::default();
        for Passed(passed) in &self.inner.passed {
            let [frames_in, bytes_in, frames_out, bytes_out] = passed.each_ref().map(|count| count.load(Relaxed));
            traffic.frames_in += frames_in;
            traffic.bytes_in += bytes_in;
            traffic.frames_out += frames_out;
            traffic.bytes_out += bytes_out;
        }
        let counts = self.counts();
        Stats {
            accepted: counts.accepted,
            active: counts.active,
            accept_failures: counts.accept_failures,
            traffic,
            buffered: self.inner.budget.leased(),
            closes: counts.closes,
        }
    }

    /// Counts an accepted connection. Returns whether it is admitted, if `allowed` are served at a time.
    pub(super) fn open(&self, allowed: usize) -> bool {
        let mut counts = self.counts();
        counts.accepted += 1;
        counts.active += 1;
        let served = counts.active - counts.refusing;
        let is_admitted = served <= allowed as u64;
        counts.refusing += u64::from(!is_admitted);
        is_admitted
    }

    /// Counts the end of a connection. One that was not admitted may also end for any reason.
    pub(super) fn close(&self, is_admitted: bool, reason: &CloseReason) {
        let mut counts = self.counts();
        counts.active -= 1;
        counts.refusing -= u64::from(!is_admitted);
        counts.closes[reason.kind() as usize] += 1;
    }

    pub(super) fn accept_failed(&self) {
        self.counts().accept_failures += 1;
    }

    /// How many connections are being refused.
    pub(super) fn refusing(&self) -> u64 {
        self.counts().refusing
    }

    /// Counts the traffic of a connection since `before`. Each thread writes only to its own counters.
    pub(super) fn passed(&self, thread: usize, before: Traffic, now: Traffic) {
        let more = [
            now.frames_in - before.frames_in,
            now.bytes_in - before.bytes_in,
            now.frames_out - before.frames_out,
            now.bytes_out - before.bytes_out,
        ];
        for (count, more) in self.inner.passed[thread].0.iter().zip(more) {
            count.store(count.load(Relaxed) + more, Relaxed);
        }
    }

    /// Nothing panics while it holds the lock, so the counts are valid even if it is poisoned.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.stats(), f)
    }
}

struct Inner {
    counts: Mutex<Counts>,
    /// The traffic of each thread.
    passed: Box<[Passed]>,
    budget: Arc<Budget>,
}

/// Counted under one lock, so that they balance at every moment. Only opening and closing takes it.
#[derive(Default)]
struct Counts {
    accepted: u64,
    active: u64,
    /// The active connections that were not admitted.
    refusing: u64,
    accept_failures: u64,
    closes: [u64; CloseKind::ALL.len()],
}

/// The counters of one thread, in their own cache line.
#[derive(Default)]
#[repr(align(64))]
struct Passed([AtomicU64; 4]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_balance_and_the_refused_count_for_no_admission() {
        let account = Account::new(1, &Budget::new(100));
        let refused = CloseReason::Refused { max_connections: 2 };
        assert_eq!([2, 2, 2].map(|allowed| account.open(allowed)), [true, true, false]);
        assert_eq!(account.refusing(), 1);
        account.close(true, &CloseReason::Clean);
        assert!(account.open(2), "the one that is being refused does not count");
        account.close(false, &refused);
        assert_eq!(account.refusing(), 0);
        assert!(!account.open(2));
        account.close(false, &refused);
        let stats = account.stats();
        assert_eq!((stats.accepted, stats.active, stats.closed(), stats.refused()), (5, 2, 3, 2));
        assert_eq!(stats.accepted, stats.active + stats.closed());
        let line = "accepted 5, active 2, refused 2; in 0 frames, 0 bytes; out 0 frames, 0 bytes; buffered 0 bytes; \
                    accept failures 0; closed 3: clean 1, refused 2";
        assert_eq!(stats.to_string(), line);
        let shown = format!("{stats:?}");
        assert!(shown.ends_with("buffered: 0, closes: {Clean: 1, Refused: 2} }"), "{shown}");
    }

    /// A connection that is being refused may end because `on_open` panics, or because its socket fails.
    #[test]
    fn a_refused_connection_that_ends_for_another_reason_is_counted_once() {
        let account = Account::new(1, &Budget::new(100));
        assert_eq!([1, 1].map(|allowed| account.open(allowed)), [true, false]);
        account.close(false, &CloseReason::Panic("on_open".into()));
        assert_eq!(account.refusing(), 0);
        assert!(!account.open(1), "one is allowed, and one is served");
        account.close(false, &CloseReason::Stopped);
        account.close(true, &CloseReason::Clean);
        assert!(account.open(1), "none is served");
    }

    #[test]
    fn what_passed_is_of_all_threads() {
        let account = Account::new(2, &Budget::new(100));
        let one = Traffic { frames_in: 1, bytes_in: 5, frames_out: 2, bytes_out: 10 };
        account.passed(0, Traffic::default(), one);
        account.passed(1, Traffic::default(), one);
        account.passed(1, one, Traffic { frames_in: 2, ..one });
        assert_eq!(account.stats().traffic, Traffic { frames_in: 3, bytes_in: 10, frames_out: 4, bytes_out: 20 });
    }
}
