//! Makes a trace of a connection: its segments, its frames, and which came in which.

use std::collections::BTreeSet;
use std::time::Duration;

use super::bytes::Bytes;
use super::connection::Connection;
use super::frames::{self, Found};
use super::model::{Direction, Ending, EndingKind, Flow, Frame, HoleCause, Note, Part, Run, Segment, Trace};
use super::packet::Capture;
use super::segments::{Conversation, Seen};
use super::tls;
use super::words::plural;
use crate::framing::Format;

/// How the bytes of a connection are read as frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The format of the frames. By default [`Format::U32_LE`].
    pub format: Format,
    /// Bytes that the server sends before its first frame, such as a greeting without framing. By default 0.
    pub greeting: u64,
    /// Where a frame begins in the bytes that the client sent, and in those that the server sent: offsets from the first byte that
    /// is in the capture. By default unknown: frames are read from the beginning of the stream, if that is in the capture.
    pub boundaries: Option<[u64; 2]>,
}

impl Reading {
    /// Frames of a format, from the beginning on.
    pub const fn new(format: Format) -> Reading {
        Reading { format, greeting: 0, boundaries: None }
    }

    /// The offset of the first frame in a direction.
    fn first_frame(&self, direction: Direction, has_start: bool) -> Option<u64> {
        match (self.boundaries, direction) {
            (Some([boundary, _]), Direction::ToServer) | (Some([_, boundary]), Direction::ToClient) => Some(boundary),
            (None, _) if !has_start => None,
            (None, Direction::ToServer) => Some(0),
            (None, Direction::ToClient) => Some(self.greeting),
        }
    }
}

impl Default for Reading {
    fn default() -> Reading {
        Reading::new(Format::U32_LE)
    }
}

impl Capture {
    /// A connection of this capture as segments and frames.
    pub fn trace(&self, connection: &Connection, reading: &Reading) -> Trace {
        let conversation = Conversation::of(self, connection);
        let [to_server, to_client] = Direction::BOTH.map(|direction| Way::of(&conversation, direction, reading));
        let frames = merge(&to_server, &to_client);
        let started = conversation.segments.first().map_or(0, |first| first.tcp.packet.time.as_micros());
        let mut trace = Trace {
            stream: connection.stream,
            client: connection.client,
            server: connection.server,
            // A number of seconds with six decimals is the same after it was written and read.
            started: started as f64 / 1e6,
            format: reading.format.layout().to_string(),
            states: conversation.states,
            segments: Vec::new(),
            notes: notes(self, &conversation, connection, [&to_server, &to_client]),
            frames,
            to_server: to_server.flow(),
            to_client: to_client.flow(),
        };
        trace.segments = segments(&conversation, &trace, [&to_server, &to_client]);
        trace
    }
}

/// One direction: its bytes and its frames.
#[derive(Debug)]
struct Way<'a> {
    direction: Direction,
    bytes: Bytes<'a>,
    has_start: bool,
    first_frame: Option<u64>,
    /// From which offset on it is encrypted.
    encrypted: Option<u64>,
    found: Vec<Found>,
    end: Ending,
}

impl<'a> Way<'a> {
    fn of(conversation: &Conversation<'a>, direction: Direction, reading: &Reading) -> Way<'a> {
        let half = conversation.half(direction);
        let bytes = Bytes::of(half);
        let first_frame = reading.first_frame(direction, half.has_start);
        let encrypted = tls::begin(&bytes).filter(|_| reading.format.layout() != tls::records());
        let plain = encrypted.map_or_else(|| bytes.clone(), |offset| bytes.before(offset));
        let (found, end) = match first_frame {
            Some(first_frame) => frames::frames(&plain, reading.format, first_frame),
            None => (Vec::new(), unknown(bytes.len())),
        };
        let end = encrypted.map_or(end, end_of_plain);
        Way { direction, bytes, has_start: half.has_start, first_frame, encrypted, found, end }
    }

    fn flow(&self) -> Flow {
        Flow {
            len: self.bytes.len(),
            has_start: self.has_start,
            first_frame: self.first_frame,
            holes: self.bytes.holes(),
            end: self.end.clone(),
            reads: None,
        }
    }

    /// The frames, without what only all frames together show.
    fn frames(&self) -> Vec<Frame> {
        let mut whole_with = 0;
        let mut before = 0;
        let frames = self.found.iter().zip(1..).map(|(found, number)| {
            // All bytes before its end are needed, also those before the first frame.
            let came = |from, to| self.bytes.pieces[self.bytes.pieces_of(from, to)].iter().map(|piece| piece.segment);
            whole_with = came(before, found.end()).fold(whole_with, usize::max);
            before = found.end();
            let mut seen = BTreeSet::new();
            let segments: Vec<usize> =
                came(found.offset, found.end()).filter(|segment| seen.insert(*segment)).collect();
            Frame {
                direction: self.direction,
                number,
                offset: found.offset,
                header_len: found.header_len,
                payload_len: found.payload_len,
                trailer_len: found.trailer_len,
                split: segments.len() > 1,
                segments,
                whole_with,
                stuck: false,
                missing: found.missing,
                text: frames::text(found),
                hex: frames::hex(found),
            }
        });
        frames.collect()
    }

    /// What is missing of it, a sentence each; so many bytes were acknowledged and not captured.
    fn lacks(&self, unseen: i64) -> Vec<String> {
        let words = match self.direction {
            Direction::ToServer => "to the server",
            Direction::ToClient => "to the client",
        };
        let mut texts = Vec::new();
        for (cause, why) in
            [(HoleCause::Missing, "not in the capture"), (HoleCause::CutShort, "cut off by the capture")]
        {
            let holes = self.bytes.holes().into_iter().filter(|hole| hole.cause == cause);
            let (count, bytes) = holes.fold((0, 0), |(count, bytes), hole| (count + 1, bytes + hole.len));
            if count > 0 {
                let (bytes, places) = (plural(bytes, "byte"), plural(count, "place"));
                texts.push(format!("{why}: {bytes} {words}, in {places}"));
            }
        }
        if unseen > 0 {
            let bytes = plural(unseen as u64, "byte");
            texts.push(format!("acknowledged, but not in the capture: {bytes} {words}"));
        }
        if let Some(first_frame) = self.first_frame.filter(|first_frame| *first_frame > self.bytes.len()) {
            let len = plural(self.bytes.len(), "byte");
            texts.push(format!("frames {words} would begin at byte {first_frame}, but there are only {len}"));
        }
        texts
    }
}

/// Where no boundary is known, nothing is decoded.
fn unknown(len: u64) -> Ending {
    match len {
        0 => Ending { kind: EndingKind::Whole, offset: 0, text: String::new() },
        _ => Ending {
            kind: EndingKind::NoBoundary,
            offset: 0,
            text: "the capture begins inside the stream: where a frame begins is not known".into(),
        },
    }
}

/// TLS begins at an offset.
fn end_of_plain(offset: u64) -> Ending {
    let text = format!("TLS begins here, and is not decrypted; the format {} shows its records", tls::records());
    Ending { kind: EndingKind::Encrypted, offset, text }
}

/// The frames of both directions, by when they were whole.
fn merge(to_server: &Way<'_>, to_client: &Way<'_>) -> Vec<Frame> {
    let mut frames = to_server.frames();
    frames.extend(to_client.frames());
    frames.sort_by_key(|frame| frame.whole_with);
    let last = frames.iter().flat_map(|frame| &frame.segments).max().map_or(0, |last| last + 1);
    let mut frames_in = vec![0_u32; last];
    for segment in frames.iter().flat_map(|frame| &frame.segments) {
        frames_in[*segment] += 1;
    }
    for frame in &mut frames {
        frame.stuck = frame.segments.iter().any(|segment| frames_in[*segment] > 1);
    }
    frames
}

/// The segments, with what their bytes are.
fn segments(conversation: &Conversation<'_>, trace: &Trace, ways: [&Way<'_>; 2]) -> Vec<Segment> {
    // The indices of the frames of each direction, in the order of the stream.
    let indices = Direction::BOTH.map(|direction| -> Vec<usize> {
        (0..trace.frames.len()).filter(|&index| trace.frames[index].direction == direction).collect()
    });
    let first = conversation.segments.first().map_or(Duration::ZERO, |first| first.tcp.packet.time);
    let segments = conversation.segments.iter().enumerate().map(|(index, seen)| {
        let way = usize::from(seen.direction == Direction::ToClient);
        Segment {
            packet: seen.tcp.packet.number,
            time: seconds(seen.tcp.packet.time, first),
            direction: seen.direction,
            flags: seen.tcp.flags.clone(),
            seq: seen.seq,
            ack: seen.ack,
            window: seen.window,
            len: seen.tcp.len as u64,
            captured: seen.tcp.bytes.len() as u64,
            marks: seen.marks.clone(),
            states: seen.states,
            runs: runs(index, seen, ways[way], &indices[way], &trace.frames),
        }
    });
    segments.collect()
}

/// Seconds from the first segment, of which a clock that was set back may make less than none.
fn seconds(time: Duration, first: Duration) -> f64 {
    let after = time.saturating_sub(first).as_nanos() as f64 / 1e9;
    let before = first.saturating_sub(time).as_nanos() as f64 / 1e9;
    after - before
}

/// The bytes of a segment, cut where frames begin and end, and where other segments brought them first.
fn runs(index: usize, seen: &Seen<'_>, way: &Way<'_>, indices: &[usize], frames: &[Frame]) -> Vec<Run> {
    let offset = |position| u64::try_from(way.bytes.offset(position)).unwrap_or(0);
    let (start, end) = (offset(seen.start()), offset(seen.end()));
    if !seen.carries_stream() || start >= end {
        return Vec::new();
    }
    let mut runs = Vec::new();
    for piece in &way.bytes.pieces[way.bytes.pieces_of(start, end)] {
        let (mut at, stop) = (start.max(offset(piece.start)), end.min(offset(piece.end)));
        while at < stop {
            let (part, frame, until) = what(at, way, indices, frames);
            let len = until.min(stop) - at;
            runs.push(Run { offset: at, len, part, frame, again: piece.segment != index });
            at += len;
        }
    }
    runs.dedup_by(|next, run| {
        let same = (run.part, run.frame, run.again) == (next.part, next.frame, next.again)
            && run.offset + run.len == next.offset;
        if same {
            run.len += next.len;
        }
        same
    });
    runs
}

/// What the byte at an offset is: its part, its frame, and the offset at which that ends.
fn what(at: u64, way: &Way<'_>, indices: &[usize], frames: &[Frame]) -> (Part, Option<usize>, u64) {
    let plain_end = way.encrypted.unwrap_or(u64::MAX);
    let first_frame = way.first_frame.unwrap_or(u64::MAX);
    if at >= plain_end {
        return (Part::Encrypted, None, u64::MAX);
    }
    if at < first_frame {
        return (Part::Unframed, None, first_frame.min(plain_end));
    }
    let nth = indices.partition_point(|&index| frames[index].end() <= at);
    match indices.get(nth) {
        Some(&index) => (Part::Frame, Some(index), frames[index].end()),
        None if way.end.kind == EndingKind::Unfinished => (Part::Unfinished, None, u64::MAX),
        None => (Part::Undecoded, None, plain_end),
    }
}

/// What else is to be said.
fn notes(
    capture: &Capture,
    conversation: &Conversation<'_>,
    connection: &Connection,
    ways: [&Way<'_>; 2],
) -> Vec<Note> {
    let mut texts: Vec<String> = capture.notes.iter().cloned().chain(capture.left_out()).collect();
    if !connection.knows_client {
        texts.push(format!(
            "the capture has no SYN of this connection: that {} is the server is a guess by its port, and both ends are \
             taken as ESTABLISHED before the first segment",
            connection.server
        ));
    }
    let mut notes: Vec<Note> = texts.into_iter().map(|text| Note { segment: None, text }).collect();
    for way in ways {
        let half = conversation.half(way.direction);
        notes.extend(half.differing.iter().map(|segment| {
            let text = "it repeats bytes with another content; the first ones count".into();
            Note { segment: Some(*segment), text }
        }));
        notes.extend(way.lacks(half.acked - half.next).into_iter().map(|text| Note { segment: None, text }));
    }
    notes
}
