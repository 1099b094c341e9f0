//! Packets, before anything is known of connections: what a capture file or a socket gives.

use std::time::Duration;

/// The packets of a capture, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// The packets.
    pub packets: Vec<Packet>,
    /// What the capture lacks, a sentence each: packets that are not IP, a file that ends inside a packet.
    pub notes: Vec<String>,
}

/// One IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number in the capture, from 1 on, as Wireshark counts: packets that are not IP count, too.
    pub number: u64,
    /// When it was captured, since 1970.
    pub time: Duration,
    /// Its bytes from the first byte of the IP header on, as many as were captured.
    pub bytes: Vec<u8>,
    /// Bytes that it had from the first byte of the IP header on, captured or not; padding of the link may be among them.
    pub len: usize,
}
