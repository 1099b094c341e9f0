//! The TLS configuration of a server, and the limit of its handshakes at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rustls::ServerConfig;

/// What all connections over TLS share.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) config: Arc<ServerConfig>,
    pub(super) handshakes: Arc<Handshakes>,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>, max_handshakes: usize) -> Acceptor {
        let queue = Mutex::new(Queue { active: 0, waiting: VecDeque::new(), last: 0 });
        Acceptor { config, handshakes: Arc::new(Handshakes { max_handshakes, queue }) }
    }
}

/// The handshakes at a time, and the connections that wait to begin one, in order.
pub(super) struct Handshakes {
    pub(super) max_handshakes: usize,
    queue: Mutex<Queue>,
}

struct Queue {
    active: usize,
    waiting: VecDeque<(u64, Waker)>,
    last: u64,
}

impl Handshakes {
    /// Whether a connection waits that cannot begin before another handshake ends.
    pub(super) fn are_crowded(&self) -> bool {
        let queue = self.queue();
        queue.waiting.len() > self.max_handshakes.saturating_sub(queue.active)
    }

    /// Nothing panics while it holds the lock.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's permit to shake hands: it waits for it, holds it, and releases it when dropped.
pub(super) struct Permit {
    handshakes: Arc<Handshakes>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Waiting(u64),
    Begun,
}

impl Permit {
    pub(super) fn new(handshakes: &Arc<Handshakes>) -> Permit {
        Permit { handshakes: Arc::clone(handshakes), state: State::New }
    }

    pub(super) fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// Lets another connection begin.
    pub(super) fn release(&mut self) {
        *self = Permit::new(&self.handshakes);
    }

    /// Ready when the handshake may begin. If it may not yet, the task is woken when it may.
    pub(super) fn poll_begin(&mut self, cx: &Context<'_>) -> Poll<()> {
        let queue = &mut *self.handshakes.queue();
        let free = self.handshakes.max_handshakes.saturating_sub(queue.active);
        let ahead = match self.state {
            State::Begun => return Poll::Ready(()),
            State::New => queue.waiting.len(),
            State::Waiting(number) => queue.waiting.iter().take_while(|(other, _)| *other != number).count(),
        };
        if ahead < free {
            if let State::Waiting(_) = self.state {
                queue.waiting.remove(ahead);
            }
            queue.active += 1;
            self.state = State::Begun;
            return Poll::Ready(());
        }
        match self.state {
            State::Waiting(_) => queue.waiting[ahead].1.clone_from(cx.waker()),
            _ => {
                queue.last += 1;
                queue.waiting.push_back((queue.last, cx.waker().clone()));
                self.state = State::Waiting(queue.last);
            }
        }
        Poll::Pending
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let queue = &mut *self.handshakes.queue();
        match self.state {
            State::New => return,
            State::Waiting(number) => queue.waiting.retain(|(other, _)| *other != number),
            State::Begun => queue.active -= 1,
        }
        let free = self.handshakes.max_handshakes.saturating_sub(queue.active);
        queue.waiting.iter().take(free).for_each(|(_, waker)| waker.wake_by_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshakes(max_handshakes: usize) -> Arc<Handshakes> {
        let queue = Mutex::new(Queue { active: 0, waiting: VecDeque::new(), last: 0 });
        Arc::new(Handshakes { max_handshakes, queue })
    }

    #[test]
    fn at_most_max_handshakes_begin_and_the_others_in_order() {
        let handshakes = handshakes(2);
        let mut permits: Vec<Permit> = (0..4).map(|_| Permit::new(&handshakes)).collect();
        let cx = Context::from_waker(Waker::noop());
        let begun = |permits: &mut Vec<Permit>| {
            permits.iter_mut().map(|permit| permit.poll_begin(&cx).is_ready()).collect::<Vec<_>>()
        };
        assert_eq!(begun(&mut permits), [true, true, false, false]);
        assert!(handshakes.are_crowded());
        drop(permits.remove(0));
        // One of the two that wait may begin: the first.
        assert!(handshakes.are_crowded());
        assert_eq!(permits[2].poll_begin(&cx), Poll::Pending);
        assert_eq!(begun(&mut permits), [true, true, false]);
        drop(permits.remove(2));
        assert!(!handshakes.are_crowded(), "none waits");
        permits.clear();
        assert_eq!(handshakes.queue().active, 0);
    }
}
