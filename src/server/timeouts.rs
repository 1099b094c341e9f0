//! The deadline of what a peer must send next. The time is an argument; waiting is done elsewhere.

use std::time::{Duration, Instant};

use super::ServerConfig;
use crate::close::CloseReason;

/// What a peer must send next, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
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

impl Expected {
    /// A connection was opened.
    pub(super) fn first(now: Instant) -> Expected {
        Expected { since: now, what: What::First }
    }

    /// Received bytes are handled: whether there was a whole frame among them, and how many bytes are left of an
    /// unfinished one.
    pub(super) fn received(&mut self, now: Instant, frames: bool, unfinished: usize) {
        let what = match (frames, unfinished) {
            (false, 0) => match self.what {
                // A TLS record was begun, and carried no frame.
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
        *self = Expected { since: now, what };
    }

    /// The peer read something, so it is not idle.
    pub(super) fn peer_read(&mut self, now: Instant) {
        if let What::Next = self.what {
            self.since = now;
        }
    }

    /// When the peer is late, if ever, with so many bytes of a frame received.
    pub(super) fn deadline(&self, limits: &ServerConfig<()>, received: usize) -> Option<Instant> {
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

    /// Why the connection of a late peer ends, with so many bytes of a frame received and so many missing.
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

/// The timeout of a frame of which so many bytes were received.
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
    fn bytes_without_a_frame_extend_no_deadline() {
        let begin = now();
        let later = begin + Duration::from_secs(5);
        let mut expected = Expected::first(begin);
        expected.received(later, false, 0);
        assert_eq!(expected, Expected::first(begin));
        expected.received(later, true, 0);
        let next = expected;
        expected.received(later + Duration::from_secs(1), false, 0);
        assert_eq!(expected, next);
    }

    /// At a rate of 1 byte a second, `usize::MAX` bytes earn more time than an `Instant` can express.
    #[test]
    fn a_deadline_too_far_away_is_none() {
        let limits = limits().min_rate(Some(1)).first_frame_timeout(None);
        let now = now();
        let mut expected = Expected::first(now);
        expected.received(now, true, 1);
        assert!(expected.deadline(&limits, 1).is_some());
        #[cfg(target_pointer_width = "64")]
        assert_eq!(expected.deadline(&limits, usize::MAX), None);
    }
}
