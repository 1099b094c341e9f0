//! What is measured, second by second. A frame belongs to the second in which it was *to be* sent, however late its
//! reply is. The time is an argument.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::control::Snapshot;
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
    /// Frames that were sent in this second of the clock, whenever they were to be.
    pub sent_by_clock: u64,
    /// Replies, or pushes, that came in this second of the clock and are right, whenever their frames were to be sent.
    pub answered_by_clock: u64,
    /// Frames in flight, the mean of ten looks.
    pub in_flight: u64,
    /// Frames that were due and not sent, the mean of ten looks.
    pub backlog: u64,
    /// Connections, the mean of ten looks.
    pub connections: u64,
}

impl Interval {
    /// Adds what another one has: of the same second, measured elsewhere, or of another second.
    pub(super) fn add(&mut self, other: &Interval) {
        self.sent += other.sent;
        self.response_ns.add_all(&other.response_ns);
        self.service_ns.add_all(&other.service_ns);
        self.send_lag_ns.add_all(&other.send_lag_ns);
        self.own_lag_ns.add_all(&other.own_lag_ns);
        self.sent_by_clock += other.sent_by_clock;
        self.answered_by_clock += other.answered_by_clock;
        self.in_flight += other.in_flight;
        self.backlog += other.backlog;
        self.connections += other.connections;
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
    /// What was seen in each second of the clock, and the last look, with its time.
    looks: Vec<Looks>,
    last_look: Option<(u64, Snapshot)>,
    /// Seconds that [`Meter::settled`] gave away.
    settled: usize,
}

/// The looks of one second, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Looks {
    number: u64,
    sent: u64,
    answered: u64,
    in_flight: u64,
    backlog: u64,
    connections: u64,
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
            ..Interval::default()
        }
    }
}

impl Meter {
    /// Measures what is to be sent in this part of the run's clock.
    pub(super) fn new(window: Range<u64>) -> Meter {
        let seconds = vec![Interval::default()];
        Meter { window, seconds, now: Recorders::new(), in_time: 0, looks: Vec::new(), last_look: None, settled: 0 }
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

    /// The shard is so far at this time. What it did since the last look belongs to the second of that look: who looks
    /// at the begin of each second loses nothing to the next one.
    pub(super) fn look(&mut self, now: u64, snapshot: Snapshot) {
        if let Some((then, before)) = self.last_look.replace((now, snapshot)).filter(|(then, _)| self.measures(*then)) {
            let looks = self.looks_of(then);
            looks.sent += snapshot.sent - before.sent;
            looks.answered += snapshot.received - before.received;
        }
        if self.measures(now) {
            let looks = self.looks_of(now);
            looks.number += 1;
            looks.in_flight += snapshot.in_flight;
            looks.backlog += snapshot.backlog;
            looks.connections += snapshot.connections as u64;
        }
    }

    /// The next second that was over a second ago, so that most of its replies are there.
    pub(super) fn settled(&mut self, now: u64) -> Option<(usize, &Interval)> {
        let second = (now.checked_sub(self.window.start)? / SECOND) as usize;
        let next = self.settled;
        if next + 2 > second || next + 1 >= self.seconds.len() {
            return None;
        }
        self.settled += 1;
        Some((next, &self.seconds[next]))
    }

    fn looks_of(&mut self, time: u64) -> &mut Looks {
        let second = ((time - self.window.start) / SECOND) as usize;
        if second >= self.looks.len() {
            self.looks.resize_with(second + 1, Looks::default);
        }
        &mut self.looks[second]
    }

    /// All seconds.
    pub(super) fn finish(mut self) -> Vec<Interval> {
        self.close();
        if self.seconds.len() < self.looks.len() {
            self.seconds.resize_with(self.looks.len(), Interval::default);
        }
        for (second, looks) in self.seconds.iter_mut().zip(&self.looks) {
            let mean = |sum: u64| (sum + looks.number / 2).checked_div(looks.number).unwrap_or(0);
            (second.sent_by_clock, second.answered_by_clock) = (looks.sent, looks.answered);
            second.in_flight = mean(looks.in_flight);
            second.backlog = mean(looks.backlog);
            second.connections = mean(looks.connections);
        }
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
    fn a_second_of_the_clock_has_what_was_seen_in_it() {
        let mut meter = Meter::new(1000 * MS..3000 * MS);
        let look =
            |sent, received, in_flight| Snapshot { sent, received, in_flight, connections: 4, ..Snapshot::default() };
        meter.look(900 * MS, look(70, 60, 10));
        // The second begins; what was sent until then is of the warm-up.
        meter.look(1000 * MS, look(80, 70, 10));
        meter.look(1500 * MS, look(100, 70, 30));
        meter.look(2001 * MS, look(120, 110, 10));
        meter.look(3001 * MS, look(150, 150, 0));
        let seconds = meter.finish();
        let seen: Vec<_> =
            seconds.iter().map(|it| (it.sent_by_clock, it.answered_by_clock, it.in_flight, it.connections)).collect();
        assert_eq!(seen, [(40, 40, 20, 4), (30, 40, 10, 4)]);
    }

    #[test]
    fn a_second_is_settled_when_the_next_one_is_over() {
        let mut meter = Meter::new(1000 * MS..9000 * MS);
        for (begin, settled) in
            [(1000, None), (2000, None), (3000, Some(0)), (4000, Some(1)), (4500, None), (6000, Some(2))]
        {
            meter.sent(begin * MS, 1);
            meter.answered(group(begin * MS, begin * MS, 1), begin * MS + 1);
            let found = meter.settled(begin * MS).map(|(second, interval)| (second, interval.response_ns.count()));
            assert_eq!(found, settled.map(|second| (second, 1)), "{begin}");
        }
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
