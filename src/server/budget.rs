//! The memory that all connections of a server may hold, and the connections that wait for it.
//!
//! Every connection has a small allowance. It *leases* what it needs above that, before it reads or queues. If nothing
//! is left, it waits: pressure slows first. A connection ends only if another one waits, and it holds more than its
//! fair share because of its own peer: an unfinished frame, or bytes that the peer does not read, with what it sent
//! meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use event_listener::{Event, EventListener};
use slab::Slab;

use crate::close::CloseReason;

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Received bytes, which may take three quarters of the budget. Otherwise the frames that handlers work on could
    /// take all of it, and no handler could reply.
    Reading,
    /// Replies and pushes.
    Writing,
}

/// Bytes that a connection may hold in each direction without a lease, 4 KiB in all: short frames always pass.
pub(super) const ALLOWANCE: usize = 2 * 1024;

/// A connection that holds at most so many bytes above its allowance, 4 KiB, is never ended.
const LEAST_SHARE: usize = 4 * 1024;

/// Bytes of memory for all connections of a server.
pub(super) struct Budget {
    total: usize,
    leased: AtomicUsize,
    /// Whether a connection waits; read without the lock whenever bytes are given back.
    awaited: AtomicBool,
    registry: Mutex<Registry>,
    /// Whether a push waits for memory, and the event that some is given back.
    pushers_wait: AtomicBool,
    given: Event,
}

/// The connections that hold or want more than their allowance, and those that wait, in order.
#[derive(Default)]
struct Registry {
    members: Slab<Entry>,
    waiting: VecDeque<usize>,
}

/// One of these connections.
#[derive(Default)]
struct Entry {
    /// Bytes that it holds because of its peer.
    held: usize,
    waker: Option<Waker>,
    waits: bool,
    is_over: bool,
}

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Budget> {
        Arc::new(Budget {
            total,
            leased: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            registry: Mutex::default(),
            pushers_wait: AtomicBool::new(false),
            given: Event::new(),
        })
    }

    /// Bytes that are leased.
    pub(super) fn leased(&self) -> usize {
        self.leased.load(SeqCst)
    }

    /// The most bytes of one lease.
    pub(super) fn most(&self, what: For) -> usize {
        match what {
            For::Reading => self.total - self.total / 4,
            For::Writing => self.total,
        }
    }

    /// Takes `bytes`, unless more than `most` would be leased then. Returns whether it did.
    pub(super) fn take(&self, bytes: usize, most: usize) -> bool {
        let more = |leased: usize| leased.checked_add(bytes).filter(|leased| *leased <= most);
        self.leased.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// Gives `bytes` back, and wakes the connection that has waited longest.
    pub(super) fn give(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.leased.fetch_sub(bytes, SeqCst);
        if self.awaited.load(SeqCst) {
            self.registry().wake_first(&self.awaited);
        }
        if self.pushers_wait.load(SeqCst) && self.pushers_wait.swap(false, SeqCst) {
            // All of them: what is enough for one push may not be enough for another.
            self.given.notify(usize::MAX);
        }
    }

    /// An event for the next time that bytes are given back.
    pub(super) fn given(&self) -> EventListener {
        let given = self.given.listen();
        // Not before: a thread that gives bytes back in between would notify nobody.
        self.pushers_wait.store(true, SeqCst);
        given
    }

    /// Nothing panics while it holds the lock.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn wake_first(&mut self, awaited: &AtomicBool) {
        if let Some(first) = self.waiting.pop_front() {
            let member = &mut self.members[first];
            member.waits = false;
            member.waker.take().into_iter().for_each(Waker::wake);
        }
        awaited.store(!self.waiting.is_empty(), SeqCst);
    }

    /// The fair share while a connection waits: the `free` bytes and all bytes held because of peers, divided by one
    /// more than the number of holders. Frames that handlers work on are not part of it.
    fn fair_share(&self, free: usize) -> usize {
        let held = self.members.iter().map(|(_, member)| member.held).filter(|held| *held > 0);
        let (holders, held) = held.fold((0, 0), |(holders, sum), held| (holders + 1, sum + held));
        ((free + held) / (holders + 1)).max(LEAST_SHARE)
    }

    /// Marks the connection that holds the most, if another one waits, and it holds more than its fair share while
    /// `free` bytes are left.
    fn end_largest(&mut self, free: usize) {
        let fair_share = self.fair_share(free);
        let Some((index, largest)) = self.members.iter_mut().max_by_key(|(_, member)| member.held) else { return };
        if largest.held > fair_share && self.waiting.iter().any(|waiting| *waiting != index) {
            largest.is_over = true;
            largest.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// The part of the budget that a connection has leased.
pub(super) struct Lease {
    budget: Arc<Budget>,
    what: For,
    bytes: usize,
}

impl Lease {
    pub(super) fn new(budget: &Arc<Budget>, what: For) -> Lease {
        Lease { budget: Arc::clone(budget), what, bytes: 0 }
    }

    /// Bytes that may be held now, the allowance included.
    pub(super) fn allowed(&self) -> usize {
        ALLOWANCE + self.bytes
    }

    /// Tries to lease up to `total` bytes, allowance included. Returns how many are allowed: `total`, or as many as
    /// before.
    pub(super) fn reach(&mut self, total: usize) -> usize {
        self.reach_within(total, self.budget.most(self.what))
    }

    /// The same, but at least half of the memory for this use must be left then: for memory that is useful, not
    /// necessary.
    pub(super) fn reach_if_plenty(&mut self, total: usize) -> usize {
        self.reach_within(total, self.budget.most(self.what) / 2)
    }

    fn reach_within(&mut self, total: usize, most: usize) -> usize {
        let more = total.saturating_sub(self.allowed());
        if more > 0 && self.budget.take(more, most) {
            self.bytes += more;
        }
        self.allowed()
    }

    /// Gives back what is leased beyond `total` bytes.
    pub(super) fn shrink(&mut self, total: usize) {
        let less = self.allowed().saturating_sub(total.max(ALLOWANCE));
        if less > 0 {
            self.bytes -= less;
            self.budget.give(less);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// A connection's membership in the budget. It is registered once it holds more than its allowance, or waits.
pub(super) struct Member {
    budget: Arc<Budget>,
    entry: Option<usize>,
    /// What it registered last: the bytes held, and whether it waits.
    held: usize,
    waits: bool,
    /// It was woken, and has not waited since.
    woken: bool,
}

impl Member {
    pub(super) fn new(budget: &Arc<Budget>) -> Member {
        Member { budget: Arc::clone(budget), entry: None, held: 0, waits: false, woken: false }
    }

    /// Whether it waited for a lease, and was woken to try again.
    pub(super) fn was_woken(&mut self) -> bool {
        if self.waits
            && let Some(index) = self.entry
            && !self.budget.registry().members[index].waits
        {
            (self.waits, self.woken) = (false, true);
        }
        self.woken
    }

    /// The connection waits. It holds `held` bytes above its allowance that its peer could free, and may want a lease.
    ///
    /// # Errors
    /// If it holds more than its fair share, and another connection waits.
    pub(super) fn wait(&mut self, held: usize, wants: Option<usize>, cx: &Context<'_>) -> Result<(), CloseReason> {
        // Fair shares are of the memory for reading, as connections wait for this memory. With shares of the whole
        // budget, equal connections could hold all memory for reading for ever, none of them more than its share.
        let (memory_budget, shared) = (self.budget.total, self.budget.most(For::Reading));
        if let Some(wants) = wants.filter(|wants| *wants > shared) {
            // It would wait for ever.
            return Err(CloseReason::OverBudget { held: wants, fair_share: shared, memory_budget });
        }
        let wants = wants.is_some();
        self.was_woken();
        if held == 0 && !wants && self.held == 0 && !self.waits && !self.woken {
            return Ok(());
        }
        let woken = std::mem::take(&mut self.woken);
        let budget = &*self.budget;
        let mut registry = budget.registry();
        let index = *self.entry.get_or_insert_with(|| registry.members.insert(Entry::default()));
        (self.held, self.waits) = (held, wants);
        let member = &mut registry.members[index];
        member.held = held;
        member.waker = Some(cx.waker().clone());
        match (wants, std::mem::replace(&mut member.waits, wants)) {
            // There was not enough memory for it: it stays the first.
            (true, false) if woken => registry.waiting.push_front(index),
            (true, false) => registry.waiting.push_back(index),
            (false, true) => registry.waiting.retain(|waiting| *waiting != index),
            // There may be enough memory for the next one, too.
            (false, false) if woken => registry.wake_first(&budget.awaited),
            _ => {}
        }
        budget.awaited.store(!registry.waiting.is_empty(), SeqCst);
        let free = shared.saturating_sub(budget.leased());
        if !registry.waiting.is_empty() {
            registry.end_largest(free);
        }
        match registry.members[index].is_over {
            false => Ok(()),
            true => {
                let fair_share = registry.fair_share(free);
                Err(CloseReason::OverBudget { held, fair_share, memory_budget })
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(index) = self.entry {
            let mut registry = self.budget.registry();
            registry.members.remove(index);
            registry.waiting.retain(|waiting| *waiting != index);
            // If it was woken, the next one is woken instead.
            registry.wake_first(&self.budget.awaited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_lease_is_above_the_allowance_and_given_back() {
        let budget = Budget::new(1000);
        let mut lease = Lease::new(&budget, For::Writing);
        assert_eq!((lease.allowed(), lease.reach(ALLOWANCE)), (ALLOWANCE, ALLOWANCE));
        assert_eq!((lease.reach(ALLOWANCE + 600), budget.leased()), (ALLOWANCE + 600, 600));
        let mut other = Lease::new(&budget, For::Writing);
        assert_eq!(other.reach(ALLOWANCE + 401), ALLOWANCE, "all or nothing");
        lease.shrink(ALLOWANCE + 100);
        assert_eq!((lease.reach(0), budget.leased()), (ALLOWANCE + 100, 100));
        assert_eq!(other.reach(ALLOWANCE + 401), ALLOWANCE + 401);
        drop((lease, other));
        assert_eq!(budget.leased(), 0);
    }

    #[test]
    fn a_quarter_is_for_writing_only() {
        let budget = Budget::new(1000);
        let mut read = Lease::new(&budget, For::Reading);
        assert_eq!((read.reach(ALLOWANCE + 751), read.reach(ALLOWANCE + 750)), (ALLOWANCE, ALLOWANCE + 750));
        assert_eq!(Lease::new(&budget, For::Writing).reach(ALLOWANCE + 250), ALLOWANCE + 250);
    }

    /// Of 750 KB for reading, frames of handlers take 100, two connections hold 400 and 200, and 50 are free. A third
    /// of 650 is the fair share. The larger holder ends only if another connection waits.
    #[test]
    fn more_than_the_fair_share_ends_a_connection_if_another_waits() {
        let budget = Budget::new(1_000_000);
        let [mut large, mut small, mut third] = [0; 3].map(|_| Member::new(&budget));
        assert!(budget.take(700_000, 750_000));
        assert!(large.wait(400_000, None, &cx()).is_ok() && small.wait(200_000, None, &cx()).is_ok());
        assert!(large.wait(400_000, None, &cx()).is_ok(), "none waits");
        assert!(third.wait(0, Some(60_000), &cx()).is_ok());
        assert!(small.wait(200_000, None, &cx()).is_ok(), "it is within its share");
        let over = large.wait(400_000, None, &cx()).expect_err("over its share");
        assert_eq!(over.to_string(), "over budget: 400000 bytes held, the fair share of 1000000 is 216666");
    }

    /// If frames of handlers take all memory, connections that hold a little wait for them.
    #[test]
    fn a_connection_that_holds_little_is_not_ended() {
        let budget = Budget::new(1_000_000);
        let [mut holds, mut waits] = [0; 2].map(|_| Member::new(&budget));
        assert!(budget.take(750_000, 750_000));
        assert!(holds.wait(LEAST_SHARE, Some(5000), &cx()).is_ok() && waits.wait(0, Some(1), &cx()).is_ok());
        assert!(holds.wait(LEAST_SHARE, Some(5000), &cx()).is_ok());
        assert!(holds.wait(LEAST_SHARE + 1, Some(5000), &cx()).is_err());
    }

    /// It waits for what its own peer does not read: that is no harm to others.
    #[test]
    fn a_connection_that_waits_alone_is_not_ended() {
        let budget = Budget::new(1_000_000);
        let [mut alone, mut other] = [0; 2].map(|_| Member::new(&budget));
        assert!(budget.take(1_000_000, 1_000_000));
        assert!(alone.wait(700_000, Some(1), &cx()).is_ok());
        assert!(other.wait(0, Some(1), &cx()).is_ok());
        assert!(alone.wait(700_000, Some(1), &cx()).is_err());
    }

    #[test]
    fn waiting_connections_are_woken_in_order() {
        let budget = Budget::new(1000);
        let [mut first, mut second] = [0; 2].map(|_| Member::new(&budget));
        assert!(budget.take(1000, 1000));
        assert!(first.wait(0, Some(1), &cx()).is_ok() && second.wait(0, Some(1), &cx()).is_ok());
        assert_eq!(budget.registry().waiting.len(), 2);
        budget.give(10);
        assert_eq!(budget.registry().waiting, [second.entry.expect("it waits")]);
        drop(first);
        assert!(budget.registry().waiting.is_empty() && !budget.awaited.load(SeqCst));
    }
}
