//! One run by many processes, on any machines, that nobody coordinates: what each of them does follows from the plan
//! and its own number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::PlanError;
use super::times::Geometry;

/// One of several processes, on any machines, that make one run together.
///
/// As text: `2/4` is number 2 of four, which are counted from 0. Of the run's connections, and of the frames of its
/// schedule, shard i of N has number i, i + N, i + 2 N, …
///
/// ```
/// use unstick::load::Shard;
/// let shard: Shard = "2/4".parse()?;
/// assert_eq!(shard, Shard::new(2, 4)?);
/// assert_eq!(shard.to_string(), "2/4");
/// assert!(Shard::new(4, 4).is_err());
/// # Ok::<(), unstick::load::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    /// `number < of`.
    number: u32,
    of: u32,
}

impl Shard {
    /// The only one of its run.
    pub(super) const WHOLE: Shard = Shard { number: 0, of: 1 };

    /// This number, from 0 on, of so many.
    ///
    /// # Errors
    /// Where the number is not below `of`.
    pub fn new(number: u32, of: u32) -> Result<Shard, PlanError> {
        match number < of {
            true => Ok(Shard { number, of }),
            false => Err(PlanError::Shard {
                text: format!("{number}/{of}"),
                why: "the number is not below how many there are",
            }),
        }
    }

    /// Its number, from 0 on.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Its part of so many things that are dealt out in turn.
    pub(super) fn part(self, all: u64) -> u64 {
        part(all, self.of.into(), self.number.into())
    }

    /// The numbers of its connections, where the run has so many.
    pub(super) fn connections(self, all: usize) -> impl Iterator<Item = u64> {
        (u64::from(self.number)..all as u64).step_by(self.of as usize)
    }

    /// The place among its own connections of one with this number.
    pub(super) fn place(self, connection: u64) -> u64 {
        connection / u64::from(self.of)
    }

    /// From one of a connection's slots in the run's schedule to its next one, where the run has so many connections.
    /// The first one is the connection's number.
    pub(super) fn slots_apart(self, connections: usize) -> u64 {
        u64::from(self.of) * self.part(connections as u64)
    }

    /// What one of its connections sends, where all connections of the run together send so many frames.
    pub(super) fn quota(self, frames: u64, connections: usize, connection: u64) -> u64 {
        part(self.part(frames), self.part(connections as u64), self.place(connection))
    }
}

/// What number `index` of `parts` gets of so many things that are dealt out in turn.
pub(super) fn part(all: u64, parts: u64, index: u64) -> u64 {
    all / parts + u64::from(index < all % parts)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Shard, PlanError> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let (number, of) = numbers
            .ok_or_else(|| PlanError::Shard { text: text.into(), why: "write it as in 0/4, the first of four" })?;
        Shard::new(number, of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Shard, PlanError> {
        text.parse()
    }
}

/// What the outcome of a shard has besides, so that all shards of a run can be merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// The same for all shards of a run, and for no other run: given, or made of the plan, its seed, and when it
    /// starts.
    pub run_id: String,
    /// Tells plans apart. The shard has no part in it, nor has what may be another on each machine: the server's
    /// addresses, as names are resolved there, the local ones, and the number of threads.
    pub plan_hash: String,
    /// Which shard it is.
    pub shard: Shard,
    /// When measuring was to begin, in seconds from 1970 on.
    pub start_at: f64,
    /// When sending began, by the clock of this machine, in seconds from 1970 on; `None` where it did not.
    pub began: Option<f64>,
    /// How the histograms tell times apart.
    pub histogram: Geometry,
    /// How long was measured, in nanoseconds.
    pub measured_ns: u64,
    /// From when measuring began to the last reply, and `measured_ns` at least, in nanoseconds.
    pub answered_ns: u64,
    /// Wrong frames that came when nothing was in flight: there is no frame sent for them.
    pub frames_unasked: u64,
    /// Pairs of a number of measured replies, and how many connections without a part in chaos have so many.
    pub replies: Vec<(u64, u64)>,
}

/// What all shards of a run were merged into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Merged {
    /// The run's id, as the shards have it.
    pub run_id: String,
    /// The hash of the plan, as the shards have it.
    pub plan_hash: String,
    /// How many shards there are.
    pub shards: u32,
    /// When measuring was to begin, in seconds from 1970 on.
    pub start_at: f64,
    /// From when the first shard began to send to when the last one did, in seconds, each by its machine's clock.
    pub began_within: Option<f64>,
    /// All measured for the whole time that was asked for. Otherwise the outcome is of the whole seconds in which all
    /// did, but for the numbers of frames, connections and faults, and for the fairness, which are of all the time.
    pub is_whole: bool,
}

/// A number of 64 bits for a text, the same everywhere and always: FNV-1a, by its public description.
pub(super) fn hash(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_read_and_shown_and_below_its_number() {
        let shard: Shard = "2/4".parse().expect("a shard");
        assert_eq!((shard.number(), shard.of(), shard.to_string()), (2, 4, "2/4".into()));
        for wrong in ["", "2", "2/", "/4", "4/4", "0/0", "-1/4", "1/4/2", "1.5/4"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_connection_belongs_to_one_shard_and_has_its_place_there() {
        for (of, connections) in [(1, 1), (1, 64), (2, 5), (4, 64), (5, 7), (7, 7)] {
            let mut all = Vec::new();
            for number in 0..of {
                let shard = Shard::new(number, of).expect("a shard");
                let own: Vec<u64> = shard.connections(connections).collect();
                assert_eq!(own.len() as u64, shard.part(connections as u64));
                assert!(own.iter().enumerate().all(|(place, own)| shard.place(*own) == place as u64));
                all.extend(own);
            }
            all.sort_unstable();
            assert_eq!(all, (0..connections as u64).collect::<Vec<_>>(), "{connections} of {of}");
        }
    }

    #[test]
    fn the_frames_of_all_shards_are_all_frames() {
        for (of, connections, frames) in [(1, 4, 10), (2, 5, 11), (4, 64, 1000), (3, 7, 7)] {
            let of_shard = |number| {
                let shard = Shard::new(number, of).expect("a shard");
                let sum: u64 =
                    shard.connections(connections).map(|index| shard.quota(frames, connections, index)).sum();
                assert_eq!(sum, shard.part(frames));
                sum
            };
            assert_eq!((0..of).map(of_shard).sum::<u64>(), frames);
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!([hash(""), hash("a"), hash("foobar")], ["cbf29ce484222325", "af63dc4c8601ec8c", "85944171f73967e8"]);
    }
}
