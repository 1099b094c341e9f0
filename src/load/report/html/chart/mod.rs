//! A chart as SVG: two axes, and on them lines, rules, a mark and points. It is drawn twice, for a desktop and for a
//! phone, and the page shows the one that fits, so that text has the same height on both.

mod label;
mod line;
mod rows;
mod scale;
mod unit;

use std::fmt::Write;

use super::escape::escape;
use label::{Label, apart};
use line::path;

pub(super) use line::Shape;
pub(super) use rows::{Interval, Row, Rows};
pub(super) use scale::Scale;
pub(super) use unit::Unit;

/// What a chart is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Screen {
    Wide,
    Narrow,
}

/// One of the two axes.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Empty where the numbers of the axis below say enough.
    pub(super) name: &'static str,
    pub(super) scale: Scale,
    pub(super) unit: Unit,
}

/// How lines differ: in colour, and in grey by their strokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// One of the colours of the page, 1 to 4.
    pub(super) colour: u8,
    pub(super) stroke: Stroke,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
    Dotted,
    DashDotted,
    /// One of many lines that are alike.
    Thin,
}

impl Stroke {
    fn class(self) -> &'static str {
        match self {
            Stroke::Solid => "solid",
            Stroke::Dashed => "dashed",
            Stroke::Dotted => "dotted",
            Stroke::DashDotted => "dashdot",
            Stroke::Thin => "thin",
        }
    }
}

/// A line with its name at its end.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Empty for a line that needs no name.
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) shape: Shape,
    /// In the order of the axis below; a value that is not there leaves a gap.
    pub(super) points: Vec<(f64, Option<f64>)>,
    /// Each point has a dot.
    pub(super) has_dots: bool,
}

impl Line {
    pub(super) fn new(name: impl Into<String>, colour: u8, stroke: Stroke, points: Vec<(f64, Option<f64>)>) -> Line {
        Line { name: name.into(), style: Style { colour, stroke }, shape: Shape::Straight, points, has_dots: false }
    }

    /// Its values that are there.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }
}

/// A chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Its height on a desktop.
    pub(super) height: f64,
    pub(super) lines: Vec<Line>,
    /// A vertical line where something is, with its name.
    pub(super) marks: Vec<(f64, String)>,
    /// What is said of it to those who do not see it.
    pub(super) described: String,
}

/// Heights of charts on a desktop.
pub(super) const TALL: f64 = 340.0;
pub(super) const LOW: f64 = 210.0;

/// Where the axes are, in units of the picture.
#[derive(Clone, Copy, Debug)]
struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// From one baseline to the next.
const LINE_HEIGHT: f64 = 16.0;

impl Frame {
    /// The same for all charts, so that those over time stand one above the other.
    fn new(screen: Screen, height: f64, has_name: bool) -> Frame {
        let below = if has_name { 42.0 } else { 26.0 };
        let (width, height, left, room) = match screen {
            Screen::Wide => (880.0, height, 66.0, 104.0),
            Screen::Narrow => (358.0, (0.78 * height).max(190.0), 52.0, 84.0),
        };
        Frame { width, height, left, right: width - room, top: 28.0, bottom: height - below }
    }

    fn x(&self, part: f64) -> f64 {
        self.left + part * (self.right - self.left)
    }

    fn y(&self, part: f64) -> f64 {
        self.bottom - part * (self.bottom - self.top)
    }
}

impl Chart {
    /// The chart for both, of which the page's style shows one.
    pub(super) fn draw(&self) -> String {
        [Screen::Wide, Screen::Narrow].map(|screen| self.draw_for(screen)).concat()
    }

    fn draw_for(&self, screen: Screen) -> String {
        let frame = Frame::new(screen, self.height, !self.x.name.is_empty());
        let class = if screen == Screen::Wide { "wide" } else { "narrow" };
        let described = escape(&self.described);
        let (width, height) = (frame.width, frame.height);
        let mut svg = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{described}\">\n"
        );
        self.draw_axes(&mut svg, frame, screen);
        for line in &self.lines {
            self.draw_line(&mut svg, frame, line);
        }
        self.draw_marks(&mut svg, frame);
        self.name_lines(&mut svg, frame);
        svg + "</svg>\n"
    }

    fn draw_axes(&self, svg: &mut String, frame: Frame, screen: Screen) {
        let Frame { left, right, top, bottom, .. } = frame;
        let rows = ((bottom - top) / 28.0) as usize;
        for tick in self.y.scale.ticks(rows) {
            let (y, text) = (frame.y(self.y.scale.at(tick)), escape(&self.y.unit.tick(tick)));
            _ = writeln!(svg, "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>");
            _ = writeln!(svg, "<text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", left - 8.0, y + 4.0);
        }
        let columns = if screen == Screen::Wide { 10 } else { 4 };
        let is_nines = matches!(self.x.scale, Scale::Nines { .. });
        let mut free_from = f64::MIN;
        for tick in self.x.scale.ticks(columns) {
            let (x, text) = (frame.x(self.x.scale.at(tick)), self.x.unit.tick(tick));
            let half = 3.6 * text.chars().count() as f64;
            if is_nines {
                _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>");
            } else {
                _ = writeln!(svg, "<path class=\"notch\" d=\"M{x:.1} {bottom:.1}v5\"/>");
            }
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 8.0;
            _ = writeln!(
                svg,
                "<text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 18.0,
                escape(&text)
            );
        }
        _ = writeln!(svg, "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        _ = writeln!(svg, "<text class=\"name\" x=\"0\" y=\"12\">{}</text>", escape(self.y.name));
        let y = bottom + 36.0;
        _ = writeln!(svg, "<text class=\"name end\" x=\"{right:.1}\" y=\"{y:.1}\">{}</text>", escape(self.x.name));
    }

    fn draw_line(&self, svg: &mut String, frame: Frame, line: &Line) {
        let points: Vec<(f64, Option<f64>)> = line
            .points
            .iter()
            .map(|(x, y)| (frame.x(self.x.scale.at(*x)), y.map(|y| frame.y(self.y.scale.at(y)))))
            .collect();
        let Style { colour, stroke } = line.style;
        _ = writeln!(svg, "<path class=\"line c{colour} {}\" d=\"{}\"/>", stroke.class(), path(&points, line.shape));
        if line.has_dots {
            for (x, y) in points.iter().filter_map(|(x, y)| Some((*x, (*y)?))) {
                _ = writeln!(svg, "<circle class=\"dot c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
            }
        }
    }

    fn draw_marks(&self, svg: &mut String, frame: Frame) {
        for (at, name) in &self.marks {
            let (x, Frame { top, bottom, .. }) = (frame.x(self.x.scale.at(*at)), frame);
            // On the side where there is more room.
            let (class, x_of_name) =
                if x > (frame.left + frame.right) / 2.0 { ("end", x - 6.0) } else { ("", x + 6.0) };
            _ = writeln!(svg, "<path class=\"mark\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>");
            let y = top + 12.0;
            _ = writeln!(
                svg,
                "<text class=\"label {class}\" x=\"{x_of_name:.1}\" y=\"{y:.1}\">{}</text>",
                escape(name)
            );
        }
    }

    /// The name of each line at its end, with a piece of the line before it, and none over another.
    fn name_lines(&self, svg: &mut String, frame: Frame) {
        let last = |line: &Line| line.points.iter().rev().find_map(|(_, value)| *value);
        let named = self.lines.iter().filter(|line| !line.name.is_empty());
        let labels = named.filter_map(|line| Some(Label { at: frame.y(self.y.scale.at(last(line)?)), line }));
        for Label { at, line } in apart(labels.collect(), LINE_HEIGHT, frame.top, frame.bottom) {
            let Style { colour, stroke } = line.style;
            let x = frame.right + 6.0;
            _ = writeln!(svg, "<path class=\"line c{colour} {}\" d=\"M{x:.1} {at:.1}h16\"/>", stroke.class());
            let (x, y) = (x + 21.0, at + 4.0);
            _ = writeln!(svg, "<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&line.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_two_pictures_with_lines_ticks_and_names() {
        let axis = |name, scale, unit| Axis { name, scale, unit };
        let points = vec![(0.0, Some(1e6)), (1.0, None), (2.0, Some(f64::NAN)), (3.0, Some(2e6))];
        let chart = Chart {
            x: axis("time", Scale::up_to(3.0), Unit::Clock),
            y: axis("response", Scale::ratios([1e6, 2e6].into_iter()), Unit::Time),
            height: TALL,
            lines: vec![Line::new("p99 <b>", 1, Stroke::Dashed, points)],
            marks: vec![(2.0, "here".into())],
            described: "a \"test\"".into(),
        };
        let svg = chart.draw();
        assert_eq!(svg.matches("<svg ").count(), 2);
        for part in
            [">1 ms<", ">3 s<", ">p99 &lt;b&gt;<", ">here<", "aria-label=\"a &quot;test&quot;\"", "line c1 dashed"]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
