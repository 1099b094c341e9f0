//! A trace: plain data, which can be written down and read back, and which a picture or a text shows.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One TCP connection of a capture: its segments, and the frames that they carry.
///
/// The *client* is the end that sent the SYN. All of it is seen from one place, the one of the capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trace {
    /// The number of the connection in its capture, from 0 on: tshark's `tcp.stream`.
    pub stream: usize,
    /// The address of the client.
    pub client: SocketAddr,
    /// The address of the server.
    pub server: SocketAddr,
    /// When the first segment was captured, in seconds since 1970.
    pub started: f64,
    /// The layout of the frames, as `--format` takes it.
    pub format: String,
    /// The states of both ends before the first segment.
    pub states: States,
    /// The bytes that the client sent.
    pub to_server: Flow,
    /// The bytes that the server sent.
    pub to_client: Flow,
    /// The segments, in the order of the capture.
    pub segments: Vec<Segment>,
    /// The whole frames, in the order in which they became whole; within a direction, in the order of the stream.
    pub frames: Vec<Frame>,
    /// What else is to be known of it.
    pub notes: Vec<Note>,
}

impl Trace {
    /// The bytes of one direction.
    pub fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// The bytes of one direction, to add what only its receiver knows: [`Flow::reads`].
    pub fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Both.
    pub const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

    /// The other one.
    #[must_use]
    pub const fn back(self) -> Direction {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

/// The bytes that went in one direction. Offsets count from 0, the first byte after the SYN; or, if the capture begins later,
/// the first byte that was captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flow {
    /// Bytes from offset 0 to the last one that was seen, holes included, each counted once.
    pub len: u64,
    /// Whether the beginning is in the capture. If not, where a frame begins is not known.
    pub has_start: bool,
    /// Where the first frame begins: after a greeting that is no frame, or at a boundary that was given. `None` if no boundary is
    /// known.
    pub first_frame: Option<u64>,
    /// Bytes that were not captured, in order.
    pub holes: Vec<Hole>,
    /// How the frames end.
    pub end: Ending,
    /// The bytes that each `read` of the receiver returned, in order, if the receiver is ours.
    pub reads: Option<Vec<u64>>,
}

/// Bytes that were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hole {
    /// The offset of the first of them.
    pub offset: u64,
    /// How many.
    pub len: u64,
    /// Why.
    pub cause: HoleCause,
}

/// Why bytes were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HoleCause {
    /// The segment is not in the capture.
    Missing,
    /// The segment is, but the capture cut it short (the snap length).
    CutShort,
}

/// How the frames of a direction end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ending {
    /// How.
    pub kind: EndingKind,
    /// The offset behind the last whole frame, or where TLS begins.
    pub offset: u64,
    /// What is wrong, in words; empty if nothing is.
    pub text: String,
}

/// How the frames of a direction end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndingKind {
    /// The last frame is whole. Also if there is none, and no byte.
    Whole,
    /// The last frame is not whole.
    Unfinished,
    /// From the offset on the bytes are not frames of this format.
    Malformed,
    /// Bytes were not captured, and they could have been a header.
    Missing,
    /// No boundary is known, so nothing was decoded.
    NoBoundary,
    /// From the offset on the bytes are encrypted by TLS.
    Encrypted,
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Segment {
    /// The number of its packet in the capture, from 1 on.
    pub packet: u64,
    /// Seconds since the first segment.
    pub time: f64,
    /// Which way it went.
    pub direction: Direction,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its sequence number, relative as in Wireshark: a SYN has 0, the first byte 1.
    pub seq: i64,
    /// Its acknowledgement number, relative to the other direction; `None` without the flag ACK.
    pub ack: Option<i64>,
    /// Its receive window in bytes, scaled if both SYNs are in the capture and say how.
    pub window: u64,
    /// Bytes of stream that it carried.
    pub len: u64,
    /// Those of them that were captured.
    pub captured: u64,
    /// What is special about it.
    pub marks: Vec<Mark>,
    /// The states of both ends after it.
    pub states: States,
    /// Its bytes, cut at the edges of frames, and where bytes that came before end and new ones begin.
    pub runs: Vec<Run>,
}

impl Segment {
    /// Whether it has this flag.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether it has this mark.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

/// Bytes of a segment that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// The offset of the first of them in the stream of its direction.
    pub offset: u64,
    /// How many.
    pub len: u64,
    /// What they are.
    pub part: Part,
    /// The index of the frame that they are a part of, in [`Trace::frames`]; `None` for bytes of no whole frame.
    pub frame: Option<usize>,
    /// Whether an earlier segment carried them.
    pub again: bool,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Of a whole frame.
    Frame,
    /// Before the first frame, or in a stream of which no boundary is known.
    Unframed,
    /// Of the last frame, which is not whole.
    Unfinished,
    /// After an error, or after bytes that were not captured.
    Undecoded,
    /// Of a TLS session, which is not decrypted.
    Encrypted,
}

/// A flag of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "they are TCP's own names")]
pub enum Flag {
    Syn,
    Fin,
    Rst,
    Psh,
    Ack,
    Urg,
    Ece,
    Cwr,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Flag::Syn => "SYN",
            Flag::Fin => "FIN",
            Flag::Rst => "RST",
            Flag::Psh => "PSH",
            Flag::Ack => "ACK",
            Flag::Urg => "URG",
            Flag::Ece => "ECE",
            Flag::Cwr => "CWR",
        })
    }
}

/// What is special about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mark {
    /// All that it carries came before.
    Retransmission,
    /// All that it carries came before, and was acknowledged before.
    SpuriousRetransmission,
    /// A part of what it carries came before.
    PartialRetransmission,
    /// It is new, and bytes after it came before it. A segment that was lost before the capture and sent again looks the same.
    OutOfOrder,
    /// Bytes before it are not in the capture, or not yet.
    MissingBefore,
    /// The same packet is in the capture twice.
    Duplicate,
    /// It acknowledges what was acknowledged before, and nothing else.
    DuplicateAck,
    /// It asks whether the peer is still there.
    KeepAlive,
    /// The answer to that.
    KeepAliveAck,
    /// Its sender has no room for more bytes.
    ZeroWindow,
    /// It asks whether there is room again.
    ZeroWindowProbe,
    /// It says that there is more room, and nothing else.
    WindowUpdate,
    /// It is longer than a packet can be, or has no length: it was captured before it was cut into packets, or after they were put
    /// together.
    Offloaded,
    /// The capture has only a part of it.
    CutShort,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mark::Retransmission => "retransmission",
            Mark::SpuriousRetransmission => "spurious retransmission",
            Mark::PartialRetransmission => "partial retransmission",
            Mark::OutOfOrder => "out of order",
            Mark::MissingBefore => "bytes before it are missing",
            Mark::Duplicate => "duplicate",
            Mark::DuplicateAck => "duplicate ACK",
            Mark::KeepAlive => "keep-alive",
            Mark::KeepAliveAck => "keep-alive ACK",
            Mark::ZeroWindow => "zero window",
            Mark::ZeroWindowProbe => "zero-window probe",
            Mark::WindowUpdate => "window update",
            Mark::Offloaded => "offloaded",
            Mark::CutShort => "cut short",
        })
    }
}

/// The states of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// The client's.
    pub client: State,
    /// The server's.
    pub server: State,
}

/// A state of TCP (RFC 9293, section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are TCP's own names")]
pub enum State {
    #[serde(rename = "CLOSED")]
    Closed,
    #[serde(rename = "LISTEN")]
    Listen,
    #[serde(rename = "SYN_SENT")]
    SynSent,
    #[serde(rename = "SYN_RECEIVED")]
    SynReceived,
    #[serde(rename = "ESTABLISHED")]
    Established,
    #[serde(rename = "FIN_WAIT_1")]
    FinWait1,
    #[serde(rename = "FIN_WAIT_2")]
    FinWait2,
    #[serde(rename = "CLOSE_WAIT")]
    CloseWait,
    #[serde(rename = "CLOSING")]
    Closing,
    #[serde(rename = "LAST_ACK")]
    LastAck,
    #[serde(rename = "TIME_WAIT")]
    TimeWait,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT_1",
            State::FinWait2 => "FIN_WAIT_2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
        })
    }
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Frame {
    /// Which way it went.
    pub direction: Direction,
    /// Its number in its direction, from 1 on.
    pub number: u64,
    /// The offset of its first byte in the stream of its direction.
    pub offset: u64,
    /// Bytes of its header.
    pub header_len: u64,
    /// Bytes of its payload.
    pub payload_len: u64,
    /// Bytes of its trailer.
    pub trailer_len: u64,
    /// The indices of the segments, in [`Trace::segments`], that its bytes came in, in the order of its bytes, each once. A
    /// segment that only repeated bytes is not among them.
    pub segments: Vec<usize>,
    /// The index of the segment with which it was whole, and all before it in its direction.
    pub whole_with: usize,
    /// Whether it came in more than one segment.
    pub split: bool,
    /// Whether it shares a segment with another frame.
    pub stuck: bool,
    /// Its bytes that were not captured.
    pub missing: u64,
    /// The first 48 characters of its payload, as far as it was captured. `None` if these bytes are not text.
    pub text: Option<String>,
    /// The first 16 bytes of its payload, as far as it was captured, in hexadecimal.
    pub hex: String,
}

impl Frame {
    /// The offset behind its last byte.
    pub fn end(&self) -> u64 {
        self.offset + self.header_len + self.payload_len + self.trailer_len
    }
}

/// Something else to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// The index of the segment that it is about, in [`Trace::segments`], if it is about one.
    pub segment: Option<usize>,
    /// It, in a sentence.
    pub text: String,
}
