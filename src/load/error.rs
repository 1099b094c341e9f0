//! Why a plan cannot be carried out.

use std::error::Error;
use std::fmt;

use crate::framing::Layout;

/// Why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// A text says no payload lengths.
    Payload {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A text is no expectation.
    Expectation {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A text is no sweep.
    Sweep {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The format cannot say what is to be sent.
    Unfit {
        /// The layout.
        layout: Layout,
        /// What it cannot say.
        why: String,
    },
    /// There has to be some of it.
    Zero {
        /// Of what.
        what: &'static str,
    },
    /// There is too much of it.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are asked for.
        number: usize,
        /// How many there can be.
        most: usize,
    },
    /// Each connection needs a frame.
    TooFewFrames {
        /// Frames asked for.
        frames: u64,
        /// Connections asked for.
        connections: usize,
    },
    /// Chaos leaves no connection that is well-behaved.
    TooMuchChaos {
        /// Connections with a part in it.
        chaotic: usize,
        /// All connections.
        connections: usize,
    },
    /// Payloads are too short to carry what a push needs.
    ShortPush {
        /// The shortest payload, in bytes.
        least: usize,
        /// The bytes that are needed.
        needed: usize,
    },
    /// A push needs somebody to go to.
    LonelyPush,
    /// A text or a number says no shard.
    Shard {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Each shard needs a connection that has no part in chaos.
    TooManyShards {
        /// Shards asked for.
        shards: u32,
        /// Connections that have no part in chaos.
        measured: usize,
    },
    /// A run cannot start then.
    StartAt {
        /// When it is to start, in seconds from 1970 on.
        start_at: f64,
    },
    /// Of two things one needs the other.
    Needs {
        /// The one.
        what: &'static str,
        /// What it needs.
        needed: &'static str,
    },
    /// Two things do not go together.
    Conflict {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Payload { text, why } => write!(f, "payloads {text:?}: {why}"),
            PlanError::Expectation { text, why } => write!(f, "expectation {text:?}: {why}"),
            PlanError::Sweep { text, why } => write!(f, "sweep {text:?}: {why}"),
            PlanError::Unfit { layout, why } => write!(f, "format {layout}: {why}"),
            PlanError::Zero { what } => write!(f, "a run needs {what}"),
            PlanError::TooMany { what, number, most } => write!(f, "{number} {what} are too many: {most} at most"),
            PlanError::TooFewFrames { frames, connections } => {
                write!(f, "{frames} frames are too few for {connections} connections: each needs one")
            }
            PlanError::TooMuchChaos { chaotic, connections } => write!(
                f,
                "{chaotic} connections are to read slowly or to end early, of {connections} in all: one at least has to be \
                 left to measure"
            ),
            PlanError::ShortPush { least, needed } => write!(
                f,
                "a pushed payload carries its sender and its times: {needed} bytes are needed, and {least} are asked for"
            ),
            PlanError::LonelyPush => f.write_str("a push goes to every other connection: 2 connections are needed"),
            PlanError::Shard { text, why } => write!(f, "shard {text:?}: {why}"),
            PlanError::TooManyShards { shards, measured } => {
                write!(f, "{measured} connections to be measured are too few for {shards} shards: each needs one")
            }
            PlanError::StartAt { start_at } => {
                write!(f, "a run cannot start at {start_at}: write seconds from 1970 on, as `date +%s` has them")
            }
            PlanError::Needs { what, needed } => write!(f, "{what} needs {needed}"),
            PlanError::Conflict { one, other } => write!(f, "{one} and {other} do not go together"),
        }
    }
}

impl Error for PlanError {}
