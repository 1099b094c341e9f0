//! Why there is nothing to trace.

use std::fmt;

/// Why a capture cannot be read, or has no such connection. A capture that is damaged after its beginning is no error: what
/// comes before the damage is read, and [`Capture::notes`](super::Capture::notes) has where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// The file begins neither as pcap nor as pcapng.
    NotACapture {
        /// Its length in bytes.
        len: usize,
        /// Its first bytes, 4 at most.
        start: Vec<u8>,
    },
    /// No packet is of a link type that is known.
    LinkType {
        /// The number of the link type, as in the list of tcpdump.org.
        link_type: i32,
        /// Packets in the capture.
        packets: u64,
    },
    /// There is no TCP segment in the capture.
    NoTcp {
        /// Packets in the capture, as far as they are IP.
        packets: usize,
    },
    /// There is no connection of this number.
    NoStream {
        /// The number.
        stream: usize,
        /// Connections in the capture; their numbers are below this.
        count: usize,
    },
    /// No connection, or not the chosen one, has an end with this port.
    NoPort {
        /// The port.
        port: u16,
        /// The number of the connection that was chosen, if one was.
        stream: Option<usize>,
        /// Connections in the capture.
        count: usize,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceError::NotACapture { len, start } => {
                write!(f, "neither pcap nor pcapng: {len} bytes")?;
                for (index, byte) in start.iter().enumerate() {
                    write!(f, "{} {byte:02x}", if index == 0 { ", which begin with" } else { "" })?;
                }
                Ok(())
            }
            TraceError::LinkType { link_type, packets } => {
                write!(
                    f,
                    "none of the {packets} packets can be read: they are of link type {link_type}; Ethernet (1), raw IP \
                     (101, 228, 229), Linux cooked (113, 276) and loopback (0, 108) can be"
                )
            }
            TraceError::NoTcp { packets } => write!(f, "no TCP segment among {packets} IP packets"),
            TraceError::NoStream { stream, count } => {
                let last = count.saturating_sub(1);
                write!(f, "there is no stream {stream}: the greatest number of a TCP connection here is {last}")
            }
            TraceError::NoPort { port, stream: Some(stream), .. } => {
                write!(f, "stream {stream} has no end with the port {port}")
            }
            TraceError::NoPort { port, count, .. } => {
                write!(f, "no TCP connection has an end with the port {port}, of {count}")
            }
        }
    }
}

impl std::error::Error for TraceError {}
