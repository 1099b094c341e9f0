//! What can go wrong on a connection. Each ends it; the others go on.

use std::fmt;
use std::io;

use super::pattern::Difference;
use crate::framing::{DecodeError, EncodeError};

/// Why a connection is not as it should be.
#[derive(Debug)]
pub(super) enum Fault {
    /// It could not be made.
    Unconnected(io::Error),
    /// It broke.
    Died { error: io::Error, in_flight: u64 },
    /// The server ended its stream before ours was ended, or before all was answered.
    EndedEarly { in_flight: u64 },
    /// The server ended its stream without TLS's `close_notify`: so anyone on the way may have.
    CutOff { in_flight: u64 },
    /// The server said this, and ended the connection before anything was sent.
    Refused { text: String },
    /// No greeting came in time.
    NoGreeting,
    /// What came is no stream of frames, or it ended inside one.
    Malformed(DecodeError),
    /// Our own frame cannot be encoded.
    Unencodable(EncodeError),
    /// A reply's payload has another length than what was sent.
    Length { sent: usize, came: usize },
    /// A byte is not the one that was sent.
    Altered { part: &'static str, difference: Difference },
    /// A frame that came before comes again.
    Repeated { sequence: u64 },
    /// A frame comes before its turn: those between were lost or overtaken.
    Early { sequence: u64 },
    /// A frame that belongs to another connection.
    Foreign { connection: u64, sequence: u64 },
    /// A frame that nobody sent.
    Unknown { payload_len: usize },
    /// A frame where nothing was asked.
    Surplus { payload_len: usize, text: String },
    /// Frames that did not come before the drain's end.
    Lost { missing: u64 },
    /// All is answered, but the server does not end its stream after we ended ours.
    NoEnd,
}

/// What a fault says of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The server did wrong.
    Wrong,
    /// There are fewer connections than were asked for.
    Missing,
}

impl Fault {
    pub(super) fn class(&self) -> Class {
        match self {
            Fault::Unconnected(_) | Fault::Refused { .. } | Fault::NoGreeting | Fault::Unencodable(_) => Class::Missing,
            Fault::Died { in_flight: 0, .. } | Fault::EndedEarly { in_flight: 0 } => Class::Missing,
            _ => Class::Wrong,
        }
    }

    /// Frames that the fault says are lost.
    pub(super) fn lost(&self) -> u64 {
        match self {
            Fault::Died { in_flight, .. } | Fault::EndedEarly { in_flight } | Fault::CutOff { in_flight } => *in_flight,
            Fault::Lost { missing } => *missing,
            _ => 0,
        }
    }

    /// Whether the fault is about one frame that came.
    pub(super) fn is_of_a_frame(&self) -> bool {
        self.class() == Class::Wrong && self.lost() == 0 && !matches!(self, Fault::NoEnd | Fault::CutOff { .. })
    }

    /// What faults of this kind are called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Fault::Unconnected(_) => "not connected",
            Fault::Died { .. } => "broken off",
            Fault::EndedEarly { .. } => "ended early",
            Fault::CutOff { .. } => "cut off",
            Fault::Refused { .. } => "refused",
            Fault::NoGreeting => "not greeted",
            Fault::Malformed(_) => "malformed",
            Fault::Unencodable(_) => "unencodable",
            Fault::Length { .. } => "other length",
            Fault::Altered { .. } => "altered",
            Fault::Repeated { .. } => "repeated",
            Fault::Early { .. } => "lost or overtaken",
            Fault::Foreign { .. } => "from another connection",
            Fault::Unknown { .. } => "unknown",
            Fault::Surplus { .. } => "surplus",
            Fault::Lost { .. } => "lost",
            Fault::NoEnd => "not ended",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unconnected(error) => write!(f, "it could not be made: {error}"),
            Fault::Died { error, in_flight } => {
                write!(f, "the connection broke with {in_flight} frames in flight: {error}")
            }
            Fault::EndedEarly { in_flight } => write!(f, "the server ended it with {in_flight} frames in flight"),
            Fault::CutOff { in_flight: 0 } => {
                f.write_str("all is answered, but the server ended its stream without TLS's close_notify")
            }
            Fault::CutOff { in_flight } => {
                write!(f, "the server's stream ended without TLS's close_notify, with {in_flight} frames in flight")
            }
            Fault::Refused { text } if text.is_empty() => f.write_str("the server ended it before anything was sent"),
            Fault::Refused { text } => write!(f, "the server said {text:?} and ended it before anything was sent"),
            Fault::NoGreeting => f.write_str("no greeting came"),
            Fault::Malformed(error) => write!(f, "no stream of frames: {}", error.kind()),
            Fault::Unencodable(error) => write!(f, "{error}"),
            Fault::Length { sent, came } => write!(f, "{came} bytes of payload where {sent} were sent"),
            Fault::Altered { part, difference: Difference { position, sent, came } } => {
                write!(f, "byte {position} of the {part} is {came:#04x} where {sent:#04x} was sent")
            }
            Fault::Repeated { sequence } => write!(f, "it is frame {sequence} again"),
            Fault::Early { sequence } => write!(f, "it is frame {sequence}: what is before it was lost or overtaken"),
            Fault::Foreign { connection, sequence } => write!(f, "it is frame {sequence} of connection {connection}"),
            Fault::Unknown { payload_len } => write!(f, "a frame of {payload_len} bytes that nobody sent"),
            Fault::Surplus { payload_len, text } => {
                write!(f, "a frame of {payload_len} bytes where nothing was asked: {text:?}")
            }
            Fault::Lost { missing } => write!(f, "{missing} frames did not come before the end of the wait for them"),
            Fault::NoEnd => f.write_str("all is answered, but the server did not end its stream after ours"),
        }
    }
}
