//! The memory that all connections of a server may hold, and who waits for some of it.
//!
//! Every connection has a small allowance. What it needs above that it *leases* before it reads or queues. Where nothing is
//! left, it waits: so pressure slows first. Only when somebody waits, and one connection holds more than its fair share for the
//! sake of its own peer (an unfinished frame, or what the peer does not take, with what came behind it meanwhile), that one
//! ends.

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
    /// Bytes of a peer. A quarter of the budget is not for them: else handlers could wait for room to answer in, and hold all
    /// that there is by what they answer to.
    Reading,
    /// Replies and pushes.
    Writing,
}

/// Bytes that a connection may hold in each direction without a lease, 4 KiB in all: so it always goes on with short frames.
pub(super) const ALLOWANCE: usize = 2 * 1024;

/// No connection ends that holds no more than so many bytes above its allowance, 4 KiB.
const LEAST_SHARE: usize = 4 * 1024;

/// Bytes of memory for all connections of a server.
pub(super) struct Budget {
    total: usize,
    leased: AtomicUsize,
    /// Whether anybody waits; asked wherever bytes are given back.
    awaited: AtomicBool,
    crowd: Mutex<Crowd>,
    /// Whether anybody waits to push, and that something is given back.
    pushers_wait: AtomicBool,
    given: Event,
}

/// Who holds much, and who waits, in order.
#[derive(Default)]
struct Crowd {
    members: Slab<Entry>,
    waiting: VecDeque<usize>,
}

/// A connection that holds or wants more than its allowance.
#[derive(Default)]
struct Entry {
    /// Bytes that it holds for the sake of its peer.
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
            crowd: Mutex::default(),
            pushers_wait: AtomicBool::new(false),
            given: Event::new(),
        })
    }

    /// Bytes that are leased.
    pub(super) fn leased(&self) -> usize {
        self.leased.load(SeqCst)
    }

    /// The most that one lease can ever be.
    pub(super) fn most(&self, what: For) -> usize {
        match what {
            For::Reading => self.total - self.total / 4,
            For::Writing => self.total,
        }
    }

    /// Takes `bytes` if no more than `most` are leased then, or nothing.
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
            self.crowd().wake_first(&self.awaited);
        }
        if self.pushers_wait.load(SeqCst) && self.pushers_wait.swap(false, SeqCst) {
            // Each of them, as what is enough for one may not be for another.
            self.given.notify(usize::MAX);
        }
    }

    /// Waits until something is given back from now on.
    pub(super) fn given(&self) -> EventListener {
        self.pushers_wait.store(true, SeqCst);
        self.given.listen()
    }

    /// Nothing panics while it has the lock.
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crowd {
    fn wake_first(&mut self, awaited: &AtomicBool) {
        if let Some(first) = self.waiting.pop_front() {
            let member = &mut self.members[first];
            member.waits = false;
            member.waker.take().into_iter().for_each(Waker::wake);
        }
        awaited.store(!self.waiting.is_empty(), SeqCst);
    }

    /// What each may hold where somebody waits and `free` bytes are left: of these and of what all hold because of their peers,
    /// so not of what handlers work on.
    fn fair_share(&self, free: usize) -> usize {
        let held = self.members.iter().map(|(_, member)| member.held).filter(|held| *held > 0);
        let (holders, held) = held.fold((0, 0), |(holders, sum), held| (holders + 1, sum + held));
        ((free + held) / (holders + 1)).max(LEAST_SHARE)
    }

    /// Marks the one that holds the most, where that is more than its fair share while `free` bytes are left.
    fn end_largest(&mut self, free: usize) {
        let fair_share = self.fair_share(free);
        let largest = self.members.iter_mut().map(|(_, member)| member).max_by_key(|member| member.held);
        if let Some(largest) = largest.filter(|largest| largest.held > fair_share) {
            largest.is_over = true;
            largest.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// A connection's part in the budget.
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

    /// Tries to have `total` bytes allowed. What is allowed comes back: all of it, or what it was.
    pub(super) fn reach(&mut self, total: usize) -> usize {
        self.reach_within(total, self.budget.most(self.what))
    }

    /// The same where half of what there is for this is left then: for what is convenient, and not needed.
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

    /// No more than `total` bytes are held: what is leased beyond that is given back.
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

/// A connection's place in the crowd; it has one once it holds much or waits.
pub(super) struct Member {
    budget: Arc<Budget>,
    entry: Option<usize>,
    /// What the crowd knows: that it holds so much, and whether it waits.
    held: usize,
    waits: bool,
    /// Its turn has come, and it has not waited since.
    came: bool,
}

impl Member {
    pub(super) fn new(budget: &Arc<Budget>) -> Member {
        Member { budget: Arc::clone(budget), entry: None, held: 0, waits: false, came: false }
    }

    /// Whether it waited for a lease, and was woken to try again.
    pub(super) fn turn_came(&mut self) -> bool {
        if self.waits
            && let Some(index) = self.entry
            && !self.budget.crowd().members[index].waits
        {
            (self.waits, self.came) = (false, true);
        }
        self.came
    }

    /// The connection waits with `held` bytes above its allowance that its peer could free, and `wants` a lease or not.
    ///
    /// # Errors
    /// Where another one needs what it holds above its fair share.
    pub(super) fn wait(&mut self, held: usize, wants: Option<usize>, cx: &Context<'_>) -> Result<(), CloseReason> {
        // Who waits to read waits for some of this, and not of all: were the shares those of all, equal ones could hold all of
        // this for ever, and none of them more than its share.
        let (memory_budget, shared) = (self.budget.total, self.budget.most(For::Reading));
        if let Some(wants) = wants.filter(|wants| *wants > shared) {
            // It would wait for ever.
            return Err(CloseReason::OverBudget { held: wants, fair_share: shared, memory_budget });
        }
        let wants = wants.is_some();
        self.turn_came();
        if held == 0 && !wants && self.held == 0 && !self.waits && !self.came {
            return Ok(());
        }
        let came = std::mem::take(&mut self.came);
        let budget = &*self.budget;
        let mut crowd = budget.crowd();
        let index = *self.entry.get_or_insert_with(|| crowd.members.insert(Entry::default()));
        (self.held, self.waits) = (held, wants);
        let member = &mut crowd.members[index];
        member.held = held;
        member.waker = Some(cx.waker().clone());
        match (wants, std::mem::replace(&mut member.waits, wants)) {
            // There was not enough for it yet: it stays the first.
            (true, false) if came => crowd.waiting.push_front(index),
            (true, false) => crowd.waiting.push_back(index),
            (false, true) => crowd.waiting.retain(|waiting| *waiting != index),
            // There may be enough for the next one, too.
            (false, false) if came => crowd.wake_first(&budget.awaited),
            _ => {}
        }
        budget.awaited.store(!crowd.waiting.is_empty(), SeqCst);
        let free = shared.saturating_sub(budget.leased());
        if !crowd.waiting.is_empty() {
            crowd.end_largest(free);
        }
        match crowd.members[index].is_over {
            false => Ok(()),
            true => {
                let fair_share = crowd.fair_share(free);
                Err(CloseReason::OverBudget { held, fair_share, memory_budget })
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(index) = self.entry {
            let mut crowd = self.budget.crowd();
            crowd.members.remove(index);
            crowd.waiting.retain(|waiting| *waiting != index);
            // It may have been woken: then the next one is.
            crowd.wake_first(&self.budget.awaited);
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

    /// Of 750 KB for reading handlers at work hold 100, two connections 400 and 200, and 50 are free: a third of 650 is the fair
    /// share. Only one that waits ends the larger one.
    #[test]
    fn who_holds_more_than_its_share_ends_where_another_waits() {
        let budget = Budget::new(1_000_000);
        let [mut large, mut small, mut third] = [0; 3].map(|_| Member::new(&budget));
        assert!(budget.take(700_000, 750_000));
        assert!(large.wait(400_000, None, &cx()).is_ok() && small.wait(200_000, None, &cx()).is_ok());
        assert!(large.wait(400_000, None, &cx()).is_ok(), "nobody waits");
        assert!(third.wait(0, Some(60_000), &cx()).is_ok());
        assert!(small.wait(200_000, None, &cx()).is_ok(), "it is within its share");
        let over = large.wait(400_000, None, &cx()).expect_err("over its share");
        assert_eq!(over.to_string(), "over budget: 400000 bytes held, the fair share of 1000000 is 216666");
    }

    /// Where handlers at work hold all, who holds a little waits for them.
    #[test]
    fn who_holds_little_is_not_ended() {
        let budget = Budget::new(1_000_000);
        let [mut holds, mut waits] = [0; 2].map(|_| Member::new(&budget));
        assert!(budget.take(750_000, 750_000));
        assert!(holds.wait(LEAST_SHARE, Some(5000), &cx()).is_ok() && waits.wait(0, Some(1), &cx()).is_ok());
        assert!(holds.wait(LEAST_SHARE, Some(5000), &cx()).is_ok());
        assert!(holds.wait(LEAST_SHARE + 1, Some(5000), &cx()).is_err());
    }

    #[test]
    fn who_waits_has_its_turn_in_order_and_passes_it_on() {
        let budget = Budget::new(1000);
        let [mut first, mut second] = [0; 2].map(|_| Member::new(&budget));
        assert!(budget.take(1000, 1000));
        assert!(first.wait(0, Some(1), &cx()).is_ok() && second.wait(0, Some(1), &cx()).is_ok());
        assert_eq!(budget.crowd().waiting.len(), 2);
        budget.give(10);
        assert_eq!(budget.crowd().waiting, [second.entry.expect("it waits")]);
        drop(first);
        assert!(budget.crowd().waiting.is_empty() && !budget.awaited.load(SeqCst));
    }
}
