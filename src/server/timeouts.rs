//! By when a peer must have sent something: plain code over an `Instant` that is passed in. Others do the waiting.

use std::time::{Duration, Instant};

use super::ServerConfig;
use crate::close::CloseReason;

/// What a peer must send next, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    since: Instant,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The first frame's first byte, since the connection was opened.
    First,
    /// The rest of the first frame, whose first byte came so many milliseconds later.
    FirstFrame { after: u32 },
    /// The rest of a frame, since its first byte.
    Frame,
    /// The next frame's first byte, since the last frame.
    Next,
}

impl Due {
    /// A connection was opened.
    pub(super) fn first(now: Instant) -> Due {
        Due { since: now, what: What::First }
    }

    /// What came is dealt with: whether there was a whole frame among it, and how many bytes are left of an unfinished one.
    pub(super) fn came(&mut self, now: Instant, frames: bool, unfinished: usize) {
        let what = match (frames, unfinished) {
            (false, 0) => match self.what {
                // A record of TLS was begun, and came to nothing.
                What::Frame => What::Next,
                What::FirstFrame { .. } => What::First,
                What::First | What::Next => return,
            },
            (false, _) => match self.what {
                What::First => {
                    let after = (now - self.since).as_millis();
                    self.what = What::FirstFrame { after: u32::try_from(after).unwrap_or(u32::MAX) };
                    return;
                }
                What::Next => What::Frame,
                What::FirstFrame { .. } | What::Frame => return,
            },
            (true, 0) => What::Next,
            (true, _) => What::Frame,
        };
        *self = Due { since: now, what };
    }

    /// The peer took something of what is written to it: so it is not idle.
    pub(super) fn took(&mut self, now: Instant) {
        if let What::Next = self.what {
            self.since = now;
        }
    }

    /// When the peer is overdue, if ever, with so many bytes of a frame received.
    pub(super) fn until(&self, limits: &ServerConfig<()>, received: usize) -> Option<Instant> {
        let first = limits.first_frame_timeout;
        let frame = || frame_timeout(limits, received);
        let after_since = match self.what {
            What::First => first,
            What::FirstFrame { after } => earlier(first, frame().map(|frame| millis(after) + frame)),
            What::Frame => frame(),
            What::Next => limits.idle_timeout,
        };
        self.since.checked_add(after_since?)
    }

    /// Why the peer's connection ends, where it is overdue: so many bytes of a frame came, and so many were missing.
    pub(super) fn overdue(&self, limits: &ServerConfig<()>, received: usize, missing: usize) -> CloseReason {
        let frame = frame_timeout(limits, received);
        let first = limits.first_frame_timeout;
        match (self.what, frame) {
            (What::FirstFrame { after }, Some(frame)) if first.is_none_or(|first| millis(after) + frame < first) => {
                CloseReason::SlowFrame { received, missing, timeout: frame, diagnosis: None }
            }
            (What::Frame, Some(timeout)) => CloseReason::SlowFrame { received, missing, timeout, diagnosis: None },
            (What::Next, _) => CloseReason::Idle { timeout: limits.idle_timeout.unwrap_or_default() },
            _ => CloseReason::Silent { timeout: first.unwrap_or_default(), diagnosis: None },
        }
    }
}

/// How long a frame may take of which so much has come.
fn frame_timeout(limits: &ServerConfig<()>, received: usize) -> Option<Duration> {
    let earned = limits.min_rate.map_or(0.0, |rate| received as f64 / rate as f64);
    limits.frame_timeout?.checked_add(Duration::try_from_secs_f64(earned).ok()?)
}

fn millis(n: u32) -> Duration {
    Duration::from_millis(u64::from(n))
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::system::now;

    fn limits() -> ServerConfig<()> {
        ServerConfig::default().split(()).1
    }

    #[test]
    fn what_brought_nothing_puts_nothing_off() {
        let begin = now();
        let later = begin + Duration::from_secs(5);
        let mut due = Due::first(begin);
        due.came(later, false, 0);
        assert_eq!(due, Due::first(begin));
        due.came(later, true, 0);
        let next = due;
        due.came(later + Duration::from_secs(1), false, 0);
        assert_eq!(due, next);
    }

    /// At a byte a second the bytes of an address space give more time than there is: no deadline, and no overflow.
    #[test]
    fn a_frame_that_earned_more_time_than_there_is_has_no_deadline() {
        let limits = limits().min_rate(Some(1)).first_frame_timeout(None);
        let now = now();
        let mut due = Due::first(now);
        due.came(now, true, 1);
        assert!(due.until(&limits, 1).is_some());
        #[cfg(target_pointer_width = "64")]
        assert_eq!(due.until(&limits, usize::MAX), None);
    }
}
