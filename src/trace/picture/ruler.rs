//! The lower half of a picture: the bytes of each direction, with the segments that brought them above the frames that they are.

use super::again::{Again, again};
use super::atoms::{Atom, TEXT_SIZE, area, atoms, frame_of, lines, read_edges, segment_of, shown_width};
use super::bytes::{Stretch, inner_edges};
use super::piece::{Look, piece};
use super::shape::{Anchor, Area, Shape, Text};
use super::sheet::Sheet;
use super::text::{counted, fitted, grouped, printable, width};
use super::words::{self, bytes, carried, receiver, sender};
use crate::trace::{Direction, Frame, Part, Run, Trace};

const SEGMENT: f64 = 22.0;
const FRAME: f64 = 34.0;
const READ: f64 = 20.0;
const AGAIN: f64 = 18.0;
const CAPTION: f64 = 11.5;

/// The shapes of a direction below `top`, and where they end. Nothing if it carried nothing.
pub(super) fn ruler(trace: &Trace, direction: Direction, sheet: &Sheet, top: f64) -> (Vec<Shape>, f64) {
    let lines = lines(&atoms(trace, direction), sheet);
    if lines.is_empty() {
        return (Vec::new(), top);
    }
    let mut y = top + 14.0;
    let title = format!("Bytes from the {} to the {}", sender(direction), receiver(direction));
    let mut shapes = vec![Text::new(sheet.left, y, Anchor::Start, 14.0).with("strong", title).into()];
    y += 18.0;
    let carried = Text::new(sheet.left, y, Anchor::Start, CAPTION).with("dim", carried(trace, direction));
    shapes.push(carried.into());
    y += 8.0;
    for atoms in &lines {
        let again = again(trace, direction, atoms);
        let line = Line { trace, direction, sheet, atoms, again, top: y };
        shapes.extend(line.shapes());
        y = line.bottom() + 12.0;
    }
    (shapes, y + 8.0)
}

/// One line of the ruler.
struct Line<'a> {
    trace: &'a Trace,
    direction: Direction,
    sheet: &'a Sheet,
    atoms: &'a [Atom],
    /// What was sent again of it, in rows.
    again: Vec<Vec<Again>>,
    top: f64,
}

impl Line<'_> {
    /// Above a segment is a bracket, if frames are stuck together in one.
    fn segments_top(&self) -> f64 {
        self.top + if self.atoms.iter().any(|atom| self.stuck(atom).is_some()) { 24.0 } else { 6.0 }
    }

    /// How many frames have new bytes in the segment of an atom, if several have.
    fn stuck(&self, atom: &Atom) -> Option<usize> {
        let segment = &self.trace.segments[atom.piece?.segment?];
        let new: Vec<Run> = segment.runs.iter().filter(|run| !run.again).copied().collect();
        Some(words::frames_in(&new)).filter(|count| *count > 1)
    }

    fn again_top(&self, row: usize) -> f64 {
        self.segments_top() + SEGMENT + 3.0 + (AGAIN + 3.0) * row as f64
    }

    fn frames_top(&self) -> f64 {
        self.again_top(self.again.len()) + 4.0
    }

    fn reads_top(&self) -> f64 {
        self.frames_top() + FRAME + 20.0
    }

    fn has_reads(&self) -> bool {
        self.trace.flow(self.direction).reads.is_some()
    }

    fn ticks_top(&self) -> f64 {
        if self.has_reads() { self.reads_top() + READ } else { self.frames_top() + FRAME + 16.0 }
    }

    fn bottom(&self) -> f64 {
        self.ticks_top() + 16.0
    }

    fn shapes(&self) -> Vec<Shape> {
        let mut shapes = self.names();
        shapes.extend(self.cuts());
        for atoms in self.atoms.chunk_by(|a, b| segment_of(a) == segment_of(b)) {
            shapes.extend(self.segment(atoms));
        }
        for atoms in self.atoms.chunk_by(|a, b| frame_of(a) == frame_of(b)) {
            shapes.extend(self.frame(atoms));
        }
        for (row, all) in self.again.iter().enumerate() {
            shapes.extend(all.iter().flat_map(|again| self.sent_again(again, self.again_top(row))));
        }
        shapes.extend(self.reads());
        shapes
    }

    /// The box of bytes that were sent again.
    fn sent_again(&self, again: &Again, y: f64) -> Vec<Shape> {
        let (left, right) = (self.x(again.offset), self.x(again.end));
        let area = Area::new(left, y, right - left, AGAIN);
        let labels =
            [format!("segment {} again", again.packet), format!("{} again", again.packet), again.packet.to_string()];
        let mut shapes = vec![Shape::rect(area, 4.0, "segment-again")];
        shapes.extend(first_that_fits(&labels, area, 13.0, "dim"));
        shapes
    }

    /// Where an offset is, which may be inside an atom.
    fn x(&self, offset: u64) -> f64 {
        let atom = self.atoms.iter().find(|atom| offset <= atom.end).unwrap_or(&self.atoms[self.atoms.len() - 1]);
        let share = offset.saturating_sub(atom.offset) as f64 / (atom.end - atom.offset).max(1) as f64;
        atom.x + atom.width * share.min(1.0)
    }

    /// The names of the rows. A narrow sheet has no room for them; what is in the rows says what it is.
    fn names(&self) -> Vec<Shape> {
        if self.sheet.is_narrow {
            return Vec::new();
        }
        let mut names = vec![("segments", self.segments_top() + 15.0), ("frames", self.frames_top() + 21.0)];
        names.extend((!self.again.is_empty()).then(|| ("sent again", self.again_top(0) + 13.0)));
        if self.has_reads() {
            names.push(("read()", self.reads_top() + 14.0));
        }
        names.push(("seq", self.ticks_top() + 12.0));
        let name = |(name, y)| Text::new(self.sheet.left, y, Anchor::Start, CAPTION).with("dim", name).into();
        names.into_iter().map(name).collect()
    }

    /// The box of a segment, and a bracket above it if frames are stuck together in it.
    fn segment(&self, atoms: &[Atom]) -> Vec<Shape> {
        let area = area(atoms, self.segments_top(), SEGMENT);
        let Some(index) = atoms[0].piece.and_then(|piece| piece.segment) else {
            return self.no_segment(atoms, area);
        };
        let segment = &self.trace.segments[index];
        // On the line before is what goes on here.
        let goes_on = segment.runs.iter().find(|run| !run.again).is_some_and(|run| run.offset < atoms[0].offset);
        let name = format!("{}segment {}", if goes_on { "… " } else { "" }, segment.packet);
        let labels = [format!("{name} · {}", bytes(segment.len)), name, segment.packet.to_string()];
        let mut shapes = vec![Shape::rect(area, 4.0, "segment")];
        shapes.extend(first_that_fits(&labels, area, 15.5, "strong"));
        if let Some(count) = self.stuck(&atoms[0]) {
            shapes.extend(bracket(area, count));
        }
        shapes
    }

    /// What stands where no segment is: bytes that are not drawn, or were not captured.
    fn no_segment(&self, atoms: &[Atom], area: Area) -> Vec<Shape> {
        let labels = match atoms[0].stretch {
            Stretch::LeftOut { segments, .. } if segments > 1 => vec![format!("… {} …", counted(segments, "segment"))],
            Stretch::LeftOut { .. } => vec!["…".to_owned()],
            Stretch::Drawn(_) => vec!["not captured".to_owned(), "?".to_owned()],
        };
        let mut shapes = vec![Shape::rect(area, 4.0, "segment-again")];
        shapes.extend(first_that_fits(&labels, area, 15.5, "dim"));
        shapes
    }

    fn frame(&self, atoms: &[Atom]) -> Vec<Shape> {
        let area = area(atoms, self.frames_top(), FRAME);
        if let Stretch::LeftOut { frames, len, .. } = atoms[0].stretch {
            let labels = vec![format!("… {}, {} …", counted(frames, "frame"), bytes(len)), format!("… {}", bytes(len))];
            let mut shapes = vec![Shape::rect(area, 4.0, "segment-again")];
            shapes.extend(first_that_fits(&labels, area, 21.0, "dim"));
            return shapes;
        }
        match atoms[0].piece.and_then(|piece| piece.frame) {
            Some(index) => self.whole_frame(&self.trace.frames[index], atoms, area),
            None => unframed(atoms, area),
        }
    }

    fn whole_frame(&self, frame: &Frame, atoms: &[Atom], area: Area) -> Vec<Shape> {
        let look = Look {
            frame: Some(frame.number),
            torn_left: atoms[0].offset > frame.offset,
            torn_right: atoms[atoms.len() - 1].end < frame.end(),
            hatched: frame.split,
            again: false,
        };
        let mut shapes = piece(area, look);
        let (lengths, rest): (Vec<&Atom>, Vec<&Atom>) = atoms.iter().partition(|atom| atom.is_length);
        if let (Some(first), Some(last)) = (lengths.first(), lengths.last()) {
            let header = Area::new(first.x, area.y, last.x + last.width - first.x, area.height);
            shapes.push(Shape::rect(header, 0.0, "length"));
            let labels = [format!("len {}", frame.payload_len), frame.payload_len.to_string()];
            shapes.extend(first_that_fits(&labels, header, 21.0, "code-frame"));
        }
        if let Some(first) = rest.first().filter(|first| first.offset == inner_edges(frame)[0]) {
            let payload = Area::new(first.x, area.y, area.right() - first.x, area.height);
            shapes.extend(payload_text(frame, payload));
        }
        let split = format!("#{} · split over {} segments", frame.number, frame.segments.len());
        let labels = match frame.split {
            true => vec![split, format!("#{} · split", frame.number), format!("#{}", frame.number)],
            false => vec![format!("#{}", frame.number)],
        };
        shapes.extend(first_that_fits(&labels, area, FRAME + 14.0, "strong-over"));
        shapes
    }

    /// What each read returned: bytes in order, without any edge of a frame.
    fn reads(&self) -> Vec<Shape> {
        let Some(sizes) = &self.trace.flow(self.direction).reads else { return Vec::new() };
        let edges = read_edges(self.trace, self.direction);
        let read_of = |atom: &Atom| edges.partition_point(|edge| *edge <= atom.offset);
        let mut shapes = Vec::new();
        for atoms in self.atoms.chunk_by(|a, b| read_of(a) == read_of(b)) {
            let first = read_of(&atoms[0]);
            let Some(size) = sizes.get(first) else { continue };
            let last = edges.partition_point(|edge| *edge < atoms[atoms.len() - 1].end);
            let labels = match last.saturating_sub(first) {
                0 => vec![format!("read → {}", bytes(*size)), format!("→ {size}"), size.to_string()],
                more => vec![format!("… {} …", counted(more + 1, "read")), "…".to_owned()],
            };
            let area = area(atoms, self.reads_top(), READ);
            shapes.push(Shape::rect(area, READ / 2.0, "read"));
            shapes.extend(first_that_fits(&labels, area, 14.0, "dim-over"));
        }
        shapes
    }

    /// Lines at the edges of segments, through all rows, with the sequence number of the byte behind each.
    fn cuts(&self) -> Vec<Shape> {
        let mut edges: Vec<(f64, u64)> = Vec::new();
        for atoms in self.atoms.chunk_by(|a, b| segment_of(a) == segment_of(b)) {
            edges.push((atoms[0].x, atoms[0].offset));
        }
        edges.extend(self.atoms.last().map(|last| (last.x + last.width, last.end)));
        let mut shapes = Vec::new();
        let mut free = f64::MIN;
        for (x, offset) in edges {
            shapes.push(Shape::line((x, self.segments_top() + SEGMENT), (x, self.ticks_top() + 3.0), "cut"));
            let label = Text::new(x, self.ticks_top() + 12.0, Anchor::Middle, 10.0);
            let label = label.with("code-dim", grouped(offset + 1)).inside(self.sheet.width);
            if label.area().x > free {
                free = label.area().right() + 4.0;
                shapes.push(label.into());
            }
        }
        shapes
    }
}

/// What holds frames together that are stuck.
fn bracket(area: Area, count: usize) -> Vec<Shape> {
    let (y, low) = (area.y - 8.0, area.y - 3.0);
    let corners = [(area.x + 2.0, low), (area.x + 2.0, y), (area.right() - 2.0, y), (area.right() - 2.0, low)];
    let labels =
        [format!("{count} frames stuck in one segment"), format!("{count} stuck in one"), format!("{count} stuck")];
    let mut shapes = vec![Shape::path(&corners, false, "bracket")];
    shapes.extend(first_that_fits(&labels, area, -12.0, "strong"));
    shapes
}

/// Bytes of no whole frame.
fn unframed(atoms: &[Atom], area: Area) -> Vec<Shape> {
    let Some(bytes_of) = atoms[0].piece else { return Vec::new() };
    let unfinished = bytes_of.part == Part::Unfinished;
    let mut shapes = piece(area, Look { torn_right: unfinished, ..Look::default() });
    let labels = match bytes_of.part {
        _ if bytes_of.segment.is_none() => ["bytes that were not captured", "not captured", "?"],
        Part::Encrypted => ["encrypted by TLS", "encrypted", "–"],
        Part::Unfinished => ["a frame that never ends", "never ends", "…"],
        Part::Unframed => ["bytes before any frame", "no frame", "–"],
        _ => ["bytes that are no frames", "no frames", "–"],
    };
    shapes.extend(first_that_fits(&labels.map(str::to_owned), area, 21.0, "dim-frame"));
    shapes
}

/// The payload as text, or its first bytes, as far as there is room.
fn payload_text(frame: &Frame, area: Area) -> Option<Shape> {
    let (known, is_all) = match &frame.text {
        Some(text) => (printable(text), text.len() as u64 >= frame.payload_len),
        None => (frame.hex.clone(), frame.hex.len() as u64 >= 2 * frame.payload_len),
    };
    let known = if is_all || known.is_empty() { known } else { known + "…" };
    let shown = fitted(&known, area.width, shown_width);
    let text = Text::new(area.x + 5.0, area.y + 21.0, Anchor::Start, TEXT_SIZE);
    (!shown.is_empty()).then(|| text.with("code-frame", shown).into())
}

/// The first of `labels` for which `area` is wide enough, in its middle, `down` pixels below its top.
fn first_that_fits(labels: &[String], area: Area, down: f64, class: &'static str) -> Option<Shape> {
    let fits = labels.iter().find(|label| !label.is_empty() && width(label, CAPTION) * 1.07 + 6.0 <= area.width)?;
    let text = Text::new(area.x + area.width / 2.0, area.y + down, Anchor::Middle, CAPTION);
    Some(text.with(class, fits.clone()).into())
}
