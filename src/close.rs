//! How a connection ended, for the server and the client.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;
use std::time::Duration;

use crate::adapters::{ReadError, WriteError};
use crate::framing::{DecodeError, DecodeErrorKind, Diagnosis};
use crate::handshake::HandshakeError;
use crate::peer::PeerName;

/// The end of one connection: its peer, why it ended, and how much was sent and received.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// The peer.
    pub peer: PeerName,
    /// Why it ended.
    pub reason: CloseReason,
    /// How much was sent and received.
    pub traffic: Traffic,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} closed: {} ({})", self.peer, self.reason, self.traffic)
    }
}

/// Frames and bytes of a connection, including a greeting; all zero if it was refused and sent nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whole frames received.
    pub frames_in: u64,
    /// Bytes received, including headers and unfinished frames.
    pub bytes_in: u64,
    /// Frames sent. If the connection ended early, the peer may not have received the last ones.
    pub frames_out: u64,
    /// Bytes sent, including headers and a server's unframed greeting.
    pub bytes_out: u64,
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Traffic { frames_in, bytes_in, frames_out, bytes_out } = self;
        write!(f, "{frames_in} frames and {bytes_in} bytes in, {frames_out} frames and {bytes_out} bytes out")
    }
}

/// The one reason why a connection ended.
///
/// It does not implement [`Error`], as *clean* and *stopped* are not errors. Its `Display` is one line with the whole
/// reason, including the sources of an error in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended its stream (FIN) at a frame's end.
    Clean,
    /// The peer ended its stream (FIN) inside a frame. The error says how many bytes of the frame were received, and
    /// how many it needed.
    Truncated(DecodeError),
    /// Over TLS, the stream ended at a frame's end, but without `close_notify`: someone on the way may have cut it off.
    /// Its kind is [`CloseKind::Truncated`], too.
    CutOff(io::Error),
    /// The TLS handshake failed, or took too long. No handler was made.
    Handshake(HandshakeError),
    /// After the handshake, the peer broke the rules of TLS, or reported that we did. The error holds a
    /// `rustls::Error`.
    Tls(io::Error),
    /// The peer reset the connection (RST), or it was broken off.
    Reset(io::Error),
    /// The peer declared a payload over the limit.
    Oversize(DecodeError),
    /// The peer sent something that is not a stream of frames.
    Malformed(DecodeError),
    /// The socket failed in another way.
    Io(io::Error),
    /// The handler returned an error.
    Handler(Box<dyn Error + Send + Sync>),
    /// The handler, its factory `new_handler`, or `on_open` panicked; with the panic's message.
    Panic(String),
    /// The server was stopped. The frames that had arrived were handled, unless the drain timeout passed or the peer
    /// sent 8 MiB more after the stop.
    Stopped,
    /// The server was serving as many connections as it may.
    Refused {
        /// How many it may serve.
        max_connections: usize,
    },
    /// After it connected, the peer did not send a whole frame in time.
    Silent {
        /// The timeout.
        timeout: Duration,
        /// What the stream looks like, as for [`SlowFrame`](CloseReason::SlowFrame).
        diagnosis: Option<Diagnosis>,
    },
    /// Between frames, the peer sent and read nothing for too long.
    Idle {
        /// The timeout.
        timeout: Duration,
    },
    /// The peer did not finish a frame in time.
    SlowFrame {
        /// Bytes of the frame that were received, header included.
        received: usize,
        /// Bytes of the frame that were missing, at least.
        missing: usize,
        /// How long the peer had: the frame timeout, extended by the bytes received.
        timeout: Duration,
        /// If that was its first frame: what the stream looks like. Often it is another protocol, whose first bytes
        /// happen to be a length within the limit.
        diagnosis: Option<Diagnosis>,
    },
    /// The peer read nothing for too long while bytes were queued for it.
    SlowReader {
        /// Bytes that waited.
        queued: usize,
        /// The timeout.
        timeout: Duration,
    },
    /// The program ended the connection through its outbox, because the peer read too slowly.
    Overflow {
        /// Bytes that waited.
        queued: usize,
        /// The limit of the outbox, in bytes.
        limit: usize,
    },
    /// Because of its peer, the connection held more than its fair share of memory while another one waited for memory.
    OverBudget {
        /// Bytes that it held or needed.
        held: usize,
        /// Its fair share, in bytes.
        fair_share: usize,
        /// Bytes that all connections may hold.
        memory_budget: usize,
    },
    /// The peer's system no longer answers, or cannot be reached.
    Unreachable(io::Error),
    /// The program ended the connection through its outbox.
    Ended,
}

impl CloseReason {
    /// Its kind, for counting and comparing.
    pub fn kind(&self) -> CloseKind {
        match self {
            CloseReason::Clean => CloseKind::Clean,
            CloseReason::Truncated(_) | CloseReason::CutOff(_) => CloseKind::Truncated,
            CloseReason::Handshake(_) => CloseKind::Handshake,
            CloseReason::Tls(_) => CloseKind::Tls,
            CloseReason::Reset(_) => CloseKind::Reset,
            CloseReason::Oversize(_) => CloseKind::Oversize,
            CloseReason::Malformed(_) => CloseKind::Malformed,
            CloseReason::Io(_) => CloseKind::Io,
            CloseReason::Handler(_) => CloseKind::Handler,
            CloseReason::Panic(_) => CloseKind::Panic,
            CloseReason::Stopped => CloseKind::Stopped,
            CloseReason::Refused { .. } => CloseKind::Refused,
            CloseReason::Silent { .. } => CloseKind::Silent,
            CloseReason::Idle { .. } => CloseKind::Idle,
            CloseReason::SlowFrame { .. } => CloseKind::SlowFrame,
            CloseReason::SlowReader { .. } => CloseKind::SlowReader,
            CloseReason::Overflow { .. } => CloseKind::Overflow,
            CloseReason::OverBudget { .. } => CloseKind::OverBudget,
            CloseReason::Unreachable(_) => CloseKind::Unreachable,
            CloseReason::Ended => CloseKind::Ended,
        }
    }

    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// A [`CloseReason`] without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CloseKind {
    /// [`CloseReason::Clean`].
    Clean,
    /// [`CloseReason::Truncated`] or [`CloseReason::CutOff`].
    Truncated,
    /// [`CloseReason::Reset`].
    Reset,
    /// [`CloseReason::Oversize`].
    Oversize,
    /// [`CloseReason::Malformed`].
    Malformed,
    /// [`CloseReason::Io`].
    Io,
    /// [`CloseReason::Handler`].
    Handler,
    /// [`CloseReason::Panic`].
    Panic,
    /// [`CloseReason::Stopped`].
    Stopped,
    /// [`CloseReason::Refused`].
    Refused,
    /// [`CloseReason::Silent`].
    Silent,
    /// [`CloseReason::Idle`].
    Idle,
    /// [`CloseReason::SlowFrame`].
    SlowFrame,
    /// [`CloseReason::SlowReader`].
    SlowReader,
    /// [`CloseReason::Overflow`].
    Overflow,
    /// [`CloseReason::OverBudget`].
    OverBudget,
    /// [`CloseReason::Unreachable`].
    Unreachable,
    /// [`CloseReason::Ended`].
    Ended,
    /// [`CloseReason::Handshake`].
    Handshake,
    /// [`CloseReason::Tls`].
    Tls,
}

impl CloseKind {
    /// All kinds, in the order of reports.
    pub const ALL: &'static [CloseKind] = &[
        CloseKind::Clean,
        CloseKind::Truncated,
        CloseKind::Reset,
        CloseKind::Oversize,
        CloseKind::Malformed,
        CloseKind::Io,
        CloseKind::Handler,
        CloseKind::Panic,
        CloseKind::Stopped,
        CloseKind::Refused,
        CloseKind::Silent,
        CloseKind::Idle,
        CloseKind::SlowFrame,
        CloseKind::SlowReader,
        CloseKind::Overflow,
        CloseKind::OverBudget,
        CloseKind::Unreachable,
        CloseKind::Ended,
        CloseKind::Handshake,
        CloseKind::Tls,
    ];

    /// Its name, as in reports and metrics, such as "slow frame".
    pub const fn name(self) -> &'static str {
        match self {
            CloseKind::Clean => "clean",
            CloseKind::Truncated => "truncated",
            CloseKind::Reset => "reset",
            CloseKind::Oversize => "oversize",
            CloseKind::Malformed => "malformed",
            CloseKind::Io => "io error",
            CloseKind::Handler => "handler error",
            CloseKind::Panic => "handler panic",
            CloseKind::Stopped => "stopped",
            CloseKind::Refused => "refused",
            CloseKind::Silent => "silent",
            CloseKind::Idle => "idle",
            CloseKind::SlowFrame => "slow frame",
            CloseKind::SlowReader => "slow reader",
            CloseKind::Overflow => "overflow",
            CloseKind::OverBudget => "over budget",
            CloseKind::Unreachable => "unreachable",
            CloseKind::Ended => "ended",
            CloseKind::Handshake => "handshake",
            CloseKind::Tls => "tls error",
        }
    }
}

impl fmt::Display for CloseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            CloseReason::Clean | CloseReason::Stopped | CloseReason::Ended => Ok(()),
            CloseReason::Truncated(error) | CloseReason::Oversize(error) | CloseReason::Malformed(error) => {
                write!(f, ": {error}")
            }
            CloseReason::Reset(error)
            | CloseReason::Io(error)
            | CloseReason::Unreachable(error)
            | CloseReason::CutOff(error)
            | CloseReason::Tls(error) => causes(f, error),
            CloseReason::Handshake(error) => causes(f, error),
            CloseReason::Handler(error) => causes(f, &**error),
            CloseReason::Panic(text) => write!(f, ": {text}"),
            CloseReason::Refused { max_connections } => write!(f, ": {max_connections} connections are served already"),
            CloseReason::Silent { timeout, diagnosis } => {
                write!(f, ": no whole frame within {timeout:?}")?;
                diagnosis.as_ref().map_or(Ok(()), |diagnosis| write!(f, " ({diagnosis})"))
            }
            CloseReason::Idle { timeout } => write!(f, ": nothing sent for {timeout:?}"),
            CloseReason::SlowFrame { received, missing, timeout, diagnosis } => {
                write!(f, ": {received} bytes within {:?}, and {missing} missing", three_digits(*timeout))?;
                diagnosis.as_ref().map_or(Ok(()), |diagnosis| write!(f, " ({diagnosis})"))
            }
            CloseReason::SlowReader { queued, timeout } => {
                write!(f, ": nothing read for {timeout:?}, with {queued} bytes waiting")
            }
            CloseReason::Overflow { queued, limit } => {
                write!(f, ": the peer reads too slowly: {queued} bytes queued, limit {limit}")
            }
            CloseReason::OverBudget { held, fair_share, memory_budget } => {
                write!(f, ": {held} bytes held, the fair share of {memory_budget} is {fair_share}")
            }
        }
    }
}

/// The time to three significant digits: one computed from a rate may have nine.
fn three_digits(time: Duration) -> Duration {
    let nanoseconds = time.as_nanos();
    let unit = 10_u128.pow(nanoseconds.checked_ilog10().unwrap_or(0).saturating_sub(2));
    Duration::from_nanos(u64::try_from((nanoseconds + unit / 2) / unit * unit).unwrap_or(u64::MAX))
}

/// The error and its sources, each after a colon.
fn causes(f: &mut fmt::Formatter<'_>, error: &(dyn Error + 'static)) -> fmt::Result {
    iter::successors(Some(error), |&error| error.source()).try_for_each(|error| write!(f, ": {error}"))
}

impl From<DecodeError> for CloseReason {
    fn from(error: DecodeError) -> CloseReason {
        match error.kind() {
            DecodeErrorKind::Truncated { .. } => CloseReason::Truncated(error),
            DecodeErrorKind::Oversize { .. } => CloseReason::Oversize(error),
            _ => CloseReason::Malformed(error),
        }
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> CloseReason {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, HostUnreachable, InvalidData, NetworkUnreachable, TimedOut,
            UnexpectedEof,
        };
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => CloseReason::Reset(error),
            TimedOut | HostUnreachable | NetworkUnreachable => CloseReason::Unreachable(error),
            // No socket returns these. A transport with a protocol of its own does, such as TLS.
            UnexpectedEof => CloseReason::CutOff(error),
            InvalidData => CloseReason::Tls(error),
            _ => CloseReason::Io(error),
        }
    }
}

impl From<ReadError> for CloseReason {
    fn from(error: ReadError) -> CloseReason {
        match error {
            ReadError::Io(error) => error.into(),
            ReadError::Decode(error) => error.into(),
        }
    }
}

impl From<WriteError> for CloseReason {
    fn from(error: WriteError) -> CloseReason {
        match error {
            WriteError::Io(error) => error.into(),
            WriteError::Encode(error) => CloseReason::Handler(error.into()),
            WriteError::Overflow { queued, max_queued } => CloseReason::Overflow { queued, limit: max_queued },
        }
    }
}
