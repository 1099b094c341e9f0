//! Pictures of a trace: time and states above, bytes below. One as SVG, any number as a page of HTML.
//!
//! A picture stands alone: no script, no font and no image from elsewhere. It follows the reader's choice of light or dark.

mod again;
mod arrow;
mod atoms;
mod bar;
mod bytes;
mod ladder;
mod legend;
mod page;
mod piece;
mod render;
mod rows;
mod ruler;
mod shape;
mod sheet;
mod text;
mod words;

pub use page::page;

use self::render::Frame;
use self::shape::{Anchor, Area, Layout, Shape, Text};
use self::sheet::Sheet;
use crate::trace::{Direction, Trace};

/// The look of all pictures.
const STYLE: &str = include_str!("style.css");

/// A trace, and what its picture says above it.
///
/// ```no_run
/// # fn trace() -> unstick::trace::Trace { unimplemented!() }
/// use unstick::trace::picture::Picture;
/// let trace = trace();
/// let picture = Picture { name: "greeting", title: "A greeting", lesson: "One frame, one segment.", trace: &trace };
/// std::fs::write("greeting.svg", picture.svg())?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// A short name, which begins the ids in the picture: pictures of one page have different names.
    pub name: &'a str,
    /// What is seen.
    pub title: &'a str,
    /// What it teaches, in a sentence or two; may be empty.
    pub lesson: &'a str,
    /// What is drawn.
    pub trace: &'a Trace,
}

impl Picture<'_> {
    /// The picture as an SVG file. The same trace gives the same file.
    ///
    /// However long the connection is, the picture is bounded: it says what it leaves out.
    pub fn svg(&self) -> String {
        self.drawn(&Sheet::WIDE, &self.id(), Some(STYLE))
    }

    fn drawn(&self, sheet: &Sheet, id: &str, style: Option<&str>) -> String {
        let description = self.description();
        let frame = Frame { id, title: self.title, description: &description, style };
        render::svg(&layout(self, sheet), &frame)
    }

    /// Its name as far as an id can have it.
    fn id(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        format!("trace-{}", self.name.chars().map(kept).collect::<String>())
    }

    /// The picture in words: its lesson, and a sentence for each segment that it shows.
    fn description(&self) -> String {
        let mut said = self.lesson.to_owned();
        for row in rows::rows(self.trace) {
            let sentence = match row {
                rows::Row::Segment(index) => words::sentence(self.trace, &self.trace.segments[index]),
                rows::Row::Pause(gap) => format!("Nothing for {}.", text::time(gap)),
                rows::Row::LeftOut(range) => format!("{} not drawn.", text::counted(range.len(), "segment")),
                rows::Row::HalfClosed(direction) => format!("Half-close: {}.", words::half_closed(direction)),
            };
            said.push('\n');
            said.push_str(&sentence);
        }
        said
    }
}

/// Where everything is: heading, ladder, a ruler for each direction, legend.
fn layout(picture: &Picture<'_>, sheet: &Sheet) -> Layout {
    let trace = picture.trace;
    let (mut shapes, y) = heading(picture, sheet);
    let (ladder, bottom) = ladder::ladder(trace, &rows::rows(trace), sheet, y);
    shapes.extend(ladder);
    let mut y = bottom + 30.0;
    for direction in Direction::BOTH {
        let (ruler, bottom) = ruler::ruler(trace, direction, sheet, y);
        shapes.extend(ruler);
        y = bottom + if bottom > y { 14.0 } else { 0.0 };
    }
    let (legend, bottom) = legend::legend(trace, sheet, y);
    shapes.extend(legend);
    let height = bottom + 24.0;
    let paper = Area::new(0.5, 0.5, sheet.width - 1.0, height - 1.0);
    shapes.insert(0, Shape::rect(paper, 12.0, "paper"));
    Layout { width: sheet.width, height, shapes }
}

/// Title and lesson, and where the rest begins.
fn heading(picture: &Picture<'_>, sheet: &Sheet) -> (Vec<Shape>, f64) {
    let mut shapes = Vec::new();
    let mut y = 20.0;
    let texts = [("title", picture.title, sheet.title, 1.07), ("dim", picture.lesson, sheet.lesson, 1.0)];
    for (class, text, size, wider) in texts {
        for line in text::wrapped(&text::printable(text), sheet.room() / wider, size) {
            y += (size * 1.4).round();
            shapes.push(Text::new(sheet.left, y, Anchor::Start, size).with(class, line).into());
        }
        y += 4.0;
    }
    (shapes, y + 22.0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The places of all texts of a layout.
    fn texts(shapes: &[Shape], found: &mut Vec<(Area, String)>) {
        for shape in shapes {
            match shape {
                Shape::Text(text) if text.width() > 0.0 => {
                    found.push((text.area(), text.spans.iter().map(|span| span.text.as_str()).collect()));
                }
                Shape::Group { shapes, .. } => texts(shapes, found),
                _ => {}
            }
        }
    }

    fn overlap(a: Area, b: Area) -> bool {
        a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
    }

    /// No text is over another one, and none is outside the picture, in all examples and at both widths.
    #[test]
    fn texts_have_room() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
        let mut count = 0;
        for entry in fs::read_dir(folder).expect("the examples") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let trace = serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("a trace");
            let picture = Picture {
                name: "a",
                title: "A picture with a long title, which goes over a line of a narrow sheet",
                lesson: "A sentence that tells what it teaches, and another one. Both are so long that they are broken.",
                trace: &trace,
            };
            for sheet in [Sheet::WIDE, Sheet::NARROW] {
                check(&layout(&picture, &sheet), &path.display().to_string());
            }
            count += 1;
        }
        assert!(count >= 8, "{count}");
    }

    fn check(layout: &Layout, name: &str) {
        let mut found = Vec::new();
        texts(&layout.shapes, &mut found);
        let mut wrong = Vec::new();
        for (index, (area, text)) in found.iter().enumerate() {
            let is_inside = area.x >= 0.0 && area.right() <= layout.width && area.bottom() <= layout.height;
            if !is_inside {
                wrong.push(format!("{text:?} is outside: {area:?}"));
            }
            for (other, other_text) in found[..index].iter().filter(|(other, _)| overlap(*area, *other)) {
                wrong.push(format!("{other_text:?} {other:?} and {text:?} {area:?}"));
            }
        }
        assert!(wrong.is_empty(), "{name}, {} wide: {wrong:#?}", layout.width);
    }
}
