//! What a picture says of segments and frames.

use super::text::{counted, grouped, printable};
use crate::trace::{Direction, Flag, Mark, Part, Run, Segment, State, Trace};

/// `client` or `server`.
pub(super) fn sender(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "client",
        Direction::ToClient => "server",
    }
}

/// `client` or `server`.
pub(super) fn receiver(direction: Direction) -> &'static str {
    sender(direction.back())
}

/// What a half-close is, after the FIN of `direction`.
pub(super) fn half_closed(direction: Direction) -> String {
    format!("the {} sends no more bytes, and still reads", sender(direction))
}

/// The flags of a segment, in the order in which people say them: SYN ACK, PSH ACK, FIN ACK.
pub(super) fn flags(segment: &Segment) -> String {
    let (acks, others): (Vec<Flag>, Vec<Flag>) = segment.flags.iter().partition(|flag| **flag == Flag::Ack);
    others.iter().chain(&acks).map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The marks of a segment, in words.
pub(super) fn marks(segment: &Segment) -> Vec<String> {
    segment.marks.iter().map(Mark::to_string).collect()
}

/// Whether the window of a segment is worth a word.
pub(super) fn tells_window(segment: &Segment) -> bool {
    [Mark::ZeroWindow, Mark::WindowUpdate, Mark::ZeroWindowProbe].iter().any(|mark| segment.is(*mark))
}

/// How many frames have bytes in these runs; an unfinished one counts.
pub(super) fn frames_in(runs: &[Run]) -> usize {
    let mut frames: Vec<_> = runs.iter().filter(|run| run.frame.is_some()).map(|run| run.frame).collect();
    frames.dedup();
    frames.len() + usize::from(runs.iter().any(|run| run.part == Part::Unfinished))
}

/// Whether runs hold a part of a whole frame, and not all of it.
fn has_part(trace: &Trace, runs: &[Run]) -> bool {
    let frames = runs.iter().filter_map(|run| Some((run, &trace.frames[run.frame?])));
    frames.into_iter().any(|(run, frame)| run.len < frame.end() - frame.offset)
}

/// `stuck`, `split`, both or nothing: what happened to the frames of the bytes that a segment is the first to carry.
pub(super) fn fate(trace: &Trace, segment: &Segment) -> &'static str {
    let new: Vec<Run> = segment.runs.iter().filter(|run| !run.again).copied().collect();
    match (frames_in(&new) > 1, has_part(trace, &new)) {
        (true, true) => "stuck and split",
        (true, false) => "stuck",
        (false, true) => "split",
        (false, false) => "",
    }
}

/// What a segment carries; of a single whole frame, also its text.
pub(super) fn contents(trace: &Trace, segment: &Segment) -> String {
    let caption = trace.caption(segment);
    let [run] = &segment.runs[..] else { return caption };
    let frame = run.frame.map(|index| &trace.frames[index]).filter(|frame| !run.again && !frame.split);
    match frame.and_then(|frame| frame.text.as_ref()) {
        Some(text) => format!("{caption}: {}", printable(text)),
        None => caption,
    }
}

/// `1 byte`, `2 bytes`.
pub(super) fn bytes(len: u64) -> String {
    format!("{} byte{}", grouped(len), if len == 1 { "" } else { "s" })
}

/// What a flag means, for a legend.
pub(super) fn meaning_of_flag(flag: Flag) -> &'static str {
    match flag {
        Flag::Syn => "opens a direction, and says its first number",
        Flag::Ack => "has an ack: all bytes before it have come",
        Flag::Psh => "the reader should get the bytes at once",
        Flag::Fin => "ends a direction: no byte comes after it",
        Flag::Rst => "breaks the connection off",
        Flag::Urg => "has urgent bytes, which are rarely used",
        Flag::Ece => "tells of congestion in the network (ECN)",
        Flag::Cwr => "answers that: its sender has slowed down",
    }
}

/// What a mark means, for a legend.
pub(super) fn meaning_of_mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Retransmission => "all its bytes were sent before, and are sent again",
        Mark::SpuriousRetransmission => "the same, though they were acknowledged before",
        Mark::PartialRetransmission => "a part of its bytes was sent before",
        Mark::OutOfOrder => "new bytes that come after later ones; its arrow is dotted",
        Mark::MissingBefore => "bytes before it come later, or are not captured",
        Mark::Duplicate => "the same packet, captured twice",
        Mark::DuplicateAck => "the last ack again: bytes before what came are missing",
        Mark::KeepAlive => "asks whether the other end is still there",
        Mark::KeepAliveAck => "the answer: it is still there",
        Mark::ZeroWindow => "its sender has no room; the other end has to wait",
        Mark::ZeroWindowProbe => "asks whether there is room now",
        Mark::WindowUpdate => "its sender has room for more bytes",
        Mark::Offloaded => "longer than a packet: the network card cuts or joins it",
        Mark::CutShort => "only a part of its bytes is in the capture",
    }
}

/// What a state means, for a legend.
pub(super) fn meaning_of_state(state: State) -> &'static str {
    match state {
        State::Closed => "no connection",
        State::Listen => "the server waits for a SYN",
        State::SynSent => "the client has asked, and waits for the answer",
        State::SynReceived => "the server has answered, and waits for the last ACK",
        State::Established => "both directions are open",
        State::FinWait1 => "its FIN is sent, and not acknowledged",
        State::FinWait2 => "its FIN is acknowledged; it still reads",
        State::CloseWait => "the other end has ended; this one may still send",
        State::Closing => "both have sent a FIN at the same time",
        State::LastAck => "its FIN is sent, and one ACK is missing",
        State::TimeWait => "closed; it waits in case its last ACK is lost",
    }
}

/// A segment in a sentence, for those who do not see the picture.
pub(super) fn sentence(trace: &Trace, segment: &Segment) -> String {
    let mut said = format!(
        "Segment {}, {} to {}: {} seq {}",
        segment.packet,
        sender(segment.direction),
        receiver(segment.direction),
        flags(segment),
        segment.seq
    );
    if let Some(ack) = segment.ack {
        said.push_str(&format!(" ack {ack}"));
    }
    if segment.len > 0 {
        said.push_str(&format!(", {}: {}", bytes(segment.len), trace.caption(segment)));
    }
    for mark in marks(segment) {
        said.push_str(&format!(", {mark}"));
    }
    said.push('.');
    said
}

/// What a direction carried: `58 bytes, 2 frames, 3 segments with data`.
pub(super) fn carried(trace: &Trace, direction: Direction) -> String {
    let frames = trace.frames.iter().filter(|frame| frame.direction == direction).count();
    let with_data = trace.segments.iter().filter(|segment| segment.direction == direction && segment.len > 0).count();
    let len = trace.flow(direction).len;
    format!("{}, {}, {}", bytes(len), counted(frames, "frame"), counted(with_data, "segment"))
}
