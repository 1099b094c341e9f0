//! The upper half of a picture: two rails with the states of both ends, and an arrow for each segment between them.

use std::ops::Range;

use super::arrow::{HALF_FALL, arrow};
use super::bar::{HALF_BAR, bar};
use super::rows::{Row, half_close, micros};
use super::shape::{Anchor, Area, Shape, Text};
use super::sheet::Sheet;
use super::text::{clock, counted, fitted, grouped, mono_width, time, width, wrapped};
use super::words::{self, bytes, fate, flags, sender};
use crate::trace::{Direction, Flag, Segment, State, States, Trace};

/// The size of text on arrows, and of that beside the rails.
const SIZE: f64 = 12.0;
const SMALL: f64 = 11.0;
/// Between the lines of a caption.
const LINE: f64 = 16.0;
/// The boxes with the names of the ends.
const HEAD: f64 = 42.0;

/// One end: where its rail is, and from where on it is in which state. The name of a state is at the last of the three.
struct Rail {
    x: f64,
    changes: Vec<(f64, State, f64)>,
}

/// A height on each rail.
#[derive(Clone, Copy)]
struct Heights {
    client: f64,
    server: f64,
}

struct Ladder<'a> {
    trace: &'a Trace,
    sheet: &'a Sheet,
    client: Rail,
    server: Rail,
    states: States,
    shapes: Vec<Shape>,
    /// Where the half-close begins, and where it ends.
    half_close: [Option<Heights>; 2],
    y: f64,
}

/// The shapes of the rows below `top`, and where they end.
pub(super) fn ladder(trace: &Trace, rows: &[Row], sheet: &Sheet, top: f64) -> (Vec<Shape>, f64) {
    let y = top + HEAD + 18.0;
    let rail = |x, state| Rail { x, changes: vec![(y - 8.0, state, y)] };
    let client = rail(sheet.client, trace.states.client);
    let server = rail(sheet.server, trace.states.server);
    let (half_close, states) = ([None; 2], trace.states);
    let y = y + 16.0;
    let mut ladder = Ladder { trace, sheet, client, server, states, shapes: Vec::new(), half_close, y };
    for row in rows {
        match row {
            Row::Segment(index) => ladder.segment(*index),
            Row::Pause(gap) => ladder.pause(*gap),
            Row::LeftOut(range) => ladder.left_out(range.clone()),
            Row::HalfClosed(direction) => ladder.half_closed(*direction),
        }
    }
    ladder.finish(top)
}

impl Ladder<'_> {
    fn segment(&mut self, index: usize) {
        let (trace, sheet) = (self.trace, self.sheet);
        let segment = &trace.segments[index];
        let has_bar = !segment.runs.is_empty();
        let top = self.y;
        let label_y = top + if sheet.is_narrow { 30.0 } else { 14.0 };
        let middle = label_y + if has_bar { HALF_BAR + 9.0 } else { 14.0 };
        let mut shapes = number_and_time(segment, sheet, top + 14.0);
        shapes.extend(arrow(segment, sheet, middle));
        shapes.push(label(segment, sheet, label_y));
        shapes.extend(bar(trace, &segment.runs, sheet, middle));
        let mut bottom = middle + if has_bar { HALF_BAR } else { 4.0 };
        for caption in captions(trace, segment, sheet) {
            bottom += LINE;
            shapes.push(Text { y: bottom, ..caption }.into());
        }
        bottom = bottom.max(middle + HALF_FALL);
        self.shapes.push(Shape::Group { title: words::sentence(trace, segment), shapes });
        self.y = bottom + if self.turn(index, top + 14.0, middle, bottom + 15.0) { 30.0 } else { 14.0 };
    }

    /// The sender is in its new state when it has sent, the receiver when it has received. On a narrow sheet their names are
    /// above and below the arrow; returns whether there is one below.
    fn turn(&mut self, index: usize, above: f64, middle: f64, below: f64) -> bool {
        let segment = &self.trace.segments[index];
        let to_server = segment.direction == Direction::ToServer;
        let (sent, received) = (middle - HALF_FALL, middle + HALF_FALL);
        let at = match to_server {
            true => Heights { client: sent, server: received },
            false => Heights { client: received, server: sent },
        };
        let window = half_close(self.trace).unwrap_or(usize::MAX..usize::MAX);
        for (bound, of) in self.half_close.iter_mut().zip([window.start, window.end]) {
            if of == index {
                *bound = Some(at);
            }
        }
        let (sent_name, received_name) =
            if self.sheet.is_narrow { (above, below) } else { (sent + 4.0, received + 4.0) };
        let names = match to_server {
            true => Heights { client: sent_name, server: received_name },
            false => Heights { client: received_name, server: sent_name },
        };
        let before = self.states;
        self.change(segment.states, at, names);
        let receiver_changed = match to_server {
            true => before.server != segment.states.server,
            false => before.client != segment.states.client,
        };
        self.sheet.is_narrow && receiver_changed
    }

    fn change(&mut self, states: States, at: Heights, names: Heights) {
        if states.client != self.states.client {
            self.client.changes.push((at.client, states.client, names.client));
        }
        if states.server != self.states.server {
            self.server.changes.push((at.server, states.server, names.server));
        }
        self.states = states;
    }

    fn pause(&mut self, gap: u64) {
        let y = self.y + 12.0;
        self.break_rails(y);
        let text = Text::new(self.sheet.middle(), y + 4.0, Anchor::Middle, SIZE);
        let text = text.with("dim", "nothing for ").with("strong-dim", time(gap));
        let area = text.area();
        for (from, to) in [(self.sheet.client + 18.0, area.x - 12.0), (area.right() + 12.0, self.sheet.server - 18.0)] {
            self.shapes.push(Shape::line((from, y), (to, y), "pause"));
        }
        self.shapes.push(text.into());
        self.y += 30.0;
    }

    fn left_out(&mut self, range: Range<usize>) {
        let segments = &self.trace.segments[range];
        let y = self.y + 12.0;
        self.break_rails(y);
        let side = |direction: Direction| {
            let of_it = || segments.iter().filter(move |segment| segment.direction == direction);
            let len: u64 = of_it().map(|segment| segment.len).sum();
            format!("{} from the {} with {}", grouped(of_it().count() as u64), sender(direction), bytes(len))
        };
        let mut lines = vec![("strong-dim", format!("{} not drawn:", counted(segments.len(), "segment")))];
        lines.extend(Direction::BOTH.map(|direction| ("dim", side(direction))));
        for (index, (class, line)) in lines.into_iter().enumerate() {
            let y = y + 4.0 + LINE * index as f64;
            self.shapes.push(Text::new(self.sheet.middle(), y, Anchor::Middle, SIZE).with(class, line).into());
        }
        let at = Heights { client: y + 16.0, server: y + 16.0 };
        if let Some(last) = segments.last() {
            self.change(last.states, at, Heights { client: y + 48.0, server: y + 48.0 });
        }
        self.y += 66.0;
    }

    fn half_closed(&mut self, direction: Direction) {
        let text = Text::new(self.sheet.middle(), self.y + 10.0, Anchor::Middle, SIZE);
        let said = words::half_closed(direction);
        let text = if self.sheet.is_narrow { text } else { text.with("strong", "half-close: ") };
        self.shapes.push(text.with("", said).into());
        self.y += 24.0;
    }

    /// Two strokes through each rail: here time is left out.
    fn break_rails(&mut self, y: f64) {
        for x in [self.sheet.client, self.sheet.server] {
            self.shapes.push(Shape::rect(Area::new(x - 7.0, y - 4.0, 14.0, 8.0), 0.0, "gap"));
            for y in [y - 4.0, y + 4.0] {
                self.shapes.push(Shape::line((x - 8.0, y + 3.0), (x + 8.0, y - 3.0), "edge"));
            }
        }
    }

    /// Puts the rails below what is drawn on them.
    fn finish(self, top: f64) -> (Vec<Shape>, f64) {
        let sheet = self.sheet;
        let bottom = self.y + 10.0;
        let mut shapes = Vec::new();
        if let [Some(start), end] = self.half_close {
            let end = end.unwrap_or(Heights { client: bottom, server: bottom });
            let (left, right) = (sheet.client, sheet.server);
            let corners = [(left, start.client), (right, start.server), (right, end.server), (left, end.client)];
            shapes.push(Shape::path(&corners, true, "shade"));
        }
        if !sheet.is_narrow {
            for (x, anchor, name) in [(sheet.left, Anchor::Start, "packet"), (sheet.left + 92.0, Anchor::End, "time")] {
                shapes.push(Text::new(x, top + HEAD + 18.0, anchor, SMALL).with("dim", name).into());
            }
        }
        let addresses = [self.trace.client, self.trace.server].map(|address| address.to_string());
        shapes.extend(head(self.client.x, sheet, top, "client", &addresses[0]));
        shapes.extend(head(self.server.x, sheet, top, "server", &addresses[1]));
        shapes.extend(rail(&self.client, sheet, bottom));
        shapes.extend(rail(&self.server, sheet, bottom));
        let room = sheet.server - sheet.client - if sheet.is_narrow { 190.0 } else { 200.0 };
        for (index, line) in
            wrapped("Time runs down. States as one capture sees them.", room, SMALL).into_iter().enumerate()
        {
            let y = top + 14.0 + 14.0 * index as f64;
            shapes.push(Text::new(sheet.middle(), y, Anchor::Middle, SMALL).with("dim", line).into());
        }
        shapes.extend(self.shapes);
        (shapes, bottom)
    }
}

/// The name of an end, above its rail.
fn head(x: f64, sheet: &Sheet, top: f64, name: &str, address: &str) -> Vec<Shape> {
    let (width, size) = if sheet.is_narrow { (104.0, 9.5) } else { (176.0, 10.5) };
    let left = (x - width / 2.0).clamp(sheet.left - 8.0, sheet.right() + 8.0 - width);
    let address = fitted(address, width - 4.0, |text| mono_width(text, size));
    let middle = left + width / 2.0;
    vec![
        Shape::rect(Area::new(left, top, width, HEAD), 8.0, "end"),
        Text::new(middle, top + 18.0, Anchor::Middle, 14.0).with("strong", name).into(),
        Text::new(middle, top + 33.0, Anchor::Middle, size).with("code-dim", address).into(),
    ]
}

/// A rail, thick while it is open, and the names of its states: on its outer side, or on its inner one on a narrow sheet.
fn rail(rail: &Rail, sheet: &Sheet, bottom: f64) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let ends = rail.changes.iter().skip(1).map(|change| change.0).chain([bottom]);
    for ((y, state, _), end) in rail.changes.iter().zip(ends) {
        let class = match state {
            State::Closed | State::Listen => "rail",
            State::Established => "rail-open",
            _ => "rail-half",
        };
        shapes.push(Shape::line((rail.x, *y), (rail.x, end), class));
    }
    let to_left = (rail.x < sheet.middle()) != sheet.is_narrow;
    let (x, anchor) = if to_left { (rail.x - 13.0, Anchor::End) } else { (rail.x + 13.0, Anchor::Start) };
    for (index, (y, state, name_y)) in rail.changes.iter().enumerate() {
        if index > 0 {
            shapes.push(Shape::rect(Area::new(rail.x - 4.5, y - 4.5, 9.0, 9.0), 4.5, "dot"));
        }
        shapes.push(Text::new(x, *name_y, anchor, SMALL).with("strong", state.to_string()).into());
    }
    shapes
}

/// The number of a segment and its time: in columns of their own, or above the arrow on a narrow sheet.
fn number_and_time(segment: &Segment, sheet: &Sheet, y: f64) -> Vec<Shape> {
    let (number, time) = (segment.packet.to_string(), clock(micros(segment.time)));
    if sheet.is_narrow {
        let text = Text::new(sheet.middle(), y, Anchor::Middle, SMALL);
        return vec![text.with("strong", number).with("dim", " · ").with("code-dim", time).into()];
    }
    vec![
        Text::new(sheet.left, y, Anchor::Start, SIZE).with("strong", number).into(),
        Text::new(sheet.left + 92.0, y, Anchor::End, SMALL).with("code-dim", time).into(),
    ]
}

/// Flags, numbers and length, above the arrow.
fn label(segment: &Segment, sheet: &Sheet, y: f64) -> Shape {
    let strong = if segment.has(Flag::Rst) { "strong-bad" } else { "strong" };
    let size = if sheet.is_narrow { SMALL } else { SIZE };
    // Spaces that are kept, as XML makes one of several.
    let gap = if sheet.is_narrow { "\u{2002}" } else { "\u{2003}" };
    let mut text = Text::new(sheet.middle(), y, Anchor::Middle, size).with(strong, flags(segment));
    text = text.with("dim", format!("{gap}seq ")).with("code", segment.seq.to_string());
    if let Some(ack) = segment.ack {
        text = text.with("dim", format!("{gap}ack ")).with("code", ack.to_string());
    }
    if words::tells_window(segment) {
        text = text.with("dim", format!("{gap}window ")).with("code", segment.window.to_string());
    }
    if segment.len > 0 {
        text = text.with("dim", gap).with("strong", bytes(segment.len));
    }
    text.into()
}

/// What is below the arrow: what it carries, and what is special about it. Their `y` is not set.
fn captions(trace: &Trace, segment: &Segment, sheet: &Sheet) -> Vec<Text> {
    let text = || Text::new(sheet.middle(), 0.0, Anchor::Middle, SIZE);
    let mut lines = Vec::new();
    if !segment.runs.is_empty() {
        let fate = fate(trace, segment);
        let lead = if fate.is_empty() { String::new() } else { format!("{fate}: ") };
        let room = sheet.bar + 30.0 - width(&lead, SIZE) * 1.07;
        let said = fitted(&words::contents(trace, segment), room, |text| width(text, SIZE));
        lines.push(text().with("strong", lead).with("", said));
    }
    let marks = words::marks(segment);
    if !marks.is_empty() {
        let is_again = !segment.runs.is_empty() && segment.runs.iter().all(|run| run.again);
        let again = if is_again { ": not counted again" } else { "" };
        lines.push(text().with("strong-bad", marks.join(", ")).with("dim", again));
    }
    lines
}
