//! What went wrong on a connection. Each ends it; the others go on.

use std::fmt;
use std::io;

use unstick::framing::{DecodeError, EncodeError};

use super::pattern::Difference;

/// Why a connection is not as it should be.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It broke.
    Died(io::Error),
    /// The server ended its stream before ours was ended.
    EndedEarly { in_flight: u64 },
    /// What came is no stream of frames, or it ended inside one.
    Malformed(DecodeError),
    /// Our own frame cannot be encoded.
    Unencodable(EncodeError),
    /// A reply's payload has another length than what was sent.
    Length { sent: usize, came: usize },
    /// A reply's payload has a byte that was not sent.
    Altered(Difference),
    /// A reply's prefix has a byte that was not sent.
    AlteredPrefix(Difference),
    /// A reply that was given before comes again.
    Repeated { sequence: u64 },
    /// A reply comes before its turn: those between were lost or overtaken.
    Early { sequence: u64 },
    /// Another connection's reply.
    Foreign { connection: u64, sequence: u64 },
    /// A reply where nothing was asked.
    Extra,
    /// Replies that did not come before the drain timeout.
    Unanswered { in_flight: u64 },
    /// All is answered, but the server does not end its stream after we ended ours.
    NoEnd,
}

impl Fault {
    /// What faults of this kind are called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fault::Died(_) => "died",
            Fault::EndedEarly { .. } => "ended early",
            Fault::Malformed(_) => "malformed",
            Fault::Unencodable(_) => "unencodable",
            Fault::Length { .. } => "other length",
            Fault::Altered(_) | Fault::AlteredPrefix(_) => "altered",
            Fault::Repeated { .. } => "repeated",
            Fault::Early { .. } => "lost or overtaken",
            Fault::Foreign { .. } => "from another connection",
            Fault::Extra => "not asked for",
            Fault::Unanswered { .. } => "unanswered",
            Fault::NoEnd => "not ended",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Died(error) => write!(f, "the connection broke: {error}"),
            Fault::EndedEarly { in_flight } => write!(f, "the server ended it with {in_flight} frames in flight"),
            Fault::Malformed(error) => write!(f, "no stream of frames: {error}"),
            Fault::Unencodable(error) => write!(f, "{error}"),
            Fault::Length { sent, came } => write!(f, "{came} bytes of payload where {sent} were sent"),
            Fault::Altered(Difference { position, sent, came }) => {
                write!(f, "byte {position} of the payload is {came:#04x} where {sent:#04x} was sent")
            }
            Fault::AlteredPrefix(Difference { position, sent, came }) => {
                write!(f, "byte {position} of the prefix is {came:#04x} where {sent:#04x} was sent")
            }
            Fault::Repeated { sequence } => write!(f, "it is reply {sequence} again"),
            Fault::Early { sequence } => write!(f, "it is reply {sequence}: what is before it was lost or overtaken"),
            Fault::Foreign { connection, sequence } => write!(f, "it is reply {sequence} of connection {connection}"),
            Fault::Extra => f.write_str("a reply where nothing was in flight"),
            Fault::Unanswered { in_flight } => write!(f, "{in_flight} frames were not answered before the deadline"),
            Fault::NoEnd => f.write_str("all is answered, but the server did not end its stream after ours"),
        }
    }
}
