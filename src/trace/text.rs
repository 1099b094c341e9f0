//! A trace as text for a terminal: a ladder of segments with the states on both sides, then the frames over the segments.

use std::fmt::Write;

use super::model::{Direction, EndingKind, Flag, Flow, Frame, Mark, Segment, State, Trace};

/// Columns of an arrow.
const ARROW: usize = 37;
/// Segments of a frame that are named one by one.
const NAMED: usize = 4;

/// The trace as text, in lines of about 80 columns: the segments with the states of both ends, then the frames and the segments that
/// each came in. Segments have the numbers of their packets in the capture, as in Wireshark.
pub fn text(trace: &Trace) -> String {
    let mut text = format!(
        "stream {}: client {}, server {}; frames are {}\n",
        trace.stream, trace.client, trace.server, trace.format
    );
    ladder(trace, &mut text);
    for direction in Direction::BOTH {
        frames(trace, direction, &mut text);
    }
    if !trace.notes.is_empty() {
        text.push('\n');
    }
    for note in &trace.notes {
        match note.segment {
            Some(segment) => line(&mut text, format_args!("  * segment {}: {}", packet(trace, segment), note.text)),
            None => line(&mut text, format_args!("  * {}", note.text)),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let start = text.len();
    text.write_fmt(line).expect("a String takes everything");
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

/// A line for each segment; a state is shown where it changes.
fn ladder(trace: &Trace, text: &mut String) {
    let mut states = trace.states;
    line(
        text,
        format_args!("\n   #       time  {:<12}  {:<ARROW$}  server", "client", "states as seen from one place"),
    );
    line(text, format_args!("{:17}{:<12}  {:<ARROW$}  {}", "", states.client, "", states.server));
    for segment in &trace.segments {
        let changed = |before: State, after: State| if before == after { String::new() } else { after.to_string() };
        let client = changed(states.client, segment.states.client);
        let server = changed(states.server, segment.states.server);
        states = segment.states;
        let time = format!("{:.6}", segment.time);
        line(text, format_args!("{:>4} {time:>10}  {client:<12}  {}  {server}", segment.packet, arrow(segment)));
        let words = words(trace, segment);
        if !words.is_empty() {
            line(text, format_args!("{:31}{words}", ""));
        }
    }
}

/// `─ SYN ACK seq 0 ack 1 ────▶`.
fn arrow(segment: &Segment) -> String {
    let flags: Vec<String> = segment.flags.iter().map(Flag::to_string).collect();
    let mut label = format!(" {} seq {}", flags.join(" "), segment.seq);
    if let Some(ack) = segment.ack {
        write!(label, " ack {ack}").expect("a String takes everything");
    }
    if segment.len > 0 {
        write!(label, " len {}", segment.len).expect("a String takes everything");
    }
    let shaft = |used: usize| "─".repeat(ARROW.saturating_sub(used + label.chars().count() + 1).max(1));
    match segment.direction {
        Direction::ToServer => format!("─{label} {}▶", shaft(2)),
        Direction::ToClient => format!("◀{}{label} ─", shaft(2)),
    }
}

/// What a segment carries, and what is special about it.
fn words(trace: &Trace, segment: &Segment) -> String {
    let caption = trace.caption(segment);
    let marks = segment.marks.iter().map(Mark::to_string);
    let words: Vec<String> = Some(caption).filter(|caption| !caption.is_empty()).into_iter().chain(marks).collect();
    words.join("; ")
}

/// The frames of a direction, and the segments that each came in.
fn frames(trace: &Trace, direction: Direction, text: &mut String) {
    let flow = trace.flow(direction);
    let frames: Vec<&Frame> = trace.frames.iter().filter(|frame| frame.direction == direction).collect();
    let to = if direction == Direction::ToServer { "to the server" } else { "to the client" };
    line(text, format_args!("\nframes {to}: {} in {} bytes", frames.len(), flow.len));
    if let Some(first_frame) = flow.first_frame.filter(|first_frame| (1..=flow.len).contains(first_frame)) {
        line(text, format_args!("  the first {first_frame} bytes are before the first frame"));
    }
    if !frames.is_empty() {
        line(text, format_args!("   #    offset  header  payload  segments        {:<12}  payload as text", ""));
    }
    for frame in frames {
        line(text, format_args!("{}", row(trace, frame)));
    }
    end(flow, text);
    if let Some(reads) = &flow.reads {
        let sizes: Vec<String> = reads.iter().map(u64::to_string).collect();
        line(text, format_args!("  reads of the receiver: {}", sizes.join(", ")));
    }
}

/// The number of a segment's packet.
fn packet(trace: &Trace, index: usize) -> u64 {
    trace.segments.get(index).map_or(0, |segment| segment.packet)
}

fn row(trace: &Trace, frame: &Frame) -> String {
    let Frame { number, offset, header_len, payload_len, segments, .. } = frame;
    let numbers: Vec<String> = segments.iter().map(|index| packet(trace, *index).to_string()).collect();
    let segments = match &numbers[..] {
        [first, .., last] if numbers.len() > NAMED => format!("{first} to {last}: {}", numbers.len()),
        numbers => numbers.join(", "),
    };
    let mut how = Vec::new();
    how.extend((frame.trailer_len > 0).then(|| format!("trailer of {}", frame.trailer_len)));
    how.extend(frame.stuck.then(|| "stuck".to_owned()));
    how.extend(frame.split.then(|| "split".to_owned()));
    how.extend((frame.missing > 0).then(|| format!("{} B missing", frame.missing)));
    let shown = match &frame.text {
        Some(text) => format!("{text:?}"),
        None => format!("{}{}", frame.hex, if frame.payload_len > 16 { "…" } else { "" }),
    };
    format!(
        "{number:>4} {offset:>9}  {header_len:>6}  {payload_len:>7}  {segments:<14}  {:<12}  {shown}",
        how.join(", ")
    )
}

/// How the frames of a direction end, if not as they should.
fn end(flow: &Flow, text: &mut String) {
    let at = flow.end.offset;
    let what = match flow.end.kind {
        EndingKind::Whole => return,
        EndingKind::Unfinished => "the last frame is not whole",
        EndingKind::Malformed => "not a frame of this format",
        EndingKind::Missing => "bytes are missing",
        EndingKind::NoBoundary => "no frames",
        EndingKind::Encrypted => "encrypted",
    };
    line(text, format_args!("  at byte {at}: {what}: {}", flow.end.text));
}
