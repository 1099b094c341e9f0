//! What is measured, second by second. A frame belongs to the second in which it was *to be* sent, however late its reply is. The
//! time is an argument.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::flight::Group;
use super::times::{Recorder, Times};

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What one second, or the whole run, showed. Second 0 begins when the warm-up is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Interval {
    /// Frames that were to be sent then and were, whenever that was.
    pub sent: u64,
    /// From when a frame was to be sent to its reply.
    pub response_ns: Times,
    /// From when a frame was sent to its reply.
    pub service_ns: Times,
    /// From when a frame was to be sent to when it was. Nothing in a closed loop.
    pub send_lag_ns: Times,
    /// The part of the send lag that is the generator's own: it was to be sent and could be, and was not yet.
    pub own_lag_ns: Times,
}

impl Interval {
    /// Adds what another one has.
    pub(super) fn add(&mut self, other: &Interval) {
        self.sent += other.sent;
        self.response_ns.add_all(&other.response_ns);
        self.service_ns.add_all(&other.service_ns);
        self.send_lag_ns.add_all(&other.send_lag_ns);
        self.own_lag_ns.add_all(&other.own_lag_ns);
    }
}

/// The measurements of one shard.
#[derive(Debug)]
pub(super) struct Meter {
    /// What is measured, in nanoseconds of the run's clock: frames that are to be sent then.
    window: Range<u64>,
    /// The seconds that are over, and the one that is recorded now without what is in `now`.
    seconds: Vec<Interval>,
    now: Recorders,
    /// Frames of the window that were sent in it.
    in_time: u64,
}

/// The second that is recorded now: the last of `Meter::seconds`.
#[derive(Debug)]
struct Recorders {
    sent: u64,
    response: Recorder,
    service: Recorder,
    send_lag: Recorder,
    own_lag: Recorder,
}

impl Recorders {
    fn new() -> Recorders {
        let [response, service, send_lag, own_lag] = std::array::from_fn(|_| Recorder::new());
        Recorders { sent: 0, response, service, send_lag, own_lag }
    }

    fn take(&mut self) -> Interval {
        Interval {
            sent: std::mem::take(&mut self.sent),
            response_ns: self.response.take(),
            service_ns: self.service.take(),
            send_lag_ns: self.send_lag.take(),
            own_lag_ns: self.own_lag.take(),
        }
    }
}

impl Meter {
    /// Measures what is to be sent in this part of the run's clock.
    pub(super) fn new(window: Range<u64>) -> Meter {
        Meter { window, seconds: vec![Interval::default()], now: Recorders::new(), in_time: 0 }
    }

    /// Whether frames that are to be sent at this time are measured.
    #[inline]
    pub(super) fn measures(&self, intended: u64) -> bool {
        self.window.contains(&intended)
    }

    /// Frames of the window that were sent before its end.
    pub(super) fn in_time(&self) -> u64 {
        self.in_time
    }

    /// So many frames of a closed loop are sent.
    #[inline]
    pub(super) fn sent(&mut self, sent: u64, frames: u64) {
        if self.measures(sent) {
            self.in_time += frames;
            let second = self.second(sent);
            match self.is_now(second) {
                true => self.now.sent += frames,
                false => self.seconds[second].sent += frames,
            }
        }
    }

    /// A frame of an open loop is sent, that could have been from `possible` on.
    #[inline]
    pub(super) fn sent_late(&mut self, intended: u64, possible: u64, sent: u64) {
        if !self.measures(intended) {
            return;
        }
        self.in_time += u64::from(sent < self.window.end);
        let (lag, own) = (sent - intended, sent.saturating_sub(possible.max(intended)));
        let second = self.second(intended);
        if self.is_now(second) {
            self.now.sent += 1;
            self.now.send_lag.add(lag, 1);
            self.now.own_lag.add(own, 1);
        } else {
            let second = &mut self.seconds[second];
            second.sent += 1;
            second.send_lag_ns.add(lag, 1);
            second.own_lag_ns.add(own, 1);
        }
    }

    /// Replies to frames that were sent together came now; whether they are measured.
    #[inline]
    pub(super) fn answered(&mut self, Group { intended, sent, frames }: Group, now: u64) -> bool {
        if !self.measures(intended) {
            return false;
        }
        let (response, service) = (now.saturating_sub(intended), now.saturating_sub(sent));
        let second = self.second(intended);
        if self.is_now(second) {
            self.now.response.add(response, frames);
            self.now.service.add(service, frames);
        } else {
            let second = &mut self.seconds[second];
            second.response_ns.add(response, frames);
            second.service_ns.add(service, frames);
        }
        true
    }

    /// All seconds.
    pub(super) fn finish(mut self) -> Vec<Interval> {
        self.close();
        self.seconds
    }

    fn is_now(&self, second: usize) -> bool {
        second + 1 == self.seconds.len()
    }

    /// The second of this time, which is there from now on.
    #[inline]
    fn second(&mut self, intended: u64) -> usize {
        let second = ((intended - self.window.start) / SECOND) as usize;
        if second >= self.seconds.len() {
            self.close();
            self.seconds.resize_with(second + 1, Interval::default);
        }
        second
    }

    /// Puts what is recorded now where it belongs.
    fn close(&mut self) {
        let recorded = self.now.take();
        if let Some(last) = self.seconds.last_mut() {
            last.add(&recorded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn group(intended: u64, sent: u64, frames: u64) -> Group {
        Group { intended, sent, frames }
    }

    #[test]
    fn a_reply_belongs_to_the_second_in_which_its_frame_was_to_be_sent() {
        let mut meter = Meter::new(1000 * MS..5000 * MS);
        meter.sent_late(1500 * MS, 0, 1500 * MS);
        meter.sent_late(2500 * MS, 0, 2500 * MS);
        meter.answered(group(2500 * MS, 2500 * MS, 1), 2501 * MS);
        meter.answered(group(1500 * MS, 1500 * MS, 1), 9000 * MS);
        let seconds = meter.finish();
        assert_eq!(seconds.len(), 2);
        assert_eq!(seconds[0].response_ns.max(), Some(7500 * MS));
        assert_eq!(seconds[1].response_ns.max(), Some(MS));
        assert_eq!((seconds[0].sent, seconds[1].sent), (1, 1));
    }

    #[test]
    fn warm_up_and_what_comes_after_the_window_are_not_measured() {
        let mut meter = Meter::new(1000 * MS..2000 * MS);
        for intended in [0, 999 * MS, 2000 * MS] {
            meter.sent(intended, 1);
            meter.sent_late(intended, 0, intended);
            assert!(!meter.answered(group(intended, intended, 1), intended + 1));
        }
        assert_eq!(meter.finish(), [Interval::default()]);
    }

    #[test]
    fn response_is_from_the_intended_time_and_service_from_the_send() {
        let mut meter = Meter::new(0..1000 * MS);
        // To be sent at 100, possible from 300 on, sent at 301, answered at 305.
        meter.sent_late(100 * MS, 300 * MS, 301 * MS);
        meter.answered(group(100 * MS, 301 * MS, 1), 305 * MS);
        let seconds = meter.finish();
        let [response, service, lag, own] =
            [&seconds[0].response_ns, &seconds[0].service_ns, &seconds[0].send_lag_ns, &seconds[0].own_lag_ns]
                .map(|times| times.max());
        assert_eq!((response, service, lag, own), (Some(205 * MS), Some(4 * MS), Some(201 * MS), Some(MS)));
    }

    #[test]
    fn what_was_sent_after_the_window_is_sent_and_not_in_time() {
        let mut meter = Meter::new(0..1000 * MS);
        meter.sent_late(900 * MS, 0, 950 * MS);
        meter.sent_late(900 * MS, 0, 1050 * MS);
        assert_eq!(meter.in_time(), 1);
        assert_eq!(meter.finish()[0].sent, 2);
    }
}
