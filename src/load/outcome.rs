//! What a run was: plain data, which can be written down and read back, and what is to be said of it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::control::ConnectionFault;
use super::expect::Measure;
use super::fault::Class;
use super::meter::Interval;
use super::plan::{Pacing, Plan, Reply};
use super::shards::{Merged, Part};
use super::show::{count, duration, plural};
use super::times::{Geometry, Times};
use super::worker::Found;

/// Faults that are kept one by one; of more, the number is known.
pub(super) const FAULTS_KEPT: usize = 100;
/// Connections whose replies are kept one by one; of more, so many stand for all.
const SHARES_KEPT: usize = 101;
/// A rate is reached with this part of the frames that were due.
const REACHED: f64 = 0.99;
/// A thread of the generator that has more of its core than this has no time to spare.
const BUSY: f64 = 0.95;

/// What a run was.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The one thing to know.
    pub verdict: Verdict,
    /// What is wrong, a line each.
    pub failures: Vec<String>,
    /// It was ended before its time.
    pub interrupted: bool,
    /// How it came about.
    pub origin: Origin,
    /// What was to be done.
    pub plan: Plan,
    /// Whether it was over TLS.
    #[serde(default)]
    pub over_tls: bool,
    /// How long was measured.
    pub seconds: f64,
    /// Frames a second that were asked for; nothing in a closed loop.
    pub rate_asked: Option<f64>,
    /// Frames a second that were sent in the measured time.
    pub rate_reached: f64,
    /// Replies, or pushes that came, a second: those to frames of the measured time, from its begin to the last of
    /// them.
    pub frames_per_second: f64,
    /// Frames that were to be sent in the measured time by the schedule of an open loop.
    pub frames_due: u64,
    /// Frames that were to be sent in the measured time, and were sent in it.
    pub frames_in_time: u64,
    /// Frames that were sent, warm-up included.
    pub frames_sent: u64,
    /// Replies, or pushes, that are right, warm-up included: in order and, with echoes and pushes, every byte.
    pub frames_verified: u64,
    /// Frames that came and are wrong.
    pub frames_wrong: u64,
    /// Frames that did not come before the end of the drain.
    pub frames_lost: u64,
    /// Frames in flight on connections that ended before they were answered.
    pub frames_in_flight: u64,
    /// Frames that were due and not sent: the most at any time, looked at ten times a second.
    pub backlog_greatest: u64,
    /// The same, when sending ended.
    pub backlog_end: u64,
    /// Connections that were made and greeted.
    pub connections_held: usize,
    /// Those of them that were there until they ended as they should.
    pub connections_kept: usize,
    /// Connections without a single right reply, those with a part in chaos aside.
    pub connections_silent: usize,
    /// Ends that were brought about on purpose: resets by us.
    pub ended_by_reset: u64,
    /// Half-closes by us in the middle of the run.
    pub ended_by_half_close: u64,
    /// Slow readers.
    pub ended_as_slow_readers: u64,
    /// From when a frame was to be sent to its reply.
    pub response_ns: Times,
    /// From when a frame was sent to its reply.
    pub service_ns: Times,
    /// From when a frame was to be sent to when it was. Nothing in a closed loop.
    pub send_lag_ns: Times,
    /// The part of the send lag that is the generator's own: it was to be sent and could be, and was not yet.
    pub own_lag_ns: Times,
    /// How evenly the connections were served; `None` where nothing came.
    pub fairness: Option<Fairness>,
    /// Replies of those connections, the fewest first: of each, or, of more than 101, of 101 at even distances in that
    /// order.
    pub shares: Vec<u64>,
    /// For each thread of the generator, the part of a core that it had.
    pub generator_busy: Vec<f64>,
    /// What the server took, where that is known.
    pub server: Option<ServerUse>,
    /// Connections at fault.
    pub fault_count: usize,
    /// What is wrong with the first hundred of them.
    pub faults: Vec<FaultSeen>,
    /// Second by second. A frame belongs to the second in which it was to be sent.
    pub intervals: Vec<Interval>,
    /// What the outcome of a shard has besides; all else is of this shard alone. Only where the plan has a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Only where shards were merged: of which run, and how well they fit together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
}

/// The one thing to know of a run. Of several, the greatest is that of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// All that was asked for happened, and every byte was right.
    Verified,
    /// What was asked for was measured, and an expectation is missed.
    ExpectationMissed,
    /// It was not measured as asked: the rate was not reached, the generator was late, connections are missing.
    NotAsAsked,
    /// Ended before its time, and all was right until then.
    Incomplete,
    /// Bytes were wrong, or frames lost.
    Wrong,
}

impl Verdict {
    /// Whether the run ended early or wrongly: its times are not those of the load, and compare with nothing.
    pub fn is_unusable(self) -> bool {
        matches!(self, Verdict::Incomplete | Verdict::Wrong)
    }
}

/// How a run came about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The command, to repeat it.
    pub command: Vec<String>,
    /// The version of this crate.
    pub version: String,
    /// When it began, in seconds from 1970 on.
    pub started: f64,
    /// The system and its release.
    pub system: String,
    /// The processor's architecture.
    pub architecture: String,
    /// Cores that the generator may use.
    pub cores: usize,
}

/// How evenly connections were served: replies of each that is not part of chaos.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fairness {
    /// Replies of the connection with the fewest.
    pub min: u64,
    /// Of the one in the middle.
    pub median: u64,
    /// Of the one with the most.
    pub max: u64,
    /// Jain's index: 1 where all have the same, 1 / n where one has all.
    pub jain: f64,
}

/// What a server took, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerUse {
    /// Its threads, where that is known.
    pub threads: Option<usize>,
    /// Seconds on a core, in the program itself.
    pub user_seconds: Option<f64>,
    /// Seconds on a core, in the system.
    pub system_seconds: Option<f64>,
    /// The seconds of the clock that these are of.
    pub seconds: f64,
    /// Its most resident memory, in bytes.
    pub peak_memory: Option<u64>,
    /// What is wrong with how it ended.
    pub failure: Option<String>,
    /// What it took by the second, from the begin of the measured time on.
    pub samples: Vec<ServerSample>,
    /// The last of what it said, where that may explain a failure.
    pub said: Vec<String>,
}

/// What a server took in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerSample {
    /// When this second ended, in seconds of the measured time.
    pub at: f64,
    /// The cores that it had in this second, programs and system: 0.5 is half of one.
    pub cores: f64,
    /// Its resident memory at the end of this second, in bytes.
    pub memory: u64,
}

/// A fault, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FaultSeen {
    /// The connection, from 0 on.
    pub connection: u64,
    /// The number of the frame that was to come, from 0 on.
    pub sequence: u64,
    /// Its offset in the server's stream, in bytes.
    pub offset: u64,
    /// What faults of this kind are called.
    pub kind: String,
    /// What is wrong.
    pub text: String,
    /// Whether the server did wrong; else a connection is missing.
    pub wrong: bool,
}

impl From<&ConnectionFault> for FaultSeen {
    fn from(found: &ConnectionFault) -> FaultSeen {
        let ConnectionFault { connection, sequence, offset, fault } = found;
        FaultSeen {
            connection: *connection,
            sequence: *sequence,
            offset: *offset,
            kind: fault.name().into(),
            text: fault.to_string(),
            wrong: fault.class() == Class::Wrong,
        }
    }
}

impl Origin {
    pub(super) fn now() -> Origin {
        let uname = rustix::system::uname();
        Origin {
            command: std::env::args().collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: since_1970(SystemTime::now()),
            system: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            architecture: std::env::consts::ARCH.into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Frames a second; 0 where no time was measured.
pub(super) fn a_second(frames: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { frames as f64 / seconds } else { 0.0 }
}

impl Fairness {
    /// Out of numbers of replies, and how many connections had so many; `None` where none had any.
    pub(super) fn of(connections: &BTreeMap<u64, u64>) -> Option<Fairness> {
        let (min, max) = (*connections.first_key_value()?.0, *connections.last_key_value()?.0);
        let sum_of = |of: fn(f64) -> f64| -> f64 {
            connections.iter().map(|(replies, connections)| of(*replies as f64) * *connections as f64).sum()
        };
        let (all, sum, squares) = (sum_of(|_| 1.0), sum_of(|replies| replies), sum_of(|replies| replies * replies));
        let before = connections.values().scan(0u64, |before, connections| {
            *before = before.saturating_add(*connections);
            Some(*before)
        });
        let middle = (all / 2.0) as u64;
        let (median, _) = connections.keys().zip(before).find(|(_, before)| *before > middle)?;
        let jain = sum * sum / (all * squares);
        (max > 0).then_some(Fairness { min, median: *median, max, jain })
    }
}

/// In order, and of many as many as a chart shows: the first, the last, and what is at even distances between.
pub(super) fn thinned(connections: &BTreeMap<u64, u64>) -> Vec<u64> {
    let all = connections.values().fold(0, |all: u64, number| all.saturating_add(*number));
    let (kept, last) = (all.min(SHARES_KEPT as u64), all.saturating_sub(1));
    let ranks = (0..kept).map(|rank| u128::from(rank) * u128::from(last) / u128::from(kept - 1).max(1));
    let mut connections = connections.iter();
    let (mut replies, mut before) = (0, 0u128);
    let at = |rank| {
        while before <= rank
            && let Some((of_these, number)) = connections.next()
        {
            (replies, before) = (*of_these, before + u128::from(*number));
        }
        replies
    };
    ranks.map(at).collect()
}

/// How many there are of each.
fn counted(numbers: &[u64]) -> BTreeMap<u64, u64> {
    let mut counted = BTreeMap::new();
    for number in numbers {
        *counted.entry(*number).or_default() += 1;
    }
    counted
}

impl Outcome {
    /// What was found by a run that measured from `from` on, by its clock.
    pub(super) fn new(plan: &Plan, origin: Origin, from: u64, interrupted: bool, found: Found) -> Outcome {
        let mut all = Interval::default();
        found.seconds.iter().for_each(|second| all.add(second));
        let measured_ns = found.stopped.saturating_sub(from);
        let answered_ns = found.stopped.max(found.last_reply).saturating_sub(from);
        let [measured, to_the_end] = [measured_ns, answered_ns].map(|time| Duration::from_nanos(time).as_secs_f64());
        let replies = counted(&found.shares);
        let part = plan.shard.map(|shard| Part {
            run_id: plan.run_id(),
            plan_hash: plan.hash(),
            shard,
            start_at: plan.start_at.unwrap_or(origin.started),
            began: found.began.map(since_1970),
            histogram: Geometry::OURS,
            measured_ns,
            answered_ns,
            frames_unasked: found.unasked,
            replies: replies.iter().map(|(replies, connections)| (*replies, *connections)).collect(),
        });
        let mut outcome = Outcome {
            verdict: Verdict::Verified,
            failures: Vec::new(),
            interrupted,
            origin,
            plan: plan.clone(),
            over_tls: plan.tls.is_some(),
            seconds: measured,
            rate_asked: plan.own_rate(),
            rate_reached: a_second(found.in_time, measured),
            frames_per_second: a_second(all.response_ns.count(), to_the_end),
            frames_due: found.due,
            frames_in_time: found.in_time,
            frames_sent: found.sent,
            frames_verified: found.right,
            frames_wrong: found.wrong,
            frames_lost: found.lost,
            frames_in_flight: found.in_flight,
            backlog_greatest: found.greatest_backlog,
            backlog_end: found.backlog,
            connections_held: found.held,
            connections_kept: found.left.min(found.held),
            connections_silent: found.silent,
            ended_by_reset: found.resets,
            ended_by_half_close: found.half_closes,
            ended_as_slow_readers: found.slow_ends,
            response_ns: all.response_ns,
            service_ns: all.service_ns,
            send_lag_ns: all.send_lag_ns,
            own_lag_ns: all.own_lag_ns,
            fairness: Fairness::of(&replies),
            shares: thinned(&replies),
            generator_busy: found.busy,
            server: None,
            fault_count: found.faults.len(),
            faults: found.faults.iter().take(FAULTS_KEPT).map(FaultSeen::from).collect(),
            intervals: found.seconds,
            part,
            merged: None,
        };
        outcome.judge();
        outcome
    }

    /// The same with what the server took.
    #[must_use]
    pub fn with_server(mut self, server: ServerUse) -> Outcome {
        self.server = Some(server);
        self.judge();
        self
    }

    /// Frames that were wrong or lost, and connections that failed otherwise.
    pub fn errors(&self) -> u64 {
        let connections = self.plan.own_connections().saturating_sub(self.connections_kept) as u64;
        self.frames_wrong.saturating_add(self.frames_lost).max(connections)
    }

    /// The part of the frames due that was sent in the measured time; `None` in a closed loop.
    pub fn sent_in_time(&self) -> Option<f64> {
        (self.frames_due > 0).then(|| self.frames_in_time as f64 / self.frames_due as f64)
    }

    /// Whether there is but one time, as frames of a closed loop are sent when they are to be.
    pub(super) fn is_round_trip(&self) -> bool {
        self.plan.pacing == Pacing::Closed && self.response_ns == self.service_ns
    }

    /// What the server took on a core for a frame, in nanoseconds, where that is known.
    pub(super) fn server_ns_a_frame(&self) -> Option<f64> {
        let server = self.server.as_ref()?;
        let seconds = server.user_seconds? + server.system_seconds?;
        // Those of the time that the server was watched.
        let frames = self.frames_per_second * server.seconds;
        (frames >= 1.0).then(|| seconds * 1e9 / frames)
    }

    /// What was measured of this; `None` where nothing was.
    pub(super) fn measured(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Response(statistic) => statistic.of(&self.response_ns),
            Measure::Service(statistic) => statistic.of(&self.service_ns),
            Measure::Rate => self.sent_in_time(),
            Measure::Errors => Some(self.errors() as f64),
            Measure::Fairness => self.fairness.map(|fairness| fairness.jain),
        }
    }

    /// Reaches a verdict on what is measured.
    fn judge(&mut self) {
        let mut wrong = by_kind(&self.faults, self.fault_count, true);
        let server = self.server.as_ref();
        wrong.extend(server.and_then(|server| server.failure.clone()));
        let mut not_as_asked = by_kind(&self.faults, self.fault_count, false);
        not_as_asked.extend(self.not_as_asked());
        // What all shards together have to show, one of them cannot.
        let missed = if self.part.is_some() { Vec::new() } else { self.missed() };
        self.verdict = if !wrong.is_empty() {
            Verdict::Wrong
        } else if self.interrupted {
            Verdict::Incomplete
        } else if !not_as_asked.is_empty() {
            Verdict::NotAsAsked
        } else if !missed.is_empty() {
            Verdict::ExpectationMissed
        } else {
            Verdict::Verified
        };
        self.failures = [wrong, not_as_asked, missed].concat();
        if let Some(server) = server.filter(|_| !self.failures.is_empty()) {
            self.failures.extend(server.said.iter().map(|said| format!("the server said: {said}")));
        }
    }

    /// The expectations that are missed, a line each.
    pub(super) fn missed(&self) -> Vec<String> {
        self.plan.expectations.iter().filter_map(|it| it.missed(self.measured(it.measure()))).collect()
    }

    /// What is not as it was asked for, a line each.
    fn not_as_asked(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let asked = self.plan.own_connections();
        if self.connections_held < asked {
            lines.push(format!(
                "{} where {} were asked for",
                plural(self.connections_held, "connection"),
                count(asked as u64)
            ));
        }
        if self.interrupted {
            return lines;
        }
        if self.plan.reply != Reply::None && self.response_ns.count() == 0 {
            lines.push("nothing was measured: no right reply came to a frame of the measured time".into());
        }
        if let Some(frames) = self.plan.own_frames().filter(|frames| self.frames_sent < *frames && !self.has_chaos()) {
            lines.push(format!("{} frames were sent where {} were asked for", count(self.frames_sent), count(frames)));
        }
        let all_take_part = self.plan.pacing == Pacing::Closed && self.plan.in_flight_in_all.is_none();
        if self.connections_silent > 0 && self.plan.reply != Reply::None && all_take_part {
            let asked = count(asked as u64);
            lines.push(format!("{} of {asked} connections got no right reply", count(self.connections_silent as u64)));
        }
        lines.extend(self.rate_missed());
        lines
    }

    fn has_chaos(&self) -> bool {
        self.plan.chaos.connections() > 0
    }

    /// What is wrong with the rate that was asked for.
    fn rate_missed(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(asked) = self.rate_asked else { return lines };
        match self.sent_in_time() {
            None => lines.push("no frame was due in the measured time".into()),
            Some(part) if part < REACHED => lines.push(format!(
                "a rate of {} frames/s was asked for, and {:.1} % of the frames were sent in time: {}",
                count(asked as u64),
                100.0 * part,
                self.why_not_sent()
            )),
            Some(_) => {}
        }
        if let Some(lag) = self.own_lag_ns.quantile(0.99)
            && lag > self.plan.greatest_lag.as_nanos() as u64
        {
            let allowed = duration(self.plan.greatest_lag.as_nanos() as u64);
            lines.push(format!(
                "the generator was late: 1 % of the frames were sent {} or more after they could be, and {allowed} is allowed",
                duration(lag)
            ));
        }
        if let Some(busy) = self.generator_busy.iter().copied().reduce(f64::max).filter(|busy| *busy > BUSY) {
            lines.push(format!(
                "the generator is out of CPU: a thread of it had {:.0} % of a core; give it more threads or cores",
                100.0 * busy
            ));
        }
        lines
    }

    fn why_not_sent(&self) -> &'static str {
        let held = self.send_lag_ns.sum().saturating_sub(self.own_lag_ns.sum());
        match held > self.own_lag_ns.sum() {
            true if self.plan.in_flight.is_some() => {
                "the server held them up, by the frames in flight that are allowed"
            }
            true => "the server held them up: its sockets took no more",
            false => "the generator had not the time",
        }
    }
}

/// The faults of one class, those of a kind together: how many, and the first one.
fn by_kind(faults: &[FaultSeen], in_all: usize, wrong: bool) -> Vec<String> {
    let mut kinds: Vec<(usize, &FaultSeen)> = Vec::new();
    for fault in faults.iter().filter(|fault| fault.wrong == wrong) {
        match kinds.iter_mut().find(|(_, first)| first.kind == fault.kind) {
            Some((count, _)) => *count += 1,
            None => kinds.push((1, fault)),
        }
    }
    let more = if in_all > faults.len() { " or more" } else { "" };
    let line = |(number, fault): &(usize, &FaultSeen)| {
        let FaultSeen { connection, sequence, offset, kind, text, .. } = fault;
        let first = if *number > 1 { "the first: " } else { "" };
        let connections = plural(*number, "connection");
        format!(
            "{connections}{more}, {kind}: {first}connection {connection}, frame {sequence}, byte {offset} of its stream: {text}"
        )
    };
    kinds.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_shares_the_first_the_last_and_some_between_are_kept() {
        let thinned = |replies: &[u64]| thinned(&counted(replies));
        assert_eq!(thinned(&[3, 1, 2, 2]), [1, 2, 2, 3]);
        let kept = thinned(&(0..=1000).rev().collect::<Vec<_>>());
        assert_eq!((kept.len(), kept[0], kept[50], kept[100]), (SHARES_KEPT, 0, 500, 1000));
        assert_eq!((thinned(&[]), thinned(&[7])), (vec![], vec![7]));
    }

    #[test]
    fn fairness_is_one_where_all_have_the_same_and_less_where_not() {
        let of = |replies: &[u64]| Fairness::of(&counted(replies));
        assert_eq!(of(&[5; 4]), Some(Fairness { min: 5, median: 5, max: 5, jain: 1.0 }));
        assert_eq!(of(&[0, 0, 0, 8]), Some(Fairness { min: 0, median: 0, max: 8, jain: 0.25 }));
        assert_eq!(of(&[7, 1, 3]).map(|it| (it.min, it.median, it.max)), Some((1, 3, 7)));
        assert_eq!((of(&[0, 0]), of(&[])), (None, None));
    }
}
