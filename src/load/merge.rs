//! The outcomes of all shards of a run become the outcome of the run: nothing is estimated, and what does not fit is
//! refused.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::error::PlanError;
use super::meter::Interval;
use super::outcome::{FAULTS_KEPT, Fairness, FaultSeen, Outcome, Verdict, a_second, thinned};
use super::shards::{Merged, Part, Shard};
use super::times::Geometry;

/// Shards that are named where many are missing.
const MISSING_NAMED: usize = 10;
/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// The outcome of one shard of a run, as [`json`](super::json) wrote it into a file.
#[derive(Clone, Debug)]
pub struct ShardFile {
    name: String,
    outcome: Outcome,
    part: Part,
}

impl ShardFile {
    /// Reads the content of a file. Its name is for errors.
    ///
    /// # Errors
    /// Where it is no outcome, or none of a shard; where another version of this crate wrote it, or with other
    /// histograms; where its plan cannot be, or its frames do not add up.
    pub fn read(name: impl Into<String>, content: &[u8]) -> Result<ShardFile, MergeError> {
        let file = name.into();
        let unreadable = |error| MergeError::Unreadable { file: file.clone(), error };
        // First what tells whether the rest can be read.
        let head: Head = serde_json::from_slice(content).map_err(unreadable)?;
        let (version, ours) = (head.origin.version, env!("CARGO_PKG_VERSION"));
        if version != ours {
            return Err(MergeError::Version { file, found: version, expected: ours.into() });
        }
        match head.part {
            None => return Err(MergeError::NotAShard { file }),
            Some(HeadPart { histogram }) if histogram != Geometry::OURS => {
                return Err(MergeError::Histogram { file, found: histogram, expected: Geometry::OURS });
            }
            Some(_) => {}
        }
        let outcome: Outcome = serde_json::from_slice(content).map_err(unreadable)?;
        outcome.plan.check().map_err(|error| MergeError::Plan { file: file.clone(), error })?;
        let part = outcome.part.clone().filter(|part| outcome.plan.shard == Some(part.shard));
        let Some(part) = part else { return Err(MergeError::NotAShard { file }) };
        let balance = Balance::of(&outcome, &part);
        match outcome.plan.reply.is_one_for_each() && !balance.is_even() {
            true => Err(MergeError::Balance { file, balance }),
            false => Ok(ShardFile { name: file, outcome, part }),
        }
    }

    /// The outcome that is in it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether it measured for the time that was asked for, or, where frames are scheduled and end the run, all of its
    /// frames.
    fn measured_all(&self) -> bool {
        let plan = &self.outcome.plan;
        let is_scheduled = plan.pacing.rate().is_some();
        let sent_all = is_scheduled && plan.own_frames() == Some(self.outcome.frames_sent);
        sent_all || u128::from(self.part.measured_ns) >= plan.duration.as_nanos()
    }

    /// Whether it is of the same run as the first one.
    fn is_of_the_run(&self, first: &ShardFile) -> Result<(), MergeError> {
        let (ours, theirs) = (&first.part, &self.part);
        let texts = |part: &Part| {
            let Part { run_id, plan_hash, shard, start_at, .. } = part;
            [run_id.clone(), plan_hash.clone(), shard.of().to_string(), start_at.to_string()]
        };
        let whats = ["run id", "hash of the plan", "number of shards", "start"];
        let mut differing = whats.into_iter().zip(texts(theirs).into_iter().zip(texts(ours)));
        match differing.find(|(_, (found, expected))| found != expected) {
            None => Ok(()),
            Some((what, (found, expected))) => {
                Err(MergeError::Foreign { file: self.name.clone(), what, found, first: first.name.clone(), expected })
            }
        }
    }
}

/// What tells whether the rest of a file can be read.
#[derive(Deserialize)]
struct Head {
    origin: HeadOrigin,
    part: Option<HeadPart>,
}

#[derive(Deserialize)]
struct HeadOrigin {
    version: String,
}

#[derive(Deserialize)]
struct HeadPart {
    histogram: Geometry,
}

/// What became of each frame that was sent, where each has one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// Frames sent.
    pub sent: u64,
    /// Wrong frames that came when nothing was in flight, for which none was sent.
    pub unasked: u64,
    /// Right replies.
    pub right: u64,
    /// Wrong ones.
    pub wrong: u64,
    /// Frames that were not answered.
    pub lost: u64,
    /// Frames that were in flight when their connection, or the run, ended.
    pub in_flight: u64,
}

impl Balance {
    fn of(outcome: &Outcome, part: &Part) -> Balance {
        Balance {
            sent: outcome.frames_sent,
            unasked: part.frames_unasked,
            right: outcome.frames_verified,
            wrong: outcome.frames_wrong,
            lost: outcome.frames_lost,
            in_flight: outcome.frames_in_flight,
        }
    }

    /// Whether nothing is missing and nothing counted twice.
    fn is_even(&self) -> bool {
        let Balance { sent, unasked, right, wrong, lost, in_flight } = *self;
        let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum::<u128>();
        sum(&[sent, unasked]) == sum(&[right, wrong, lost, in_flight])
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance { sent, unasked, right, wrong, lost, in_flight } = self;
        write!(
            f,
            "{sent} frames sent and {unasked} unasked, but {right} right, {wrong} wrong, {lost} lost and {in_flight} in flight"
        )
    }
}

/// Merges all shards of a run, in any order: their times are as one histogram of all would have them, count, sum, least
/// and greatest included.
///
/// The times are of the whole seconds in which all shards measured, if one of them ended early; the frames that were
/// sent, and what became of them, are of all the time. Expectations are judged here, and nothing that was wrong with a
/// shard is lost.
///
/// # Errors
/// Where a shard is missing, there twice, or of another run, and where there are more frames than can be counted.
///
/// ```
/// use unstick::load::{MergeError, ShardFile, merge};
/// assert!(matches!(merge(&[]), Err(MergeError::Nothing)));
/// assert!(matches!(ShardFile::read("a.json", b"{}"), Err(MergeError::Unreadable { .. })));
/// ```
pub fn merge(files: &[ShardFile]) -> Result<Outcome, MergeError> {
    let Some(first) = files.first() else { return Err(MergeError::Nothing) };
    files.iter().try_for_each(|file| file.is_of_the_run(first))?;
    let shards = in_order(files)?;
    let window = Window::of(&shards);
    let all = window.add_up(&shards)?;
    let mut outcome = shards[0].outcome.clone();
    (outcome.plan.shard, outcome.part) = (None, None);
    outcome.merged = Some(merged(&shards, &window));
    add_counts(&mut outcome, &shards)?;
    outcome.seconds = window.seconds;
    outcome.rate_asked = outcome.plan.pacing.rate();
    let sent = if window.is_whole { outcome.frames_in_time } else { all.sent };
    outcome.rate_reached = a_second(sent, window.seconds);
    outcome.frames_per_second = a_second(all.response_ns.count(), window.seconds_until_answered);
    outcome.intervals = window.intervals(&shards);
    outcome.response_ns = all.response_ns;
    outcome.service_ns = all.service_ns;
    outcome.send_lag_ns = all.send_lag_ns;
    outcome.own_lag_ns = all.own_lag_ns;
    judge(&mut outcome, &shards);
    Ok(outcome)
}

/// The shards by their numbers, each once.
fn in_order(files: &[ShardFile]) -> Result<Vec<&ShardFile>, MergeError> {
    let mut shards: BTreeMap<u32, &ShardFile> = BTreeMap::new();
    for file in files {
        let shard = file.part.shard;
        if let Some(other) = shards.insert(shard.number(), file) {
            return Err(MergeError::Doubled { shard, files: [other.name.clone(), file.name.clone()] });
        }
    }
    let of = files.first().map_or(0, |file| file.part.shard.of());
    let missing: Vec<u32> = (0..of).filter(|number| !shards.contains_key(number)).take(MISSING_NAMED).collect();
    match missing.is_empty() {
        true => Ok(shards.into_values().collect()),
        false => Err(MergeError::Missing { missing, found: shards.len(), of }),
    }
}

fn merged(shards: &[&ShardFile], window: &Window) -> Merged {
    let Part { run_id, plan_hash, start_at, .. } = shards[0].part.clone();
    let began: Vec<f64> = shards.iter().filter_map(|file| file.part.began).collect();
    let (first, last) = (began.iter().copied().reduce(f64::min), began.iter().copied().reduce(f64::max));
    Merged {
        run_id,
        plan_hash,
        shards: shards[0].part.shard.of(),
        start_at,
        began_within: first.zip(last).map(|(first, last)| last - first),
        is_whole: window.is_whole,
    }
}

/// The time in which all shards measured.
struct Window {
    /// The whole of what was to be measured; else some whole seconds.
    is_whole: bool,
    seconds: f64,
    /// From its begin to the last reply.
    seconds_until_answered: f64,
    /// Intervals that are in it, at most.
    intervals: usize,
}

impl Window {
    fn of(shards: &[&ShardFile]) -> Window {
        let least = shards.iter().map(|file| file.part.measured_ns).min().unwrap_or(0);
        if shards.iter().all(|file| file.measured_all()) {
            let measured = shards.iter().map(|file| file.part.measured_ns).max().unwrap_or(0);
            let answered = shards.iter().map(|file| file.part.answered_ns).max().unwrap_or(0);
            let seconds_until_answered = Duration::from_nanos(answered).as_secs_f64();
            return Window {
                is_whole: true,
                seconds: Duration::from_nanos(measured).as_secs_f64(),
                seconds_until_answered,
                intervals: usize::MAX,
            };
        }
        let seconds = least / SECOND;
        let whole = seconds as f64;
        Window { is_whole: false, seconds: whole, seconds_until_answered: whole, intervals: seconds as usize }
    }

    /// The seconds that are in it.
    fn intervals(&self, shards: &[&ShardFile]) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = Vec::new();
        for file in shards {
            let own = &file.outcome.intervals;
            let own = &own[..own.len().min(self.intervals)];
            if intervals.len() < own.len() {
                intervals.resize_with(own.len(), Interval::default);
            }
            intervals.iter_mut().zip(own).for_each(|(all, own)| all.add(own));
        }
        intervals
    }

    /// All that is in it, as one.
    ///
    /// # Errors
    /// Where there is more than can be counted.
    fn add_up(&self, shards: &[&ShardFile]) -> Result<Interval, MergeError> {
        let mut all = Interval::default();
        for file in shards {
            for own in file.outcome.intervals.iter().take(self.intervals) {
                let counts = [
                    (all.response_ns.count(), own.response_ns.count()),
                    (all.service_ns.count(), own.service_ns.count()),
                    (all.send_lag_ns.count(), own.send_lag_ns.count()),
                    (all.own_lag_ns.count(), own.own_lag_ns.count()),
                    (all.sent, own.sent),
                    (all.sent_by_clock, own.sent_by_clock),
                    (all.answered_by_clock, own.answered_by_clock),
                    (all.in_flight, own.in_flight),
                    (all.backlog, own.backlog),
                    (all.connections, own.connections),
                ];
                if counts.iter().any(|(all, own)| all.checked_add(*own).is_none()) {
                    return Err(MergeError::TooMuch { file: file.name.clone() });
                }
                all.add(own);
            }
        }
        Ok(all)
    }
}

/// What is counted over all the time.
fn add_counts(outcome: &mut Outcome, shards: &[&ShardFile]) -> Result<(), MergeError> {
    let add = |of: fn(&Outcome) -> u64| {
        shards.iter().try_fold(0u64, |sum, file| {
            sum.checked_add(of(&file.outcome)).ok_or_else(|| MergeError::TooMuch { file: file.name.clone() })
        })
    };
    outcome.frames_due = add(|it| it.frames_due)?;
    outcome.frames_in_time = add(|it| it.frames_in_time)?;
    outcome.frames_sent = add(|it| it.frames_sent)?;
    outcome.frames_verified = add(|it| it.frames_verified)?;
    outcome.frames_wrong = add(|it| it.frames_wrong)?;
    outcome.frames_lost = add(|it| it.frames_lost)?;
    outcome.frames_in_flight = add(|it| it.frames_in_flight)?;
    outcome.backlog_greatest = add(|it| it.backlog_greatest)?;
    outcome.backlog_end = add(|it| it.backlog_end)?;
    outcome.connections_held = add(|it| it.connections_held as u64)? as usize;
    outcome.connections_kept = add(|it| it.connections_kept as u64)? as usize;
    outcome.connections_silent = add(|it| it.connections_silent as u64)? as usize;
    outcome.ended_by_reset = add(|it| it.ended_by_reset)?;
    outcome.ended_by_half_close = add(|it| it.ended_by_half_close)?;
    outcome.ended_as_slow_readers = add(|it| it.ended_as_slow_readers)?;
    outcome.fault_count = add(|it| it.fault_count as u64)? as usize;
    outcome.interrupted = shards.iter().any(|file| file.outcome.interrupted);
    let connections = replies(shards);
    (outcome.fairness, outcome.shares) = (Fairness::of(&connections), thinned(&connections));
    outcome.generator_busy = shards.iter().flat_map(|file| file.outcome.generator_busy.iter().copied()).collect();
    let faults = shards.iter().flat_map(|file| file.outcome.faults.iter().cloned());
    outcome.faults = faults.take(FAULTS_KEPT).collect::<Vec<FaultSeen>>();
    Ok(())
}

/// Numbers of replies, and how many connections of all shards have so many.
fn replies(shards: &[&ShardFile]) -> BTreeMap<u64, u64> {
    let mut connections: BTreeMap<u64, u64> = BTreeMap::new();
    for (replies, number) in shards.iter().flat_map(|file| &file.part.replies).filter(|(_, number)| *number > 0) {
        let all = connections.entry(*replies).or_default();
        *all = all.saturating_add(*number);
    }
    connections
}

/// The verdict: what was wrong with a shard stays wrong, and then comes what only all together can show.
fn judge(outcome: &mut Outcome, shards: &[&ShardFile]) {
    let mut failures: Vec<String> = Vec::new();
    for ShardFile { outcome, part, .. } in shards {
        failures.extend(outcome.failures.iter().map(|failure| format!("shard {}: {failure}", part.shard)));
    }
    let mut verdict = shards.iter().map(|file| file.outcome.verdict).max().unwrap_or(Verdict::Verified);
    if outcome.intervals.is_empty() {
        failures.push("nothing was measured: there is no second in which all shards measured".into());
        verdict = verdict.max(Verdict::NotAsAsked);
    }
    let missed = outcome.missed();
    if !missed.is_empty() {
        verdict = verdict.max(Verdict::ExpectationMissed);
    }
    failures.extend(missed);
    (outcome.verdict, outcome.failures) = (verdict, failures);
}

/// Why shards cannot be merged. Files are named as they were to [`ShardFile::read`].
#[derive(Debug)]
#[non_exhaustive]
pub enum MergeError {
    /// There is no file.
    Nothing,
    /// It is not what a run writes, or not all of it.
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong with it, with line and column.
        error: serde_json::Error,
    },
    /// It is the outcome of a run without shards, or one that is merged already.
    NotAShard {
        /// The file.
        file: String,
    },
    /// Another version of this crate wrote it.
    Version {
        /// The file.
        file: String,
        /// The version that wrote it.
        found: String,
        /// This one.
        expected: String,
    },
    /// Its histograms tell other times apart.
    Histogram {
        /// The file.
        file: String,
        /// How they do.
        found: Geometry,
        /// How ours do.
        expected: Geometry,
    },
    /// It has a plan that cannot be carried out.
    Plan {
        /// The file.
        file: String,
        /// Why it cannot.
        error: PlanError,
    },
    /// Its frames do not add up: some are missing, or counted twice.
    Balance {
        /// The file.
        file: String,
        /// Its frames.
        balance: Balance,
    },
    /// It is of another run than the first one.
    Foreign {
        /// The file.
        file: String,
        /// What is another one.
        what: &'static str,
        /// What it is here.
        found: String,
        /// The first file.
        first: String,
        /// What it is there.
        expected: String,
    },
    /// A shard is there twice.
    Doubled {
        /// The shard.
        shard: Shard,
        /// The two files.
        files: [String; 2],
    },
    /// Shards are not there.
    Missing {
        /// The first ten of them.
        missing: Vec<u32>,
        /// How many are there.
        found: usize,
        /// How many there should be.
        of: u32,
    },
    /// With this one there are more frames than can be counted.
    TooMuch {
        /// The file.
        file: String,
    },
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MergeError::Nothing => f.write_str("there is no shard to merge"),
            MergeError::Unreadable { file, .. } => write!(f, "{file} is not the outcome of a load"),
            MergeError::NotAShard { file } => write!(f, "{file} is not the outcome of one shard"),
            MergeError::Version { file, found, expected } => {
                write!(f, "{file} was written by version {found}, and this is version {expected}")
            }
            MergeError::Histogram { file, found, expected } => {
                write!(f, "{file} has histograms of {found}, and those of this version have {expected}")
            }
            MergeError::Plan { file, .. } => write!(f, "{file} has a plan that cannot be carried out"),
            MergeError::Balance { file, balance } => write!(f, "{file} does not add up: {balance}"),
            MergeError::Foreign { file, what, found, first, expected } => {
                write!(f, "{file} is of another run: its {what} is {found}, and that of {first} is {expected}")
            }
            MergeError::Doubled { shard, files: [first, second] } => {
                write!(f, "shard {shard} is there twice: {first} and {second}")
            }
            MergeError::Missing { missing, found, of } => {
                let named: Vec<String> = missing.iter().map(u32::to_string).collect();
                let more = if *of as usize - found > missing.len() { ", …" } else { "" };
                write!(f, "{found} of {of} shards are there: missing {}{more}", named.join(", "))
            }
            MergeError::TooMuch { file } => write!(f, "with {file} there are more frames than can be counted"),
        }
    }
}

impl Error for MergeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            MergeError::Unreadable { error, .. } => Some(error),
            MergeError::Plan { error, .. } => Some(error),
            _ => None,
        }
    }
}
