//! The frames of a connection that are in flight: when each was to be sent, and when it was.

use std::collections::VecDeque;

/// First in, first out; frames of the same times stand together.
#[derive(Debug, Default)]
pub(super) struct Flight {
    groups: VecDeque<Group>,
    frames: u64,
}

/// Frames that were sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// When they were to be sent.
    pub(super) intended: u64,
    /// When they were.
    pub(super) sent: u64,
    pub(super) frames: u64,
}

impl Flight {
    /// How many frames there are.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// So many frames are sent.
    #[inline]
    pub(super) fn push(&mut self, intended: u64, sent: u64, frames: u64) {
        self.frames += frames;
        match self.groups.back_mut() {
            Some(last) if last.intended == intended && last.sent == sent => last.frames += frames,
            _ => self.groups.push_back(Group { intended, sent, frames }),
        }
    }

    /// The first `count` are answered; `each` gets them, those of the same times together.
    #[inline]
    pub(super) fn settle(&mut self, mut count: u64, mut each: impl FnMut(Group)) {
        debug_assert!(count <= self.frames, "{count} answered of {} in flight", self.frames);
        self.frames -= count;
        while count > 0
            && let Some(first) = self.groups.front_mut()
        {
            let frames = count.min(first.frames);
            each(Group { frames, ..*first });
            first.frames -= frames;
            count -= frames;
            if first.frames == 0 {
                self.groups.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_answered_in_order_those_of_one_time_together() {
        let mut flight = Flight::default();
        for (intended, sent) in [(10, 12), (10, 12), (11, 12), (30, 30)] {
            flight.push(intended, sent, 1);
        }
        assert_eq!((flight.frames(), flight.groups.len()), (4, 3));
        let mut seen = Vec::new();
        flight.settle(3, |group| seen.push((group.intended, group.sent, group.frames)));
        assert_eq!(seen, [(10, 12, 2), (11, 12, 1)]);
        flight.settle(1, |group| seen.push((group.intended, group.sent, group.frames)));
        assert_eq!((seen[2], flight.frames(), flight.groups.len()), ((30, 30, 1), 0, 0));
    }

    #[test]
    fn a_group_may_be_answered_in_parts() {
        let mut flight = Flight::default();
        flight.push(1, 1, 5);
        let mut parts = Vec::new();
        for count in [2, 2, 1] {
            flight.settle(count, |group| parts.push(group.frames));
        }
        assert_eq!((parts, flight.frames()), (vec![2, 2, 1], 0));
    }
}
