//! Captures of TCP connections that never were, as pcap files: raw IPv4, one packet a segment.

use std::fs;
use std::path::Path;

/// Flags of a segment.
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// A capture. Each connection has a client port of its own, and the first sequence number that it is given.
pub(crate) struct Pcap {
    bytes: Vec<u8>,
    pub(crate) packets: u64,
}

/// The port of all servers.
pub(crate) const SERVER_PORT: u16 = 4747;

/// One connection: its client sends.
pub(crate) struct Connection {
    port: u16,
    next: u32,
}

impl Pcap {
    pub(crate) fn new() -> Pcap {
        let mut bytes = Vec::new();
        for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
            bytes.extend(word.to_le_bytes());
        }
        Pcap { bytes, packets: 0 }
    }

    /// A connection from this port, whose handshake is in the capture.
    pub(crate) fn open(&mut self, port: u16, first: u32) -> Connection {
        self.packet(&segment(port, first, 0, SYN, b""), usize::MAX);
        let reply = [&SERVER_PORT.to_be_bytes(), &port.to_be_bytes()[..]].concat();
        let mut answer = segment(port, 500, first.wrapping_add(1), SYN | ACK, b"");
        answer[12..20].rotate_left(4);
        answer[20..24].copy_from_slice(&reply);
        self.packet(&answer, usize::MAX);
        self.packet(&segment(port, first.wrapping_add(1), 501, ACK, b""), usize::MAX);
        Connection { port, next: first.wrapping_add(1) }
    }

    /// One whose handshake was not captured.
    pub(crate) fn join(&mut self, port: u16) -> Connection {
        Connection { port, next: 70_000 }
    }

    /// A segment of the client, of whose packet at most `snap` bytes are captured; gives the packet's number.
    pub(crate) fn send(&mut self, connection: &mut Connection, data: &[u8], snap: usize) -> u64 {
        self.packet(&segment(connection.port, connection.next, 501, PSH | ACK, data), snap);
        connection.next = connection.next.wrapping_add(data.len() as u32);
        self.packets
    }

    fn packet(&mut self, packet: &[u8], snap: usize) {
        self.packets += 1;
        let captured = &packet[..packet.len().min(snap)];
        for word in [self.packets as u32, 0, captured.len() as u32, packet.len() as u32] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(captured);
    }

    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, &self.bytes).expect("written");
    }
}

/// A packet from the client. Its checksums are 0: nothing checks them.
fn segment(port: u16, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let total = u16::try_from(40 + data.len()).expect("a packet");
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(port.to_be_bytes());
    packet.extend(SERVER_PORT.to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.extend(ack.to_be_bytes());
    packet.extend([0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend(data);
    packet
}
