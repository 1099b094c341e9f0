//! Packets and capture files, written by hand.

use std::time::Duration;

use unstick::framing::{Encoder, Format};
use unstick::trace::{Capture, Connection, Packet, Reading, Trace};

pub(crate) const CLIENT: [u8; 4] = [192, 168, 0, 2];
pub(crate) const SERVER: [u8; 4] = [192, 168, 0, 1];
pub(crate) const CLIENT_PORT: u16 = 41_234;
pub(crate) const SERVER_PORT: u16 = 4747;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// A conversation whose packets are captured. Sequence numbers are relative, as in a trace.
pub(crate) struct Talk {
    pub(crate) packets: Vec<Packet>,
    /// The sequence numbers of the SYNs, the client's first.
    pub(crate) began: [u32; 2],
    pub(crate) ports: [u16; 2],
    /// The window of every packet.
    pub(crate) window: u16,
    /// Options of every packet, a multiple of 4 bytes.
    pub(crate) options: Vec<u8>,
    pub(crate) is_ipv6: bool,
}

impl Talk {
    pub(crate) fn new() -> Talk {
        Talk {
            packets: Vec::new(),
            began: [1000, u32::MAX - 5],
            ports: [CLIENT_PORT, SERVER_PORT],
            window: 1000,
            options: Vec::new(),
            is_ipv6: false,
        }
    }

    /// With the three packets that open it.
    pub(crate) fn open() -> Talk {
        let mut talk = Talk::new();
        talk.shake_hands();
        talk
    }

    pub(crate) fn shake_hands(&mut self) {
        self.send(From::Client, SYN, 0, 0, b"");
        self.send(From::Server, SYN | ACK, 0, 1, b"");
        self.send(From::Client, ACK, 1, 1, b"");
    }

    pub(crate) fn send(&mut self, from: From, flags: u8, seq: i64, ack: i64, payload: &[u8]) -> &mut Packet {
        let number = self.packets.len() as u64 + 1;
        let mut bytes = self.segment(from, flags, seq, ack, payload);
        bytes = if self.is_ipv6 { ipv6(from, &bytes) } else { ipv4(from, number as u16, &bytes) };
        let time = Duration::new(1_700_000_000, 123_000_000) + Duration::from_micros(10 * number);
        self.packets.push(Packet { number, time, len: bytes.len(), bytes });
        self.packets.last_mut().unwrap()
    }

    fn segment(&self, from: From, flags: u8, seq: i64, ack: i64, payload: &[u8]) -> Vec<u8> {
        let (own, peer) = (from as usize, 1 - from as usize);
        let mut tcp = Vec::new();
        tcp.extend(self.ports[own].to_be_bytes());
        tcp.extend(self.ports[peer].to_be_bytes());
        tcp.extend(self.began[own].wrapping_add(seq as u32).to_be_bytes());
        tcp.extend(if flags & ACK == 0 { 0 } else { self.began[peer].wrapping_add(ack as u32) }.to_be_bytes());
        tcp.extend([((5 + self.options.len() / 4) as u8) << 4, flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(payload);
        tcp
    }

    pub(crate) fn capture(&self) -> Capture {
        Capture { packets: self.packets.clone(), notes: Vec::new() }
    }

    /// The trace of the only connection.
    pub(crate) fn trace(&self, reading: &Reading) -> Trace {
        trace(&self.capture(), reading)
    }
}

/// The trace of the only connection of a capture.
pub(crate) fn trace(capture: &Capture, reading: &Reading) -> Trace {
    let connections: Vec<Connection> = capture.connections();
    assert_eq!(connections.len(), 1, "{connections:?}");
    capture.trace(&connections[0], reading)
}

/// Frames of a format.
pub(crate) fn frames(format: Format, payloads: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for payload in payloads {
        Encoder::new(format).encode(payload, &mut wire).unwrap();
    }
    wire
}

pub(crate) fn ipv4(from: From, id: u16, tcp: &[u8]) -> Vec<u8> {
    let (from, to) = if from == From::Client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let mut ip = vec![0x45, 0];
    ip.extend((20 + tcp.len() as u16).to_be_bytes());
    ip.extend(id.to_be_bytes());
    ip.extend([0x40, 0, 64, 6, 0, 0]);
    ip.extend(from);
    ip.extend(to);
    ip.extend(tcp);
    ip
}

pub(crate) fn ipv6(from: From, tcp: &[u8]) -> Vec<u8> {
    let (from, to) = if from == From::Client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((tcp.len() as u16).to_be_bytes());
    ip.extend([6, 64]);
    for addr in [from, to] {
        ip.extend([0xFD; 12]);
        ip.extend(addr);
    }
    ip.extend(tcp);
    ip
}

/// The order of the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u32(self, number: u32) -> [u8; 4] {
        if self == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    pub(crate) fn u16(self, number: u16) -> [u8; 2] {
        if self == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }
}

/// A pcap file: bytes of the link before each packet, and how many bytes of it are captured at most.
pub(crate) fn pcap(
    packets: &[Packet],
    order: Order,
    nanos: bool,
    link_type: u32,
    link: &[u8],
    snap_len: usize,
) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(order.u32(if nanos { 0xA1B2_3C4D } else { 0xA1B2_C3D4 }));
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for number in [0, 0, 262_144, link_type] {
        file.extend(order.u32(number));
    }
    for packet in packets {
        let bytes = [link, &packet.bytes].concat();
        let kept = &bytes[..bytes.len().min(snap_len)];
        let part = packet.time.subsec_nanos() / if nanos { 1 } else { 1000 };
        let len = link.len() + packet.len;
        for number in [packet.time.as_secs() as u32, part, kept.len() as u32, len as u32] {
            file.extend(order.u32(number));
        }
        file.extend(kept);
    }
    file
}

/// A block of a pcapng file.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let len = 12 + body.len().next_multiple_of(4);
    block.extend(order.u32(kind));
    block.extend(order.u32(len as u32));
    block.extend(body);
    block.resize(len - 4, 0);
    block.extend(order.u32(len as u32));
    block
}

/// A pcapng file with one interface, whose times are in nanoseconds.
pub(crate) fn pcapng(packets: &[Packet], order: Order, link_type: u16, link: &[u8]) -> Vec<u8> {
    let section = [&order.u32(0x1A2B_3C4D)[..], &order.u16(1), &order.u16(0), &[0xFF; 8]].concat();
    let resolution = [&order.u16(9)[..], &order.u16(1), &[9, 0, 0, 0], &[0; 4]].concat();
    let interface = [&order.u16(link_type)[..], &[0; 2], &[0; 4], &resolution].concat();
    let mut file = block(order, 0x0A0D_0D0A, &section);
    file.extend(block(order, 1, &interface));
    // A block that is no packet, and that nobody knows.
    file.extend(block(order, 0x0BAD, b"what"));
    for packet in packets {
        let bytes = [link, &packet.bytes].concat();
        let ticks = packet.time.as_nanos() as u64;
        let mut body = Vec::new();
        let len = (link.len() + packet.len) as u32;
        for number in [0, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, len] {
            body.extend(order.u32(number));
        }
        body.extend(&bytes);
        file.extend(block(order, 6, &body));
    }
    file
}
