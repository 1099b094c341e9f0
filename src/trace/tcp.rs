//! One TCP segment of a packet, with its numbers as they are on the wire.

use std::net::SocketAddr;

use etherparse::{IpNumber, LaxIpSlice, TcpOptionElement, TcpSlice};

use super::model::Flag;
use super::packet::Packet;

/// A TCP segment.
#[derive(Clone, Debug)]
pub(super) struct Tcp<'a> {
    pub(super) packet: &'a Packet,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Vec<Flag>,
    /// The receive window, not scaled.
    pub(super) window: u16,
    /// The option of a SYN by which later windows are to be shifted.
    pub(super) scale: Option<u8>,
    /// The option of a SYN with the longest segment that its sender takes.
    pub(super) max_segment: Option<u16>,
    /// Bytes of stream that it carried.
    pub(super) len: usize,
    /// Those of them that were captured, at most `len`.
    pub(super) bytes: &'a [u8],
    /// Whether its packet had no length, as it was captured before the network card cut it into packets.
    pub(super) has_no_len: bool,
}

/// Why a packet has no segment that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTcp {
    /// It is of another protocol.
    Other,
    /// It is a fragment of an IP packet.
    Fragment,
    /// It is cut or wrong in its headers.
    Broken,
}

impl<'a> Tcp<'a> {
    /// The segment in a packet.
    pub(super) fn of(packet: &'a Packet) -> Result<Tcp<'a>, NoTcp> {
        let (ip, _) = LaxIpSlice::from_slice(&packet.bytes).map_err(|_| NoTcp::Broken)?;
        let payload = ip.payload().clone();
        if payload.fragmented {
            return Err(NoTcp::Fragment);
        }
        if payload.ip_number != IpNumber::TCP {
            return Err(NoTcp::Other);
        }
        let tcp = TcpSlice::from_slice(payload.payload).map_err(|_| NoTcp::Broken)?;
        let (headers_len, declared_len) = lens(&ip);
        let headers_len = headers_len + usize::from(tcp.data_offset()) * 4;
        let packet_len = declared_len.unwrap_or(packet.len);
        let len = packet_len.checked_sub(headers_len).ok_or(NoTcp::Broken)?;
        let bytes = &tcp.payload()[..tcp.payload().len().min(len)];
        let options = || tcp.options_iterator().flatten();
        Ok(Tcp {
            packet,
            from: SocketAddr::new(ip.source_addr(), tcp.source_port()),
            to: SocketAddr::new(ip.destination_addr(), tcp.destination_port()),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: flags(&tcp),
            window: tcp.window_size(),
            scale: options().find_map(|option| match option {
                TcpOptionElement::WindowScale(scale) => Some(scale.min(14)),
                _ => None,
            }),
            max_segment: options().find_map(|option| match option {
                TcpOptionElement::MaximumSegmentSize(len) => Some(len),
                _ => None,
            }),
            len,
            bytes,
            has_no_len: declared_len.is_none(),
        })
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Whether it is the first segment of a connection: a SYN that acknowledges nothing.
    pub(super) fn is_opening(&self) -> bool {
        self.has(Flag::Syn) && !self.has(Flag::Ack)
    }
}

/// Bytes of the IP headers, and of the whole packet as these declare it; `None` if they declare 0.
fn lens(ip: &LaxIpSlice<'_>) -> (usize, Option<usize>) {
    match ip {
        LaxIpSlice::Ipv4(ip) => {
            let authentication = ip.extensions().auth.map_or(0, |header| header.slice().len());
            let total = usize::from(ip.header().total_len());
            (ip.header().slice().len() + authentication, (total > 0).then_some(total))
        }
        LaxIpSlice::Ipv6(ip) => {
            let header_len = ip.header().slice().len();
            let payload = usize::from(ip.header().payload_length());
            (header_len + ip.extensions().slice().len(), (payload > 0).then_some(header_len + payload))
        }
    }
}

fn flags(tcp: &TcpSlice<'_>) -> Vec<Flag> {
    let all = [
        (Flag::Syn, tcp.syn()),
        (Flag::Fin, tcp.fin()),
        (Flag::Rst, tcp.rst()),
        (Flag::Psh, tcp.psh()),
        (Flag::Ack, tcp.ack()),
        (Flag::Urg, tcp.urg()),
        (Flag::Ece, tcp.ece()),
        (Flag::Cwr, tcp.cwr()),
    ];
    all.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).collect()
}
