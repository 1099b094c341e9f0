//! What a run is to do: plain data, which can be written down and read back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tls;
use super::error::PlanError;
use super::expect::Expectation;
use super::shards::{self, Shard};
use super::sizes::Sizes;
use crate::framing::{Encoder, Format, Header, Layout};

/// Frames in flight on each connection of a closed loop, unless the plan says how many.
pub(super) const IN_FLIGHT: u32 = 16;
/// Bytes of the shortest payload with [`Reply::Push`]: it carries whose frame it is, which one, and its times.
pub(super) const LEAST_PUSH: usize = 32;
/// Connections that the payloads can tell apart.
const MOST_CONNECTIONS: usize = 1 << 24;
/// Seconds from 1970 on, in the year 2286: what is above that are milliseconds.
const LATEST_START: f64 = 1e10;

/// What a run is to do. [`Plan::new`] has the defaults; change what is to be other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Makes payloads, lengths and random times those of this run: two runs with one number send the same bytes. By
    /// default 1.
    pub run: u64,
    /// Where the server is.
    pub target: Target,
    /// TLS over the target, with feature `tls`. By default none. It is no part of the plan as it is written down:
    /// [`Outcome::over_tls`](super::Outcome::over_tls) says whether there was some.
    #[serde(skip)]
    pub tls: Option<Tls>,
    /// The process of the server, where it is on this machine: what it takes is sampled by the second. By default none.
    /// It is no part of the plan as it is written down.
    #[serde(skip)]
    pub server_pid: Option<u32>,
    /// How frames look, and how long a payload may be. By default [`Format::U32_LE`].
    #[serde(with = "wire")]
    pub format: Format,
    /// What the server says first on each connection. By default nothing.
    pub greeting: Greeting,
    /// What the server answers. By default [`Reply::Echo`].
    pub reply: Reply,
    /// When frames are sent. By default [`Pacing::Closed`].
    pub pacing: Pacing,
    /// Frames in flight on each connection, at most. By default 16 in a closed loop, and no bound in an open one.
    pub in_flight: Option<u32>,
    /// Frames in flight on all connections together, at most, instead of on each of them: a reply allows a frame on the
    /// connection whose turn it is. So many connections may be there and few be busy. For a closed loop. By default no
    /// such bound.
    #[serde(default)]
    pub in_flight_in_all: Option<u32>,
    /// With [`Reply::Push`], how many connections send; the others only receive. By default all but slow readers. Where
    /// it is given, a frame is in flight until every other connection has it, and a bound in flight needs one thread.
    #[serde(default)]
    pub senders: Option<usize>,
    /// How long payloads are. By default 64 bytes.
    pub payload: Sizes,
    /// How many connections, 1 to 16,777,216. By default 64.
    pub connections: usize,
    /// Connections made a second. By default as fast as they can be.
    pub connect_rate: Option<f64>,
    /// Local addresses that connections are made from, in turn. By default the system chooses; to an address of the
    /// loopback, 127.0.0.1 and those behind it, one for each 20,000 connections.
    pub local_addrs: Vec<std::net::IpAddr>,
    /// Ends the run when so many frames are sent, all connections together, warm-up included. By default time alone
    /// ends it.
    pub frames: Option<u64>,
    /// How long frames are sent before anything is measured. They are verified all the same. By default 0.
    #[serde(with = "seconds")]
    pub warm_up: Duration,
    /// How long is measured. By default 5 s.
    #[serde(with = "seconds")]
    pub duration: Duration,
    /// How long replies that are in flight at the end are awaited after the last one that came. By default 10 s.
    #[serde(with = "seconds")]
    pub drain: Duration,
    /// Threads that send and receive, 1 or more. By default 1.
    pub threads: usize,
    /// What is done to the server on purpose. By default nothing.
    pub chaos: Chaos,
    /// The 99th percentile of how late a frame may be sent for want of the generator's own time, before a run with a
    /// rate counts as not measured as asked. By default 10 ms.
    #[serde(with = "seconds")]
    pub greatest_lag: Duration,
    /// What the run has to show. By default nothing. Of a shard this is judged when all are merged.
    pub expectations: Vec<Expectation>,
    /// Which part of the run is done here, where several processes do it together: all other fields are of the whole
    /// run, but for `threads`, `local_addrs` and `target`, which are of this process. By default all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// When measuring begins, by the clock of this machine, in seconds from 1970 on. The warm-up is before that, and
    /// the first frame of the schedule is to be sent when it begins; connections are made before that. By default
    /// everything begins as soon as the connections are made. Several shards need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<f64>,
    /// What all shards of this run, and no others, have in common. By default it is made of the plan, the number of the
    /// run and when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// At these addresses, which one name has: the first that answers is taken.
    Tcp(Vec<SocketAddr>),
    /// At a Unix socket.
    Unix(PathBuf),
}

/// What a server says first on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Greeting {
    /// Nothing.
    None,
    /// A frame, whatever is in it.
    Frame,
    /// So many bytes without framing.
    Raw(usize),
}

/// What a server answers to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The same frame: every byte of it is verified.
    Echo,
    /// One frame, of any bytes: it is counted and timed. As nobody looks at it, a closed loop sends one payload again
    /// and again where all are of one length, and the system throws away long ones that come: so the load costs little.
    Count,
    /// Nothing: frames are sent, and nothing is timed.
    None,
    /// The frame goes to every other connection, as `unstick serve --broadcast` does it: each delivery is verified and
    /// timed.
    Push,
}

impl Reply {
    /// Whether each frame has one reply, on its own connection.
    pub(super) fn is_one_for_each(self) -> bool {
        matches!(self, Reply::Echo | Reply::Count)
    }
}

/// When frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pacing {
    /// The next frame when a reply has come: the server sets the pace.
    Closed,
    /// So many frames a second, all connections together, whatever the server does.
    Open {
        /// Frames a second, above 0.
        rate: f64,
        /// At random times, as from many clients that know nothing of each other (a Poisson process), instead of
        /// evenly.
        poisson: bool,
    },
}

impl Pacing {
    /// The rate that is asked for, where one is.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Pacing::Closed => None,
            Pacing::Open { rate, .. } => Some(*rate),
        }
    }
}

/// What is done to the server on purpose. How such a connection ends is expected, and no fault; its frames are
/// verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chaos {
    /// Writes frames in pieces of random length.
    pub split: bool,
    /// Writes many frames at once: in a closed loop all that may be in flight, in an open one those of a millisecond.
    pub merge: bool,
    /// So many connections read slowly: 4 KiB every 50 ms.
    pub slow_readers: usize,
    /// So many connections are broken off by us in the middle of the run.
    pub reset: usize,
    /// So many connections end their sending side in the middle of the run; what is in flight must be answered.
    pub half_close: usize,
}

impl Chaos {
    /// Connections that have a part in it.
    pub(super) fn connections(&self) -> usize {
        self.slow_readers.saturating_add(self.reset).saturating_add(self.half_close)
    }
}

impl Plan {
    /// The plan for this server, with the default of each field.
    pub fn new(target: Target) -> Plan {
        Plan {
            run: 1,
            target,
            tls: None,
            server_pid: None,
            format: Format::U32_LE,
            greeting: Greeting::None,
            reply: Reply::Echo,
            pacing: Pacing::Closed,
            in_flight: None,
            in_flight_in_all: None,
            senders: None,
            payload: Sizes::Fixed(64),
            connections: 64,
            connect_rate: None,
            local_addrs: Vec::new(),
            frames: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            threads: 1,
            chaos: Chaos::default(),
            greatest_lag: Duration::from_millis(10),
            expectations: Vec::new(),
            shard: None,
            start_at: None,
            run_id: None,
        }
    }

    /// The format of `layout` that takes these payloads: with the default limit, or as much more as they need.
    ///
    /// # Errors
    /// Where the layout cannot say their lengths.
    pub fn fit(layout: Layout, payload: &Sizes) -> Result<Format, PlanError> {
        let unfit = |why: String| PlanError::Unfit { layout, why };
        let format = Format::with_default_limit(layout).map_err(|error| unfit(error.to_string()))?;
        let format = match payload.greatest() > format.max_payload_len() {
            true => format.with_max_payload_len(payload.greatest()).map_err(|error| unfit(error.to_string()))?,
            false => format,
        };
        for len in [payload.least(), payload.greatest()] {
            let header = Encoder::new(format).header(layout.zeros(), len, &mut Vec::new());
            header.map_err(|error| unfit(format!("with payloads of {len} bytes: {error}")))?;
        }
        Ok(format)
    }

    /// Frames in flight on each connection at most, where that is bounded.
    pub fn bound(&self) -> Option<u32> {
        self.in_flight.or(match self.pacing {
            Pacing::Closed => Some(IN_FLIGHT),
            Pacing::Open { .. } => None,
        })
    }

    /// The part of the run that is done here: all of it, where there are no shards.
    pub(super) fn shard(&self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }

    /// The connections that are made here.
    pub(super) fn own_connections(&self) -> usize {
        self.shard().part(self.connections as u64) as usize
    }

    /// The frames a second that are asked for here.
    pub(super) fn own_rate(&self) -> Option<f64> {
        self.pacing.rate().map(|rate| rate / f64::from(self.shard().of()))
    }

    /// The frames after which this part of the run ends.
    pub(super) fn own_frames(&self) -> Option<u64> {
        self.frames.map(|frames| self.shard().part(frames))
    }

    /// The frames that a connection sends at most.
    pub(super) fn quota(&self, connection: u64) -> u64 {
        match (self.frames, self.reply, self.sender(connection)) {
            (_, _, None) => 0,
            (None, ..) => u64::MAX,
            (Some(frames), Reply::Push, Some((number, senders))) => shards::part(frames, senders, number),
            (Some(frames), ..) => self.shard().quota(frames, self.connections, connection),
        }
    }

    /// The same for all shards of a run, as [`Part::plan_hash`](super::Part::plan_hash) says it.
    pub(super) fn hash(&self) -> String {
        let common = Plan {
            shard: None,
            start_at: None,
            run_id: None,
            target: Target::Tcp(Vec::new()),
            local_addrs: Vec::new(),
            threads: 1,
            ..self.clone()
        };
        let text = serde_json::to_string(&common).expect("a plan is plain data");
        shards::hash(&format!("{text} tls={}", self.tls.is_some()))
    }

    /// What all shards of this run, and no others, have in common.
    pub(super) fn run_id(&self) -> String {
        let made = || shards::hash(&format!("{} {} {:?}", self.run, self.hash(), self.start_at));
        self.run_id.clone().unwrap_or_else(made)
    }

    /// Whether frames have neither prefix nor trailer.
    pub(super) fn is_bare(&self) -> bool {
        self.format.layout().offset == 0 && self.format.layout().trailer == 0
    }

    /// The first connection that sends: those before it only receive pushes.
    pub(super) fn first_sender(&self) -> u64 {
        let able = self.connections.saturating_sub(self.chaos.slow_readers);
        match self.reply {
            Reply::Push => self.connections.saturating_sub(self.senders.unwrap_or(able)) as u64,
            _ => 0,
        }
    }

    /// Which of the connections that send this one is, and how many those are; `None` if it only receives.
    pub(super) fn sender(&self, index: u64) -> Option<(u64, u64)> {
        let first = self.first_sender();
        index.checked_sub(first).map(|number| (number, self.connections as u64 - first))
    }

    /// With [`Reply::Push`], the connections that send what another one that sends receives.
    pub(super) fn others(&self) -> u64 {
        (self.connections as u64 - self.first_sender()).saturating_sub(1)
    }

    /// Whether anything comes on this connection: not on that of the only sender of pushes.
    pub(super) fn hears(&self, index: u64) -> bool {
        self.reply != Reply::Push || self.others() > 0 || self.sender(index).is_none()
    }

    /// Whether the next push is sent when all have one before.
    pub(super) fn awaits_receipts(&self) -> bool {
        self.reply == Reply::Push && self.senders.is_some() && self.bound().is_some()
    }

    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// What does not fit together, with its numbers.
    pub fn check(&self) -> Result<(), PlanError> {
        let range = |what, number: usize, most| match number {
            0 => Err(PlanError::Zero { what }),
            _ if number > most => Err(PlanError::TooMany { what, number, most }),
            _ => Ok(()),
        };
        range("connections", self.connections, MOST_CONNECTIONS)?;
        range("threads", self.threads, 1024)?;
        range("frames in flight", self.bound().map_or(1, |bound| bound as usize), u32::MAX as usize)?;
        if self.pacing.rate().is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)) {
            return Err(PlanError::Zero { what: "a rate of up to 1e9 frames a second" });
        }
        if self.duration.is_zero() {
            return Err(PlanError::Zero { what: "time to measure" });
        }
        if let Some(frames) = self.frames.filter(|frames| *frames < self.connections as u64) {
            return Err(PlanError::TooFewFrames { frames, connections: self.connections });
        }
        if self.pacing == Pacing::Closed && self.expectations.iter().any(Expectation::is_about_rate) {
            return Err(PlanError::Needs { what: "an expectation of the rate", needed: "a rate that is asked for" });
        }
        if self.expectations.iter().any(Expectation::needs_baseline) {
            return Err(PlanError::Needs { what: "an expectation beside a baseline", needed: "runs to compare with" });
        }
        self.check_chaos()?;
        self.check_push()?;
        self.check_shards()?;
        self.check_in_all()?;
        Plan::fit(self.format.layout(), &self.payload).map(drop)
    }

    fn check_chaos(&self) -> Result<(), PlanError> {
        let (chaotic, connections) = (self.chaos.connections(), self.connections);
        if chaotic >= connections && chaotic > 0 {
            return Err(PlanError::TooMuchChaos { chaotic, connections });
        }
        if self.chaos.split && self.chaos.merge {
            return Err(PlanError::Conflict { one: "frames in pieces", other: "many frames at once" });
        }
        Ok(())
    }

    fn check_shards(&self) -> Result<(), PlanError> {
        if let Some(start_at) = self.start_at.filter(|start_at| !(0.0..=LATEST_START).contains(start_at)) {
            return Err(PlanError::StartAt { start_at });
        }
        let shards = self.shard().of();
        if shards == 1 {
            return Ok(());
        }
        if self.start_at.is_none() {
            return Err(PlanError::Needs { what: "a run of several shards", needed: "a time at which all start" });
        }
        if self.reply == Reply::Push {
            return Err(PlanError::Conflict { one: "pushes", other: "several shards" });
        }
        let measured = self.connections - self.chaos.connections();
        match measured < shards as usize {
            true => Err(PlanError::TooManyShards { shards, measured }),
            false => Ok(()),
        }
    }

    fn check_in_all(&self) -> Result<(), PlanError> {
        let Some(frames) = self.in_flight_in_all else { return Ok(()) };
        let conflict = |other| Err(PlanError::Conflict { one: "a bound on the frames in flight in all", other });
        if self.shard().part(frames.into()) < self.threads as u64 {
            return Err(PlanError::Zero { what: "a frame in flight for each thread" });
        }
        match self {
            Plan { in_flight: Some(_), .. } => conflict("one on those of each connection"),
            Plan { pacing: Pacing::Open { .. }, .. } => conflict("a rate"),
            Plan { reply: Reply::None | Reply::Push, .. } => conflict("frames without a reply each"),
            Plan { chaos, .. } if chaos.connections() > 0 => conflict("connections that read slowly or end early"),
            _ => Ok(()),
        }
    }

    fn check_push(&self) -> Result<(), PlanError> {
        if self.reply != Reply::Push {
            return match self.senders {
                Some(_) => Err(PlanError::Needs { what: "a number of senders", needed: "pushes as replies" }),
                None => Ok(()),
            };
        }
        if let Some(senders) = self.senders {
            match self.connections - self.chaos.slow_readers {
                _ if senders == 0 => return Err(PlanError::Zero { what: "a sender" }),
                most if senders > most => return Err(PlanError::TooMany { what: "senders", number: senders, most }),
                _ => {}
            }
            if self.awaits_receipts() && self.threads > 1 {
                return Err(PlanError::Conflict {
                    one: "a number of senders with a bound in flight",
                    other: "several threads",
                });
            }
        }
        let least = self.payload.least();
        if least < LEAST_PUSH {
            return Err(PlanError::ShortPush { least, needed: LEAST_PUSH });
        }
        // In a closed loop what comes from the others sets the pace.
        if self.connections < 2 || self.pacing == Pacing::Closed && self.senders.is_none() && self.others() == 0 {
            return Err(PlanError::LonelyPush);
        }
        match self.chaos.reset + self.chaos.half_close {
            0 => Ok(()),
            _ => Err(PlanError::Conflict { one: "pushes", other: "connections that end in the middle" }),
        }
    }
}

/// A format as its layout's text and its limit.
mod wire {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::framing::{Format, Header};

    #[derive(Deserialize, Serialize)]
    struct Wire {
        layout: String,
        max_payload: usize,
    }

    pub(super) fn serialize<S: Serializer>(format: &Format, to: S) -> Result<S::Ok, S::Error> {
        Wire { layout: format.layout().to_string(), max_payload: format.max_payload_len() }.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Format, D::Error> {
        let Wire { layout, max_payload } = Wire::deserialize(from)?;
        Format::new(layout.parse().map_err(D::Error::custom)?, max_payload).map_err(D::Error::custom)
    }
}

/// A time as a number of seconds.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::load) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(in crate::load) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}
