//! A TCP connection as segments and frames: which frames stuck together in a segment, and which were split over several.
//!
//! A [`Capture`] has the packets of a file, or of a socket. [`Capture::connections`] are the TCP connections in it, and
//! [`Capture::trace`] makes a [`Trace`] of one: its segments with the TCP states of both ends, and the frames that they carry,
//! as this crate's [`Decoder`](crate::framing::Decoder) finds them. Retransmitted bytes count once. There is no I/O here:
//! packets come in as bytes.
//!
//! A [`Dissector`] shows the frames of a format in Wireshark.
//!
//! ```no_run
//! use unstick::framing::Format;
//! use unstick::trace::{self, Capture, Reading};
//!
//! let file = std::fs::read("echo.pcap")?; // or pcapng
//! let capture = Capture::read(&file)?;
//! let connection = capture.choose(None, Some(4747))?; // the first one with this port
//! let trace = capture.trace(&connection, &Reading::new(Format::U32_LE));
//! for frame in &trace.frames {
//!     println!("byte {}: a payload of {} bytes, in segments {:?}", frame.offset, frame.payload_len, frame.segments);
//! }
//! println!("{}", trace::text(&trace)); // or as JSON: trace::json
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it reads
//! pcap and pcapng; Ethernet with VLAN tags, raw IP, Linux cooked captures (both versions) and loopback; IPv4 and IPv6. A capture
//! may be cut anywhere, begin inside a connection, lack packets or have them twice: what is missing is a [`Hole`] or a note. Where
//! the network card cuts or joins packets, segments are longer than a packet, or have no length: [`Mark::Offloaded`]. Bytes that are
//! encrypted by TLS are shown as such, [`Part::Encrypted`]: nothing is decrypted.
//!
//! # As seen from one place
//! States and times are those of the place where packets were captured: a packet that was lost behind it is shown as if it
//! arrived, until it is sent again.

mod build;
mod bytes;
mod caption;
mod connection;
mod dissector;
mod error;
mod file;
mod frames;
mod json;
mod link;
#[cfg(all(feature = "live", target_os = "linux"))]
pub mod live;
mod model;
mod packet;
pub mod picture;
mod reassembly;
mod save;
mod segments;
mod states;
mod tcp;
mod text;
mod tls;
mod words;

pub use self::build::Reading;
pub use self::connection::Connection;
pub use self::dissector::{Dissector, DissectorError};
pub use self::error::TraceError;
pub use self::json::{from_json, json};
pub use self::model::{
    Direction, Ending, EndingKind, Flag, Flow, Frame, Hole, HoleCause, Mark, Note, Part, Run, Segment, State, States,
    Trace,
};
pub use self::packet::{Capture, Packet};
pub use self::text::text;
