//! Where few connections send pushes: how many have each frame that is in flight. A frame is in flight until all have
//! it.

use std::collections::VecDeque;

use super::plan::Plan;

/// What is in flight of each connection that sends, and how many have it.
#[derive(Debug)]
pub(super) struct Receipts {
    /// The first connection that sends, and those that receive what one of these sends.
    first: u64,
    receivers: u32,
    senders: Vec<Sent>,
    /// Connections of which frames came to all, and how many frames.
    settled: Vec<(u64, u64)>,
}

/// The frames of one connection.
#[derive(Clone, Debug, Default)]
struct Sent {
    /// So many came to all.
    to_all: u64,
    /// How many have each one after those.
    having: VecDeque<u32>,
}

impl Receipts {
    /// `None` where something else sets the pace.
    pub(super) fn new(plan: &Plan) -> Option<Receipts> {
        plan.awaits_receipts().then(|| Receipts {
            first: plan.first_sender(),
            receivers: (plan.connections - plan.chaos.slow_readers - 1) as u32,
            senders: vec![Sent::default(); plan.connections - plan.first_sender() as usize],
            settled: Vec::new(),
        })
    }

    /// One connection more has this frame.
    #[inline]
    pub(super) fn note(&mut self, sender: u64, sequence: u64) {
        let Sent { to_all, having } = &mut self.senders[(sender - self.first) as usize];
        let at = (sequence - *to_all) as usize;
        if having.len() <= at {
            having.resize(at + 1, 0);
        }
        having[at] += 1;
        if at == 0 && having[0] == self.receivers {
            having.pop_front();
            *to_all += 1;
            match self.settled.last_mut() {
                Some((last, frames)) if *last == sender => *frames += 1,
                _ => self.settled.push((sender, 1)),
            }
        }
    }

    /// A connection of which frames came to all since this was last called, and how many.
    pub(super) fn settle(&mut self) -> Option<(u64, u64)> {
        self.settled.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{Reply, Target};

    #[test]
    fn a_frame_is_settled_once_all_have_it() {
        let plan = Plan { reply: Reply::Push, connections: 4, senders: Some(2), ..Plan::new(Target::Tcp(Vec::new())) };
        let mut receipts = Receipts::new(&plan).expect("a closed loop");
        // Connection 2 sends two frames to 0, 1 and 3, and connection 3 one.
        for (sender, sequence) in [(2, 0), (2, 1), (2, 0), (3, 0), (2, 1), (3, 0)] {
            receipts.note(sender, sequence);
        }
        assert_eq!(receipts.settle(), None);
        for (sender, sequence) in [(2, 0), (2, 1), (3, 0)] {
            receipts.note(sender, sequence);
        }
        assert_eq!([receipts.settle(), receipts.settle(), receipts.settle()], [Some((3, 1)), Some((2, 2)), None]);
    }
}
