//! Captures of connections: planned ones, of which the frames are known, and any bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::framing::Format;
use crate::testing::plan::{Fault, Plan};
use crate::testing::source::Source;
use crate::trace::picture::Picture;
use crate::trace::{
    Capture, Direction, Flag, HoleCause, Mark, Packet, Part, Reading, State, Trace, from_json, json, text,
};

/// Any bytes as a capture file, and as IP packets: they are read without a panic, and what holds of every trace holds.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_capture(data: &[u8]) {
    if let Ok(capture) = Capture::read(data) {
        check_traces(&capture, Format::U16_BE);
    }
    let mut source = Source::new(data);
    let format = source.format();
    let mut packets = Vec::new();
    while !source.is_empty() && packets.len() < 100 {
        let cut = usize::from(source.u8());
        let bytes: Vec<u8> = if cut < 128 { source.segment().packet() } else { source.take(cut) };
        let kept = bytes.len() - if cut % 4 == 0 { bytes.len().min(cut / 4) } else { 0 };
        let (number, time) = (packets.len() as u64 + 1, Duration::from_millis(packets.len() as u64));
        packets.push(Packet { number, time, len: bytes.len(), bytes: bytes[..kept].to_vec() });
    }
    check_traces(&Capture { packets, notes: Vec::new() }, format);
}

/// What holds of every trace.
#[track_caller]
fn check_traces(capture: &Capture, format: Format) {
    for connection in capture.connections().iter().take(8) {
        for boundaries in [None, Some([0, 0]), Some([1, 7])] {
            let mut reading = Reading::new(format);
            (reading.greeting, reading.boundaries) = (3, boundaries);
            check_consistent(&capture.trace(connection, &reading));
        }
    }
}

#[track_caller]
fn check_consistent(trace: &Trace) {
    assert!(!text(trace).is_empty());
    let written = json(trace);
    let read = from_json(&written).expect("JSON that was just written");
    assert_eq!(json(&read), written, "it is written as it was read");
    let picture = Picture { name: "any", title: "Any", lesson: "", trace };
    assert!(picture.svg().len() < 1024 * 1024, "a picture is bounded");
    for direction in Direction::BOTH {
        let flow = trace.flow(direction);
        let segments = || trace.segments.iter().filter(|segment| segment.direction == direction);
        let runs = || segments().flat_map(|segment| &segment.runs);
        let counted: u64 = runs().filter(|run| !run.again).map(|run| run.len).sum();
        let missing = flow.holes.iter().filter(|hole| hole.cause == HoleCause::Missing).map(|hole| hole.len);
        assert_eq!(counted, flow.len - missing.sum::<u64>(), "each byte counts once, {direction:?}: {}", text(trace));
        for segment in segments() {
            let carried: u64 = segment.runs.iter().map(|run| run.len).sum();
            assert!(carried <= segment.len && segment.captured <= segment.len);
            assert!(segment.runs.iter().all(|run| run.len > 0 && run.frame.is_some() == (run.part == Part::Frame)));
            _ = trace.caption(segment);
        }
        let mut end = flow.first_frame.unwrap_or(0);
        let mut whole_with = 0;
        for frame in trace.frames.iter().filter(|frame| frame.direction == direction) {
            assert_eq!(frame.offset, end, "frames follow each other");
            assert!(frame.end() <= flow.len && whole_with <= frame.whole_with);
            (end, whole_with) = (frame.end(), frame.whole_with);
            assert!(frame.segments.iter().all(|&segment| trace.segments[segment].direction == direction));
            assert_eq!(frame.split, frame.segments.len() > 1);
        }
        assert_eq!(flow.end.offset, end, "the ending is behind the last frame");
    }
}

/// A planned connection, cut into segments, of which some are lost and sent again, repeated, or swapped: the frames and the
/// segments that each came in are those of the plan.
///
/// # Panics
/// If they are not.
#[track_caller]
pub fn check_trace(data: &[u8]) {
    let mut source = Source::new(data);
    let format = source.format();
    let session = Session::of(&mut source, format);
    let capture = session.capture();
    let connections = capture.connections();
    assert_eq!(connections.len(), 1, "one connection");
    let mut reading = Reading::new(format);
    reading.boundaries = session.is_late.then_some([0, 0]);
    let trace = capture.trace(&connections[0].clone().with_server_at(SERVER), &reading);
    check_consistent(&trace);
    session.check(&trace);
}

const CLIENT: u16 = 40_000;
const SERVER: u16 = 4747;

/// A connection as it is on the wire.
#[derive(Debug)]
struct Session {
    format: Format,
    /// What each end sends, the client first.
    streams: [Vec<u8>; 2],
    /// The sequence number of each SYN.
    began: [u32; 2],
    /// Whether the capture begins after the handshake.
    is_late: bool,
    is_ipv6: bool,
    segments: Vec<Wire>,
    /// How many segments at the end are not captured.
    lost: usize,
    /// The most bytes of a packet that are captured.
    snap_len: usize,
}

/// A segment on the wire. Positions: 0 is the SYN, 1 the first byte.
#[derive(Clone, Debug, Default)]
struct Wire {
    is_from_server: bool,
    is_ipv6: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    payload: Vec<u8>,
    /// The position of the payload.
    at: usize,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

impl Session {
    fn of(source: &mut Source<'_>, format: Format) -> Session {
        let mut stream = || {
            let count = usize::from(source.u8() % 8);
            let frames = (0..count).map(|_| source.frame_len()).collect();
            let faults = match source.u8() % 4 {
                0 => vec![Fault::Truncate { missing: usize::from(source.u8()) }],
                _ => Vec::new(),
            };
            let plan = Plan { frames, faults, ..Plan::new(format) };
            let mut bytes = plan.stream();
            bytes.truncate(5000);
            bytes
        };
        let streams = [stream(), stream()];
        // Some begin shortly before the numbers wrap.
        let mut began = || match source.u8() % 2 {
            0 => u32::MAX - u32::from(source.u16() % 2048),
            _ => source.u64() as u32,
        };
        let began = [began(), began()];
        let (is_late, is_ipv6) = (source.u8().is_multiple_of(4), source.u8().is_multiple_of(2));
        let mut session =
            Session { format, streams, began, is_late, is_ipv6, segments: Vec::new(), lost: 0, snap_len: usize::MAX };
        session.talk(source);
        session.disturb(source);
        match source.u8() % 8 {
            0 if !session.is_late => session.lost = usize::from(source.u8() % 8),
            1 => session.snap_len = session.headers_len() + usize::from(source.u8() % 64),
            _ => {}
        }
        session
    }

    /// A segment of one end, with as much of its stream as that.
    fn segment(&self, from_server: bool, flags: u8, at: usize, len: usize, acked: usize) -> Wire {
        let (own, peer) = (usize::from(from_server), usize::from(!from_server));
        let begin = at.saturating_sub(1).min(self.streams[own].len());
        let end = (begin + len).min(self.streams[own].len());
        Wire {
            is_from_server: from_server,
            is_ipv6: self.is_ipv6,
            flags,
            seq: self.began[own].wrapping_add(at as u32),
            ack: self.began[peer].wrapping_add(acked as u32),
            window: 60_000,
            payload: self.streams[own][begin..end].to_vec(),
            at,
        }
    }

    /// The segments as they are sent.
    fn talk(&mut self, source: &mut Source<'_>) {
        if !self.is_late {
            let open = [
                Wire { ack: 0, ..self.segment(false, SYN, 0, 0, 0) },
                self.segment(true, SYN | ACK, 0, 0, 1),
                self.segment(false, ACK, 1, 0, 1),
            ];
            self.segments.extend(open);
        }
        let mut sent = [1, 1];
        let mut turns = 0;
        while (0..2).any(|end| sent[end] <= self.streams[end].len()) {
            let from_server = source.u8() % 2 == 1;
            let end = usize::from(from_server);
            let longest = if turns > 200 { 1460 } else { [1, 3, 40, 300, 1460][usize::from(source.u8() % 5)] };
            turns += 1;
            let segment =
                self.segment(from_server, ACK, sent[end], 1 + usize::from(source.u16()) % longest, sent[1 - end]);
            if segment.payload.is_empty() {
                // The numbers of a source that is empty are 0, so the other end needs its turn.
                let other = self.segment(!from_server, ACK, sent[1 - end], longest, sent[end]);
                sent[1 - end] += other.payload.len();
                self.segments.push(other);
            } else {
                sent[end] += segment.payload.len();
                self.segments.push(segment);
            }
        }
    }

    /// What a network does to segments. A capture that begins late has nothing before what it answers: of that, no capture could
    /// tell what it is.
    fn disturb(&mut self, source: &mut Source<'_>) {
        let first = if self.is_late { 0 } else { 3 };
        for _ in 0..source.u8() % 12 {
            let count = self.segments.len();
            if count <= first {
                break;
            }
            let at = first + usize::from(source.u16()) % (count - first);
            let earliest = if self.is_late { at + 1 } else { first };
            let to = earliest + usize::from(source.u16()) % (count + 1 - earliest);
            match source.u8() % 4 {
                // It is sent again.
                0 => self.segments.insert(to, self.segments[at].clone()),
                // It is sent again with bytes before and after it.
                1 => {
                    let Wire { is_from_server, at: start, .. } = self.segments[at];
                    let longer = start.saturating_sub(usize::from(source.u8() % 16)).max(1);
                    let segment = self.segment(is_from_server, ACK, longer, usize::from(source.u16() % 2000), 1);
                    self.segments.insert(to, segment);
                }
                _ if self.is_late => {}
                // It comes at another time: it was lost and sent again, or others were faster.
                2 => {
                    let segment = self.segments.remove(at);
                    self.segments.insert(to.min(count - 1), segment);
                }
                // Two change places.
                _ => self.segments.swap(at, to.min(count - 1)),
            }
        }
        if source.u8().is_multiple_of(4) {
            self.keep_alive(source.u8());
        }
        for end in 0..2 {
            let (own, peer) = (self.streams[end].len(), self.streams[1 - end].len());
            self.segments.push(self.segment(end == 1, ACK | FIN, 1 + own, 0, 1 + peer));
        }
    }

    /// After all is acknowledged, a byte of any content that was sent before, twice.
    fn keep_alive(&mut self, byte: u8) {
        let from_server = byte % 2 == 1;
        let own = usize::from(from_server);
        let lens = [self.streams[0].len(), self.streams[1].len()];
        let answer = self.segment(!from_server, ACK, 1 + lens[1 - own], 0, 1 + lens[own]);
        let mut ask = self.segment(from_server, ACK, lens[own], 0, 1 + lens[1 - own]);
        ask.payload = vec![byte];
        self.segments.extend([answer.clone(), ask.clone(), answer, ask]);
    }

    fn capture(&self) -> Capture {
        let packets = self.seen().zip(1..).map(|(segment, number)| {
            let bytes = segment.packet();
            let kept = bytes[..bytes.len().min(self.snap_len)].to_vec();
            Packet { number, time: Duration::from_micros(number * 10), bytes: kept, len: bytes.len() }
        });
        Capture { packets: packets.collect(), notes: Vec::new() }
    }

    /// Bytes of the headers of a packet.
    fn headers_len(&self) -> usize {
        if self.is_ipv6 { 60 } else { 40 }
    }

    /// The segments that are captured.
    fn seen(&self) -> impl Iterator<Item = &Wire> {
        self.segments[..self.segments.len().saturating_sub(self.lost).max(1)].iter()
    }

    /// Compares with what the plan says, found byte by byte.
    #[track_caller]
    fn check(&self, trace: &Trace) {
        for (end, direction) in Direction::BOTH.into_iter().enumerate() {
            let owners = self.owners(end, trace);
            let known = self.known(end);
            let len = owners.keys().next_back().map_or(0, |last| last + 1);
            assert_eq!(trace.flow(direction).len, len as u64, "{direction:?}");
            let expected = self.frames(end, len, &known);
            let frames: Vec<_> = trace.frames.iter().filter(|frame| frame.direction == direction).collect();
            let spans =
                frames.iter().map(|frame| [frame.offset, frame.header_len, frame.payload_len, frame.trailer_len]);
            assert_eq!(spans.collect::<Vec<_>>(), expected, "{direction:?}");
            for frame in &frames {
                let mut segments: Vec<usize> = Vec::new();
                let bytes = frame.offset as usize..frame.end() as usize;
                for segment in bytes.clone().filter_map(|offset| owners.get(&offset)) {
                    if !segments.contains(segment) {
                        segments.push(*segment);
                    }
                }
                assert_eq!(frame.segments, segments, "{direction:?}, the frame at {}", frame.offset);
                let missing = bytes.clone().filter(|&offset| !known[offset]).count();
                assert_eq!(frame.missing, missing as u64);
                assert_eq!(Some(&frame.whole_with), owners.range(..bytes.end).map(|(_, segment)| segment).max());
            }
        }
        if self.lost == 0 && !self.is_late {
            assert!(trace.segments[0].has(Flag::Syn) && trace.states.client == State::Closed);
        }
    }

    /// The segment that each byte of an end came in first. What only asks for an answer brings none.
    fn owners(&self, end: usize, trace: &Trace) -> BTreeMap<usize, usize> {
        let mut owners = BTreeMap::new();
        for (index, segment) in self.seen().enumerate() {
            let asks = trace.segments[index].is(Mark::KeepAlive);
            if usize::from(segment.is_from_server) == end && segment.at > 0 && !asks {
                for offset in segment.at - 1..segment.at - 1 + segment.payload.len() {
                    owners.entry(offset).or_insert(index);
                }
            }
        }
        owners
    }

    /// Which bytes of an end were captured when they came first.
    fn known(&self, end: usize) -> Vec<bool> {
        let mut known: Vec<Option<bool>> = vec![None; self.streams[end].len() + 1];
        for segment in self.seen().filter(|segment| usize::from(segment.is_from_server) == end && segment.at > 0) {
            for index in 0..segment.payload.len() {
                known[segment.at - 1 + index].get_or_insert(self.headers_len() + index < self.snap_len);
            }
        }
        known.into_iter().map(|known| known == Some(true)).collect()
    }

    /// The frames of the first `len` bytes, up to a header of which a byte is not known: offset, and the lengths of header,
    /// payload and trailer.
    fn frames(&self, end: usize, len: usize, known: &[bool]) -> Vec<[u64; 4]> {
        let stream = &self.streams[end][..len.min(self.streams[end].len())];
        let trailer = usize::from(self.format.layout().trailer);
        let mut frames = Vec::new();
        for frame in self.format.frames(stream) {
            let Ok((offset, frame)) = frame else { break };
            let header = frame.header().len();
            if !known[offset..offset + header].iter().all(|known| *known) {
                break;
            }
            frames.push([offset, header, frame.payload().len(), trailer].map(|number| number as u64));
        }
        frames
    }
}

impl Wire {
    /// The IP packet, written by hand.
    fn packet(&self) -> Vec<u8> {
        let (from, to) = if self.is_from_server { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
        let mut tcp = Vec::new();
        tcp.extend_from_slice(&from.to_be_bytes());
        tcp.extend_from_slice(&to.to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        tcp.extend_from_slice(&[5 << 4, self.flags]);
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0; 4]);
        tcp.extend_from_slice(&self.payload);
        let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (from, to) = if self.is_from_server { (server, client) } else { (client, server) };
        let mut packet = Vec::new();
        if self.is_ipv6 {
            packet.extend_from_slice(&[0x60, 0, 0, 0]);
            packet.extend_from_slice(&(tcp.len() as u16).to_be_bytes());
            packet.extend_from_slice(&[6, 64]);
            for addr in [from, to] {
                packet.extend_from_slice(&[0xFD; 12]);
                packet.extend_from_slice(&addr);
            }
        } else {
            packet.extend_from_slice(&[0x45, 0]);
            packet.extend_from_slice(&(20 + tcp.len() as u16).to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
            packet.extend_from_slice(&from);
            packet.extend_from_slice(&to);
        }
        packet.extend_from_slice(&tcp);
        packet
    }
}

impl Source<'_> {
    /// Any segment between the two ends of a planned connection.
    fn segment(&mut self) -> Wire {
        let choice = self.u8();
        let near = |number: u16| u32::from(number).wrapping_sub(1000);
        Wire {
            is_from_server: choice & 1 == 1,
            is_ipv6: choice & 2 == 2,
            flags: self.u8(),
            seq: near(self.u16() % 4096),
            ack: near(self.u16() % 4096),
            window: u16::from(self.u8() / 64),
            payload: {
                let len = usize::from(self.u8() % 40);
                self.take(len)
            },
            at: 0,
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.u8()).collect()
    }
}
