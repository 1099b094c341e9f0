//! Which TCP connections are in a capture.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::error::TraceError;
use super::model::Flag;
use super::packet::Capture;
use super::tcp::{NoTcp, Tcp};
use super::words::plural;

/// A TCP connection of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Its number in the capture, from 0 on, by its first packet: tshark's `tcp.stream`.
    pub stream: usize,
    /// The end that sent the SYN. If that is not in the capture, [`knows_client`](Connection::knows_client) is false, and this is
    /// the end with the greater port.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// Whether a SYN shows which end the client is.
    pub knows_client: bool,
    /// Bytes that both ends sent, each time that they sent them.
    pub bytes: u64,
    /// The indices of its packets, in [`Capture::packets`].
    pub packets: Vec<usize>,
}

impl Connection {
    /// The same with the end at this port as the server, if nothing shows that it is the client.
    #[must_use]
    pub fn with_server_at(mut self, port: u16) -> Connection {
        if !self.knows_client && self.client.port() == port && self.server.port() != port {
            std::mem::swap(&mut self.client, &mut self.server);
        }
        self
    }

    fn has_port(&self, port: u16) -> bool {
        [self.client.port(), self.server.port()].contains(&port)
    }
}

/// What packets are not part of any connection.
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    fragments: u64,
    broken: u64,
}

/// A connection while its packets are collected.
#[derive(Debug)]
struct Open {
    connection: Connection,
    /// The sequence number that each end began with, the client first.
    began: [Option<u32>; 2],
    /// Whether an end sent FIN or RST.
    is_over: bool,
}

impl Capture {
    /// The TCP connections, by the order of their first packets. A new SYN between the same ends, after a FIN or an RST or with
    /// another sequence number, begins a new one.
    pub fn connections(&self) -> Vec<Connection> {
        let mut connections: Vec<Open> = Vec::new();
        let mut newest: BTreeMap<[SocketAddr; 2], usize> = BTreeMap::new();
        for (index, packet) in self.packets.iter().enumerate() {
            let Ok(tcp) = Tcp::of(packet) else { continue };
            let mut ends = [tcp.from, tcp.to];
            ends.sort_unstable();
            let known = newest.get(&ends).copied().filter(|&known| !connections[known].is_reopened_by(&tcp));
            let at = known.unwrap_or_else(|| {
                connections.push(Open::new(connections.len(), &tcp));
                newest.insert(ends, connections.len() - 1);
                connections.len() - 1
            });
            connections[at].take(index, &tcp);
        }
        connections.into_iter().map(|open| open.connection).collect()
    }

    /// The connection to show: the one of this number; else the first one with this port; else the first one. Those that carried
    /// bytes are preferred.
    ///
    /// # Errors
    /// If there is none.
    pub fn choose(&self, stream: Option<usize>, port: Option<u16>) -> Result<Connection, TraceError> {
        let connections = self.connections();
        let count = connections.len();
        if count == 0 {
            return Err(TraceError::NoTcp { packets: self.packets.len() });
        }
        let chosen = match stream {
            Some(stream) => connections.get(stream).ok_or(TraceError::NoStream { stream, count })?,
            None => {
                let fits = |connection: &&Connection| port.is_none_or(|port| connection.has_port(port));
                let first = connections.iter().filter(fits).find(|connection| connection.bytes > 0);
                let first = first.or_else(|| connections.iter().find(fits));
                first.ok_or(TraceError::NoPort { port: port.unwrap_or(0), stream, count })?
            }
        };
        let chosen = chosen.clone();
        Ok(match port {
            Some(port) if !chosen.has_port(port) => return Err(TraceError::NoPort { port, stream, count }),
            Some(port) => chosen.with_server_at(port),
            None => chosen,
        })
    }

    /// What is to be said of packets that are part of no connection.
    pub(super) fn left_out(&self) -> Vec<String> {
        let mut left_out = LeftOut::default();
        for packet in &self.packets {
            match Tcp::of(packet) {
                Err(NoTcp::Fragment) => left_out.fragments += 1,
                Err(NoTcp::Broken) => left_out.broken += 1,
                _ => {}
            }
        }
        let LeftOut { fragments, broken } = left_out;
        let mut notes = Vec::new();
        if fragments > 0 {
            notes.push(format!("left out, as only parts of IP packets: {}", plural(fragments, "fragment")));
        }
        if broken > 0 {
            notes.push(format!("left out, as cut or wrong in their headers: {}", plural(broken, "packet")));
        }
        notes
    }
}

impl Open {
    fn new(stream: usize, tcp: &Tcp<'_>) -> Open {
        let is_from_client = match (tcp.has(Flag::Syn), tcp.has(Flag::Ack)) {
            (true, acknowledges) => !acknowledges,
            (false, _) => tcp.from.port() >= tcp.to.port(),
        };
        let (client, server) = if is_from_client { (tcp.from, tcp.to) } else { (tcp.to, tcp.from) };
        let knows_client = tcp.has(Flag::Syn);
        let connection = Connection { stream, client, server, knows_client, bytes: 0, packets: Vec::new() };
        Open { connection, began: [None; 2], is_over: false }
    }

    /// Whether a segment between the same ends begins another connection, as Wireshark decides it.
    fn is_reopened_by(&self, tcp: &Tcp<'_>) -> bool {
        let began = self.began[usize::from(tcp.from != self.connection.client)];
        tcp.is_opening() && began.is_some_and(|began| began != tcp.seq || self.is_over)
    }

    fn take(&mut self, index: usize, tcp: &Tcp<'_>) {
        let end = usize::from(tcp.from != self.connection.client);
        let syn = tcp.has(Flag::Syn);
        self.began[end].get_or_insert(if syn { tcp.seq } else { tcp.seq.wrapping_sub(1) });
        if tcp.has(Flag::Ack) {
            self.began[1 - end].get_or_insert(tcp.ack.wrapping_sub(1));
        }
        self.is_over |= tcp.has(Flag::Fin) || tcp.has(Flag::Rst);
        if syn && !self.connection.knows_client {
            let is_client = (end == 0) != tcp.has(Flag::Ack);
            if !is_client {
                std::mem::swap(&mut self.connection.client, &mut self.connection.server);
                self.began.swap(0, 1);
            }
            self.connection.knows_client = true;
        }
        self.connection.bytes += tcp.len as u64;
        self.connection.packets.push(index);
    }
}
