//! The segments of a connection: their numbers relative to its beginning, what is special about them, and the bytes of both
//! directions put together.

use super::connection::Connection;
use super::model::{Direction, Flag, Mark, States};
use super::packet::Capture;
use super::reassembly::Stream;
use super::states::Machine;
use super::tcp::Tcp;

/// A segment, with positions: 0 is the SYN, 1 the first byte.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) tcp: Tcp<'a>,
    pub(super) direction: Direction,
    pub(super) seq: i64,
    pub(super) ack: Option<i64>,
    /// The receive window in bytes.
    pub(super) window: u64,
    pub(super) marks: Vec<Mark>,
    pub(super) states: States,
}

impl Seen<'_> {
    /// The position of its first byte of stream.
    pub(super) fn start(&self) -> i64 {
        self.seq + i64::from(self.tcp.has(Flag::Syn))
    }

    /// The position behind its last byte of stream.
    pub(super) fn end(&self) -> i64 {
        self.start() + self.tcp.len as i64
    }

    /// Whether its bytes are bytes of the stream. What a reset carries is not, nor what a keep-alive repeats.
    pub(super) fn carries_stream(&self) -> bool {
        self.tcp.len > 0 && !self.tcp.has(Flag::Rst) && !self.marks.contains(&Mark::KeepAlive)
    }
}

/// One direction while its segments are read.
#[derive(Debug, Default)]
pub(super) struct Half<'a> {
    /// The sequence number of position 0.
    base: Option<u32>,
    /// Whether position 1 is known to be the first byte of the stream.
    pub(super) has_start: bool,
    pub(super) stream: Stream<'a>,
    /// The position behind all that was sent.
    pub(super) next: i64,
    has_sent: bool,
    /// The position of the SYN or FIN that were seen.
    has_syn: bool,
    fin: Option<i64>,
    /// The position up to which the peer acknowledged.
    pub(super) acked: i64,
    /// The last of what it acknowledged, and with which window.
    last_ack: Option<i64>,
    last_window: Option<u64>,
    /// The option for windows of its SYN.
    scale: Option<u8>,
    /// The longest segment that it takes.
    max_segment: Option<u16>,
    /// A byte that was sent to ask for room, and that may not have been taken.
    probe: Option<Probe<'a>>,
    /// Whether the last segment asked for an answer, a keep-alive or a probe, and nothing came since.
    has_asked: bool,
    /// The packet of the last segment.
    last_packet: Option<&'a [u8]>,
    /// The segments that repeat bytes with another content.
    pub(super) differing: Vec<usize>,
}

/// A byte that was sent though there was no room for it.
#[derive(Clone, Copy, Debug)]
struct Probe<'a> {
    /// The index of its segment.
    segment: usize,
    position: i64,
    /// It, if it was captured.
    byte: &'a [u8],
}

/// Both directions, and the segments in the order of the capture.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) segments: Vec<Seen<'a>>,
    pub(super) to_server: Half<'a>,
    pub(super) to_client: Half<'a>,
    /// Before the first segment.
    pub(super) states: States,
}

impl<'a> Conversation<'a> {
    /// Reads the segments of a connection.
    pub(super) fn of(capture: &'a Capture, connection: &Connection) -> Conversation<'a> {
        let packets = connection.packets.iter().filter_map(|&index| capture.packets.get(index));
        let segments: Vec<Tcp<'a>> = packets.filter_map(|packet| Tcp::of(packet).ok()).collect();
        let answer = segments.iter().find(|tcp| tcp.from == connection.server);
        let is_refused = answer.is_some_and(|tcp| tcp.has(Flag::Rst));
        let mut machine = Machine::before(segments.first().map_or(&[], |first| &first.flags), is_refused);
        let states = machine.states();
        let (to_server, to_client) = (Half::default(), Half::default());
        let mut read = Conversation { segments: Vec::with_capacity(segments.len()), to_server, to_client, states };
        for tcp in segments {
            let direction = if tcp.from == connection.client { Direction::ToServer } else { Direction::ToClient };
            read.take(tcp, direction, &mut machine);
        }
        read.to_server.take_probe();
        read.to_client.take_probe();
        read
    }

    /// One direction.
    pub(super) fn half(&self, direction: Direction) -> &Half<'a> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn take(&mut self, tcp: Tcp<'a>, direction: Direction, machine: &mut Machine) {
        let index = self.segments.len();
        let (own, peer) = match direction {
            Direction::ToServer => (&mut self.to_server, &mut self.to_client),
            Direction::ToClient => (&mut self.to_client, &mut self.to_server),
        };
        own.begin(&tcp, peer);
        let seq = own.position(own.next, tcp.seq);
        let ack = tcp.has(Flag::Ack).then(|| peer.position(peer.next, tcp.ack));
        let window = own.window(&tcp, peer);
        let mut seen = Seen { tcp, direction, seq, ack, window, marks: Vec::new(), states: machine.states() };
        seen.marks = own.marks(&seen, peer);
        peer.has_asked = false;
        own.carry(index, &mut seen);
        own.remember(&seen);
        if let Some(ack) = ack {
            peer.acknowledged(ack);
        }
        let end = seen.end() + i64::from(seen.tcp.has(Flag::Fin));
        machine.take(direction, &seen.tcp.flags, ack, end);
        seen.states = machine.states();
        self.segments.push(seen);
    }
}

impl<'a> Half<'a> {
    /// Finds out where the numbers of both directions begin, as Wireshark does: a SYN has the position 0, and where there is none,
    /// the first byte has the position 1.
    fn begin(&mut self, tcp: &Tcp<'a>, peer: &mut Half<'a>) {
        let syn = tcp.has(Flag::Syn);
        if self.base.is_none() {
            self.base = Some(if syn { tcp.seq } else { tcp.seq.wrapping_sub(1) });
            self.next = i64::from(!syn);
            self.acked = self.next;
        }
        self.has_start |= syn && self.base == Some(tcp.seq);
        if tcp.has(Flag::Ack) && peer.base.is_none() {
            peer.base = Some(tcp.ack.wrapping_sub(1));
            (peer.next, peer.acked) = (1, 1);
            peer.has_start |= syn;
        }
        if syn {
            self.scale = tcp.scale;
            self.max_segment = tcp.max_segment;
        }
    }

    /// The position of a sequence number near another position.
    fn position(&self, near: i64, number: u32) -> i64 {
        let expected = self.base.unwrap_or(0).wrapping_add(near as u32);
        near + i64::from(number.wrapping_sub(expected) as i32)
    }

    /// The window that a segment of this end announces. Shifted if both SYNs allow it; those of SYNs never are.
    fn window(&self, tcp: &Tcp<'_>, peer: &Half<'_>) -> u64 {
        match (self.scale, peer.scale) {
            (Some(scale), Some(_)) if !tcp.has(Flag::Syn) => u64::from(tcp.window) << scale,
            _ => u64::from(tcp.window),
        }
    }

    /// What is special about a segment, but for what its bytes show.
    fn marks(&self, seen: &Seen<'a>, peer: &Half<'a>) -> Vec<Mark> {
        let tcp = &seen.tcp;
        let controls = [Flag::Syn, Flag::Fin, Flag::Rst].iter().any(|flag| tcp.has(*flag));
        let mut marks = Vec::new();
        if tcp.has_no_len || peer.max_segment.is_some_and(|longest| tcp.len > usize::from(longest.max(1))) {
            marks.push(Mark::Offloaded);
        }
        if tcp.bytes.len() < tcp.len {
            marks.push(Mark::CutShort);
        }
        if seen.window == 0 && !controls {
            marks.push(Mark::ZeroWindow);
        }
        let consumes = tcp.len > 0 || controls;
        if self.last_packet == Some(&tcp.packet.bytes) && (consumes || !is_anonymous(&tcp.packet.bytes)) {
            marks.push(Mark::Duplicate);
        }
        if !controls && self.asks(seen, peer) {
            let has_room = peer.last_window.is_none_or(|window| window > 0);
            marks.push(if has_room { Mark::KeepAlive } else { Mark::ZeroWindowProbe });
        } else if !consumes && seen.ack.is_some() && self.last_ack == seen.ack && !marks.contains(&Mark::Duplicate) {
            marks.extend(self.repeats_ack(seen, peer));
        }
        marks
    }

    /// Whether a segment only asks for an answer: of no byte, or of one that is acknowledged or that there is no room for.
    fn asks(&self, seen: &Seen<'_>, peer: &Half<'_>) -> bool {
        let (len, is_full) = (seen.tcp.len, peer.last_window == Some(0));
        let is_behind = seen.seq == self.next - 1 && len <= 1 && self.acked >= self.next;
        is_behind || (is_full && len == 1 && seen.seq == self.next)
    }

    /// What a segment is that carries nothing and acknowledges what was acknowledged before.
    fn repeats_ack(&self, seen: &Seen<'_>, peer: &Half<'_>) -> Option<Mark> {
        match self.last_window {
            Some(window) if seen.window > window => Some(Mark::WindowUpdate),
            _ if peer.has_asked => (seen.window > 0).then_some(Mark::KeepAliveAck),
            Some(window) if seen.window < window => None,
            _ => seen.ack.is_some_and(|ack| ack < peer.next).then_some(Mark::DuplicateAck),
        }
    }

    /// Takes what a segment carries, and marks what that shows.
    fn carry(&mut self, index: usize, seen: &mut Seen<'a>) {
        let (syn, fin) = (seen.tcp.has(Flag::Syn), seen.tcp.has(Flag::Fin));
        if seen.tcp.has(Flag::Rst) || (seen.tcp.len == 0 && !syn && !fin) || seen.marks.contains(&Mark::KeepAlive) {
            return;
        }
        let (start, end) = (seen.start(), seen.end());
        if seen.marks.contains(&Mark::ZeroWindowProbe) {
            if start == self.next && self.probe.is_none() {
                self.probe = Some(Probe { segment: index, position: start, byte: seen.tcp.bytes });
            }
            return;
        }
        match self.probe {
            Some(probe) if start > probe.position => self.take_probe(),
            Some(_) if end > self.next => self.probe = None,
            _ => {}
        }
        let before = self.next;
        let added = self.stream.add(index, start, end, seen.tcp.bytes);
        if added.differs {
            self.differing.push(index);
        }
        let total = seen.tcp.len as u64 + u64::from(syn) + u64::from(fin);
        let new = added.new + u64::from(syn && !self.has_syn) + u64::from(fin && self.fin != Some(end));
        self.has_syn |= syn;
        if fin {
            self.fin = Some(end);
        }
        self.next = self.next.max(end + i64::from(fin));
        if seen.marks.contains(&Mark::Duplicate) {
            return;
        }
        let end = end + i64::from(fin);
        seen.marks.extend(match () {
            () if new == 0 && end <= self.acked => Some(Mark::SpuriousRetransmission),
            () if new == 0 => Some(Mark::Retransmission),
            () if new < total => Some(Mark::PartialRetransmission),
            () if !self.has_sent && !self.has_start => None,
            () if seen.seq > before => Some(Mark::MissingBefore),
            () if seen.seq < before => Some(Mark::OutOfOrder),
            () => None,
        });
    }

    /// Takes the byte of a probe: it was sent, and nothing shows that it was refused.
    fn take_probe(&mut self) {
        if let Some(Probe { segment, position, byte }) = self.probe.take() {
            self.stream.add(segment, position, position + 1, byte);
            self.next = self.next.max(position + 1);
        }
    }

    /// The peer acknowledges all up to a position.
    fn acknowledged(&mut self, ack: i64) {
        if self.probe.is_some_and(|probe| ack > probe.position) {
            self.take_probe();
        }
        self.acked = self.acked.max(ack);
    }

    fn remember(&mut self, seen: &Seen<'a>) {
        self.has_sent = true;
        self.has_asked = seen.marks.iter().any(|mark| matches!(mark, Mark::KeepAlive | Mark::ZeroWindowProbe));
        self.last_packet = Some(&seen.tcp.packet.bytes);
        if seen.ack.is_some() {
            self.last_ack = seen.ack;
        }
        self.last_window = Some(seen.window);
    }
}

/// Whether two packets of equal bytes may be two: IPv6 has no number for each packet, and IPv4 may leave it at 0.
fn is_anonymous(ip: &[u8]) -> bool {
    ip.first().is_none_or(|first| first >> 4 != 4) || ip.get(4..6) == Some(&[0, 0])
}
