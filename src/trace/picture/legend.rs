//! What the signs of a picture mean: those that it has, each with a sample.

use super::arrow::cross;
use super::piece::{Look, number, piece};
use super::rows::half_close;
use super::shape::{Anchor, Area, Shape, Text};
use super::sheet::Sheet;
use super::text::{printable, width, wrapped};
use super::words::{meaning_of_flag, meaning_of_mark, meaning_of_state, receiver, sender};
use crate::trace::{Direction, Flag, Note, Segment, Trace};

const SAMPLE: f64 = 84.0;
/// The least width of the words of a table, and their size.
const NAME: f64 = 106.0;
const NAME_SIZE: f64 = 11.0;
const SIZE: f64 = 11.5;
const LINE: f64 = 16.0;
/// Between columns.
const GUTTER: f64 = 28.0;
const NOTES: usize = 12;

/// A sign, its name, and its meaning.
type Item = (Sample, &'static str, &'static str);

#[derive(Clone, Copy)]
enum Sample {
    Numbers,
    Rails,
    Frame,
    Stuck,
    Split,
    Read,
    Again,
    Reset,
    HalfClose,
}

/// The shapes of the legend below `top`, and where they end.
pub(super) fn legend(trace: &Trace, sheet: &Sheet, top: f64) -> (Vec<Shape>, f64) {
    let mut shapes = vec![Shape::line((sheet.left, top), (sheet.right(), top), "rule")];
    let title = Text::new(sheet.left, top + 28.0, Anchor::Start, 14.0).with("strong", "How to read it");
    shapes.push(title.into());
    let mut bottoms = vec![top + 42.0; sheet.columns];
    for item in items(trace) {
        // The column that is the shortest, the first one of equal ones.
        let (column, y) = (0..sheet.columns)
            .map(|column| (column, bottoms[column]))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .expect("a column");
        bottoms[column] += item_shapes(item, column_x(sheet, column), y, column_width(sheet), &mut shapes);
    }
    let mut bottom = bottoms.into_iter().fold(top, f64::max);
    for (title, words) in [
        ("Flags of a segment", flags(trace)),
        ("States of an end", states(trace)),
        ("What is special about a segment", marks(trace)),
    ] {
        if !words.is_empty() {
            bottom = table(title, &words, sheet, bottom + 8.0, &mut shapes);
        }
    }
    let bottom = notes(trace, sheet, bottom, &mut shapes);
    (shapes, bottom)
}

fn column_width(sheet: &Sheet) -> f64 {
    let count = sheet.columns as f64;
    (sheet.room() - GUTTER * (count - 1.0)) / count
}

fn column_x(sheet: &Sheet, column: usize) -> f64 {
    sheet.left + column as f64 * (column_width(sheet) + GUTTER)
}

/// What is explained: what this picture has.
fn items(trace: &Trace) -> Vec<Item> {
    let again = |segment: &Segment| segment.runs.iter().any(|run| run.again);
    let has_reads = trace.to_server.reads.is_some() || trace.to_client.reads.is_some();
    let mut items = vec![
        (
            Sample::Numbers,
            "seq and ack",
            "seq numbers the first byte sent, ack the byte that is awaited next. SYN and FIN take one number each.",
        ),
        (Sample::Rails, "the rails", "Thick: established. Dashed: opening or closing. Dotted: no connection."),
    ];
    let mut add = |is_there: bool, item: Item| items.extend(is_there.then_some(item));
    add(
        !trace.frames.is_empty(),
        (
            Sample::Frame,
            "a frame",
            "Its length, then so many bytes of payload. #1 is the first one of its direction. Colours only tell frames apart.",
        ),
    );
    add(
        trace.frames.iter().any(|frame| frame.stuck),
        (
            Sample::Stuck,
            "stuck (粘包)",
            "Several frames in one segment. The length in front of each says where it ends.",
        ),
    );
    add(
        trace.frames.iter().any(|frame| frame.split),
        (
            Sample::Split,
            "split (分包)",
            "One frame in several segments: hatched, and torn where it goes on in another one.",
        ),
    );
    add(has_reads, (Sample::Read, "read()", "What one call returned to the program: bytes, with no edge of a frame."));
    add(
        half_close(trace).is_some(),
        (Sample::HalfClose, "half-close", "One end has sent its FIN, the other has not: bytes still go one way."),
    );
    add(
        trace.segments.iter().any(again),
        (Sample::Again, "sent again", "Bytes that an earlier segment carried, too. They are not counted again."),
    );
    add(
        trace.segments.iter().any(|segment| segment.has(Flag::Rst)),
        (
            Sample::Reset,
            "reset",
            "The connection is gone at once, in both directions, and what was on its way is lost.",
        ),
    );
    items
}

/// Draws an item and returns its height.
fn item_shapes((sign, name, meaning): Item, x: f64, y: f64, width: f64, shapes: &mut Vec<Shape>) -> f64 {
    shapes.extend(sample(sign, Area::new(x, y + 4.0, SAMPLE, 22.0)));
    let text_x = x + SAMPLE + 14.0;
    shapes.push(Text::new(text_x, y + 12.0, Anchor::Start, SIZE).with("strong", name).into());
    let lines = wrapped(meaning, width - SAMPLE - 14.0, SIZE);
    for (index, line) in lines.iter().enumerate() {
        let y = y + 12.0 + LINE * (index + 1) as f64;
        shapes.push(Text::new(text_x, y, Anchor::Start, SIZE).with("dim", line).into());
    }
    LINE * lines.len() as f64 + 28.0
}

fn sample(sample: Sample, area: Area) -> Vec<Shape> {
    let (left, right) = (area.x, area.right());
    let middle = area.y + area.height / 2.0;
    match sample {
        Sample::Frame => sample_frame(area),
        Sample::Stuck => {
            let corners = [(left, area.y + 3.0), (left, area.y - 2.0), (right, area.y - 2.0), (right, area.y + 3.0)];
            let mut shapes = vec![Shape::path(&corners, false, "bracket")];
            shapes.extend(two(area, Look::default(), 0.0, [1, 2], 6.0));
            shapes
        }
        Sample::Split => {
            let look = Look { hatched: true, ..Look::default() };
            two(area, look, 12.0, [3, 3], 0.0)
        }
        Sample::Read => vec![Shape::rect(area, 10.0, "read")],
        Sample::Again => {
            let bar = Area::new(left + 22.0, area.y + 2.0, 40.0, 18.0);
            let mut shapes = vec![Shape::line((left, middle), (right, middle), "arrow-again")];
            shapes.push(Shape::rect(bar, 0.0, "gap"));
            shapes.push(Shape::rect(bar, 0.0, "segment-again"));
            shapes
        }
        Sample::Reset => sample_reset(left, right, middle),
        Sample::HalfClose => vec![Shape::rect(area, 0.0, "shade")],
        Sample::Numbers => {
            let text = Text::new(left, middle + 4.0, Anchor::Start, SIZE);
            vec![text.with("dim", "seq ").with("code", "1").with("dim", "  ack ").with("code", "28").into()]
        }
        Sample::Rails => [("rail-open", 0.0), ("rail-half", 9.0), ("rail", 18.0)]
            .map(|(class, down)| Shape::line((left, area.y + 2.0 + down), (right, area.y + 2.0 + down), class))
            .into(),
    }
}

fn sample_frame(area: Area) -> Vec<Shape> {
    let mut shapes = piece(area, Look { frame: Some(1), ..Look::default() });
    shapes.push(Shape::rect(Area::new(area.x, area.y, 34.0, area.height), 0.0, "length"));
    let text = |x, text| Text::new(x, area.y + 15.0, Anchor::Start, 11.0).with("code-frame", text);
    shapes.push(text(area.x + 4.0, "len").into());
    shapes.push(text(area.x + 42.0, "hello").into());
    shapes
}

/// Two pieces, torn towards each other if there is a gap between them.
fn two(area: Area, look: Look, gap: f64, frames: [u64; 2], down: f64) -> Vec<Shape> {
    let width = (area.width - gap) / 2.0;
    let mut shapes = Vec::new();
    for (index, frame) in frames.into_iter().enumerate() {
        let x = area.x + index as f64 * (width + gap);
        let part = Area::new(x, area.y + down, width, area.height - down);
        let torn = gap > 0.0;
        let look = Look { frame: Some(frame), torn_right: torn && index == 0, torn_left: torn && index == 1, ..look };
        shapes.extend(piece(part, look));
        shapes.extend(number(part, frame, false));
    }
    shapes
}

fn sample_reset(left: f64, right: f64, y: f64) -> Vec<Shape> {
    let mut shapes = vec![Shape::line((left, y), (right - 8.0, y), "arrow-bad")];
    shapes.push(Shape::path(&[(right, y), (right - 11.0, y - 4.5), (right - 11.0, y + 4.5)], true, "head-bad"));
    shapes.extend(cross((right - 32.0, y)));
    shapes
}

/// A word and its meaning.
type Word = (String, &'static str);

/// The words that occur, each once, in the order in which they do.
fn words<T: Copy + PartialEq + ToString>(all: impl Iterator<Item = T>, meaning: fn(T) -> &'static str) -> Vec<Word> {
    let mut seen: Vec<T> = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen.into_iter().map(|one| (one.to_string(), meaning(one))).collect()
}

fn flags(trace: &Trace) -> Vec<Word> {
    words(trace.segments.iter().flat_map(|segment| segment.flags.iter().copied()), meaning_of_flag)
}

fn states(trace: &Trace) -> Vec<Word> {
    let all = [trace.states].into_iter().chain(trace.segments.iter().map(|segment| segment.states));
    words(all.flat_map(|both| [both.client, both.server]), meaning_of_state)
}

fn marks(trace: &Trace) -> Vec<Word> {
    words(trace.segments.iter().flat_map(|segment| segment.marks.iter().copied()), meaning_of_mark)
}

/// Words and their meanings below each other, in the columns of the sheet.
fn table(title: &str, words: &[Word], sheet: &Sheet, top: f64, shapes: &mut Vec<Shape>) -> f64 {
    shapes.push(Text::new(sheet.left, top + 12.0, Anchor::Start, SIZE).with("dim", title).into());
    let widest = words.iter().map(|(word, _)| width(word, NAME_SIZE) * 1.07).fold(0.0, f64::max);
    let name = (widest + 12.0).max(NAME);
    let mut bottom = top;
    for (column, words) in words.chunks(words.len().div_ceil(sheet.columns)).enumerate() {
        let (x, mut y) = (column_x(sheet, column), top + 12.0);
        for (word, meaning) in words {
            y += 18.0;
            shapes.push(Text::new(x, y, Anchor::Start, NAME_SIZE).with("strong", word).into());
            for (index, line) in wrapped(meaning, column_width(sheet) - name, SIZE).into_iter().enumerate() {
                y += if index > 0 { LINE } else { 0.0 };
                shapes.push(Text::new(x + name, y, Anchor::Start, SIZE).with("dim", line).into());
            }
        }
        bottom = f64::max(bottom, y + 8.0);
    }
    bottom
}

/// What else is to be known of the trace.
fn notes(trace: &Trace, sheet: &Sheet, top: f64, shapes: &mut Vec<Shape>) -> f64 {
    let text = |note: &Note| match note.segment.and_then(|index| trace.segments.get(index)) {
        Some(segment) => format!("Segment {}: {}.", segment.packet, printable(&note.text)),
        None => printable(&note.text),
    };
    let mut texts: Vec<String> = trace.notes.iter().take(NOTES).map(text).collect();
    for direction in Direction::BOTH {
        let end = &trace.flow(direction).end.text;
        if !end.is_empty() {
            texts.push(format!("From the {} to the {}: {}.", sender(direction), receiver(direction), printable(end)));
        }
    }
    if trace.notes.len() > NOTES {
        texts.push(format!("{} more notes are left out.", trace.notes.len() - NOTES));
    }
    let mut y = top;
    for text in texts {
        y += 4.0;
        for line in wrapped(&text, sheet.room(), SIZE) {
            y += LINE;
            shapes.push(Text::new(sheet.left, y, Anchor::Start, SIZE).with("", line).into());
        }
    }
    y
}
