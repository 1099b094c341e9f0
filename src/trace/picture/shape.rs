//! What a picture is made of: text, boxes, lines and paths, in pixels from the picture's top left corner.

use super::text::{mono_width, width};

/// A rectangle without a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn new(x: f64, y: f64, width: f64, height: f64) -> Area {
        Area { x, y, width, height }
    }

    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// What of a text is at its `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A part of a text that looks the same. The classes are those of `style.css`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// One line of text; `y` is its baseline.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    pub(super) spans: Vec<Span>,
}

impl Text {
    pub(super) fn new(x: f64, y: f64, anchor: Anchor, size: f64) -> Text {
        Text { x, y, anchor, size, spans: Vec::new() }
    }

    /// Adds text of the look `class`; a class that starts with `code` is in a face of equally wide characters.
    pub(super) fn with(mut self, class: &'static str, text: impl Into<String>) -> Text {
        self.spans.push(Span { class, text: text.into() });
        self
    }

    pub(super) fn width(&self) -> f64 {
        let measured = |span: &Span| match span.class.starts_with("code") {
            true => mono_width(&span.text, self.size),
            // Bold text is wider.
            false if span.class.starts_with("strong") => width(&span.text, self.size) * 1.07,
            false => width(&span.text, self.size),
        };
        self.spans.iter().map(measured).sum()
    }

    /// Where its characters are: from the top of the tall ones to the bottom of those that hang below the line.
    pub(super) fn area(&self) -> Area {
        let width = self.width();
        let x = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2.0,
            Anchor::End => self.x - width,
        };
        Area::new(x, self.y - 0.8 * self.size, width, self.size)
    }
}

/// A part of a picture. Later ones are drawn over earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Text(Text),
    Box {
        area: Area,
        radius: f64,
        class: String,
    },
    /// The data of an SVG path.
    Path {
        data: String,
        class: String,
    },
    /// Shapes that belong together; a pointer over them shows `title`.
    Group {
        title: String,
        shapes: Vec<Shape>,
    },
}

impl Shape {
    pub(super) fn rect(area: Area, radius: f64, class: impl Into<String>) -> Shape {
        Shape::Box { area, radius, class: class.into() }
    }

    pub(super) fn line(from: (f64, f64), to: (f64, f64), class: impl Into<String>) -> Shape {
        let data = format!("M{} {}L{} {}", number(from.0), number(from.1), number(to.0), number(to.1));
        Shape::Path { data, class: class.into() }
    }

    pub(super) fn path(points: &[(f64, f64)], is_closed: bool, class: impl Into<String>) -> Shape {
        let mut data = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            data.push(if index == 0 { 'M' } else { 'L' });
            data.push_str(&format!("{} {}", number(*x), number(*y)));
        }
        if is_closed {
            data.push('Z');
        }
        Shape::Path { data, class: class.into() }
    }
}

impl From<Text> for Shape {
    fn from(text: Text) -> Shape {
        Shape::Text(text)
    }
}

/// A coordinate with at most one digit after the point.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A picture before it is written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}
