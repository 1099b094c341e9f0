//! Rows on one axis of changes: a name, an interval, and what it says.

use std::fmt::Write;

use super::scale::Scale;
use super::unit::Unit;
use super::{Screen, escape};

/// A change and its bounds: 0 is none, 0.1 is 10 % more.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Interval {
    pub(in super::super) low: f64,
    pub(in super::super) value: f64,
    pub(in super::super) high: f64,
}

/// A row.
#[derive(Clone, Debug)]
pub(in super::super) struct Row {
    pub(in super::super) name: String,
    pub(in super::super) interval: Interval,
    /// A filled dot, or a hollow one.
    pub(in super::super) is_seen: bool,
    /// What it says.
    pub(in super::super) text: String,
}

/// A chart of rows.
#[derive(Clone, Debug)]
pub(in super::super) struct Rows {
    pub(in super::super) name: &'static str,
    pub(in super::super) rows: Vec<Row>,
    pub(in super::super) described: String,
}

/// From one row to the next: a line of text and the interval below it.
const ROW: f64 = 48.0;
const TOP: f64 = 8.0;
/// The greatest change that is drawn to scale: three times as much.
const MOST: f64 = 2.0;

impl Rows {
    /// The chart for a desktop and for a phone, of which the page's style shows one.
    pub(in super::super) fn draw(&self) -> String {
        [Screen::Wide, Screen::Narrow].map(|screen| self.draw_for(screen)).concat()
    }

    fn draw_for(&self, screen: Screen) -> String {
        let (class, width) = if screen == Screen::Wide { ("wide", 880.0) } else { ("narrow", 358.0) };
        let bottom = TOP + ROW * self.rows.len() as f64;
        let height = bottom + 42.0;
        let (left, right) = (16.0, width - 24.0);
        let scale = self.scale();
        let x = |change: f64| left + scale.at(change) * (right - left);
        let described = escape(&self.described);
        let mut svg = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{described}\">\n"
        );
        for tick in scale.ticks(if screen == Screen::Wide { 9 } else { 5 }) {
            let (x, text) = (x(tick), escape(&Unit::Change.tick(tick)));
            let class = if tick == 0.0 { "mark" } else { "grid" };
            _ = writeln!(svg, "<path class=\"{class}\" d=\"M{x:.1} {TOP:.1}V{bottom:.1}\"/>");
            _ = writeln!(svg, "<text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>", bottom + 18.0);
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * index as f64 + 34.0;
            let Interval { low, value, high } = row.interval;
            let [low, middle, high] = [low, value, high].map(x);
            let (text, change) = (escape(&row.text), escape(&Unit::Change.tick((value * 1000.0).round() / 1000.0)));
            let name = escape(&row.name);
            _ = writeln!(
                svg,
                "<text class=\"label halo\" x=\"0\" y=\"{:.1}\"><tspan class=\"strong\">{name}</tspan> {change}, {text}</text>",
                y - 14.0
            );
            _ = writeln!(svg, "<path class=\"line c1 solid\" d=\"M{low:.1} {y:.1}H{high:.1}\"/>");
            _ = writeln!(
                svg,
                "<path class=\"line c1 solid\" d=\"M{low:.1} {:.1}v10M{high:.1} {:.1}v10\"/>",
                y - 5.0,
                y - 5.0
            );
            let class = if row.is_seen { "dot c1" } else { "dot hollow c1" };
            _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"5\"/>");
        }
        let name = escape(self.name);
        _ = writeln!(svg, "<text class=\"name end\" x=\"{right:.1}\" y=\"{:.1}\">{name}</text>", bottom + 36.0);
        svg + "</svg>\n"
    }

    /// As far below 0 as above.
    fn scale(&self) -> Scale {
        let changes = self.rows.iter().flat_map(|row| [row.interval.low, row.interval.high]);
        let greatest = changes.map(f64::abs).fold(0.01, f64::max).min(MOST);
        let Scale::Linear { to, .. } = Scale::from_zero(greatest) else { return Scale::up_to(1.0) };
        Scale::Linear { from: -to, to }
    }
}
