//! Line charts as SVG, readable on light and dark grounds.

use std::fmt::Write;

use super::table::bytes;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;
/// The area of the lines: left, top, right, bottom.
const AREA: (f64, f64, f64, f64) = (64.0, 92.0, 736.0, 372.0);

/// A chart. Its lines are drawn in the order of their names; the first ones are ours.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) x_label: &'static str,
    pub(super) y_label: &'static str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    /// One of the classes of [`STYLE`].
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// From where to where an axis goes, and its ticks.
#[derive(Debug)]
pub(super) struct Axis {
    log: bool,
    range: (f64, f64),
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A logarithmic axis whose ticks are given; it begins and ends a little before and behind them.
    pub(super) fn log(ticks: Vec<(f64, String)>) -> Axis {
        let first = ticks.first().map_or(1.0, |(at, _)| *at);
        let last = ticks.last().map_or(10.0, |(at, _)| *at);
        Axis { log: true, range: (first / 1.15, last * 1.15), ticks }
    }

    /// A logarithmic axis over whole decades that hold all the values.
    pub(super) fn decades(values: impl Iterator<Item = f64> + Clone, name: fn(f64) -> String) -> Axis {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let most = values.fold(f64::MIN_POSITIVE, f64::max).log10().ceil() as i32;
        let ticks: Vec<_> = (least..=most).map(|power| 10_f64.powi(power)).map(|at| (at, name(at))).collect();
        Axis { log: true, range: (10_f64.powi(least), 10_f64.powi(most)), ticks }
    }

    /// A linear axis from 0 on, with four to eight ticks at round numbers.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, name: fn(f64) -> String) -> Axis {
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let magnitude = 10_f64.powf(most.log10().floor());
        let steps = [0.1, 0.2, 0.5, 1.0, 2.0].map(|step| step * magnitude);
        let step = steps.into_iter().find(|step| most / step <= 7.0).unwrap_or(magnitude);
        let count = (most / step).ceil() as usize;
        let ticks = (0..=count).map(|index| index as f64 * step).map(|at| (at, name(at))).collect();
        Axis { log: false, range: (0.0, count as f64 * step), ticks }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.log { value.ln() } else { value };
        let (from, to) = (scale(self.range.0), scale(self.range.1));
        (scale(value) - from) / (to - from)
    }
}

/// Nanoseconds with their unit.
pub(super) fn nanoseconds(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        1e6.. => format!("{} ms", value / 1e6),
        1e3.. => format!("{} µs", value / 1e3),
        _ => format!("{value} ns"),
    }
}

/// A tick for each payload, at the length of its frame: so that a payload of 0 can be shown, too.
pub(super) fn payload_ticks(payloads: impl Iterator<Item = usize>) -> Vec<(f64, String)> {
    payloads.map(|len| ((len + 4) as f64, bytes(len))).collect()
}

const STYLE: &str = "
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.quiet { fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.ours { stroke: #0969da; stroke-width: 3 } circle.ours { fill: #0969da }
.ours2 { stroke: #8250df; stroke-width: 3 } circle.ours2 { fill: #8250df }
.hand { stroke: #59636e; stroke-dasharray: 2 4 } circle.hand { fill: #59636e }
.tokio { stroke: #cf222e; stroke-dasharray: 9 4 } circle.tokio { fill: #cf222e }
.other { stroke: #9a6700; stroke-dasharray: 9 3 2 3 } circle.other { fill: #9a6700 }
circle { stroke: none !important }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .ours { stroke: #4493f8 } circle.ours { fill: #4493f8 }
  .ours2 { stroke: #ab7df8 } circle.ours2 { fill: #ab7df8 }
  .hand { stroke: #9198a1 } circle.hand { fill: #9198a1 }
  .tokio { stroke: #f85149 } circle.tokio { fill: #f85149 }
  .other { stroke: #d29922 } circle.other { fill: #d29922 }
}
";

impl Plot {
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>",
            escaped(self.title)
        );
        text(&mut svg, (24.0, 26.0), "start", "title", self.title);
        self.draw_legend(&mut svg);
        self.draw_axes(&mut svg);
        self.lines.iter().rev().for_each(|line| self.draw_line(&mut svg, line));
        svg.push_str("</svg>\n");
        svg
    }

    /// A piece of each line with its name, in a row.
    fn draw_legend(&self, svg: &mut String) {
        let mut x = 24.0;
        for Line { name, class, .. } in &self.lines {
            _ = writeln!(svg, "<path class=\"line {class}\" d=\"M{x:.1} 48h24\"/>");
            _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"48\" r=\"3.5\"/>", x + 12.0);
            text(svg, (x + 31.0, 52.5), "start", "name", name);
            // A letter is at most so wide on average, in any font.
            x += 31.0 + 7.6 * name.chars().count() as f64 + 14.0;
        }
    }

    fn draw_axes(&self, svg: &mut String) {
        let (left, top, right, bottom) = AREA;
        for (at, name) in &self.y.ticks {
            let y = self.y(*at);
            _ = writeln!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>");
            text(svg, (left - 8.0, y + 4.5), "end", "quiet", name);
        }
        for (at, name) in &self.x.ticks {
            let x = self.x(*at);
            _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {bottom}v5\"/>");
            text(svg, (x, bottom + 21.0), "middle", "quiet", name);
        }
        text(svg, (left, top - 14.0), "start", "quiet", self.y_label);
        text(svg, (left.midpoint(right), bottom + 45.0), "middle", "quiet", self.x_label);
    }

    fn draw_line(&self, svg: &mut String, Line { class, points, .. }: &Line) {
        let places: Vec<(f64, f64)> = points.iter().map(|(x, y)| (self.x(*x), self.y(*y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        _ = writeln!(svg, "<path class=\"line {class}\" d=\"M{}\"/>", path.join("L"));
        for (x, y) in places {
            _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
        }
    }

    fn x(&self, value: f64) -> f64 {
        AREA.0 + self.x.place(value) * (AREA.2 - AREA.0)
    }

    fn y(&self, value: f64) -> f64 {
        AREA.3 - self.y.place(value) * (AREA.3 - AREA.1)
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
    let text = escaped(text);
    _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values() {
        let decades = Axis::decades([2.5, 30_000.0].into_iter(), nanoseconds);
        let names: Vec<&str> = decades.ticks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs"]);
        assert!((decades.place(1.0), decades.place(1e5)) == (0.0, 1.0));
        for most in [0.7, 1.0, 3.2, 6.9, 4321.0, 9999.0] {
            let axis = Axis::from_zero([most, 0.1].into_iter(), nanoseconds);
            assert!((5..=9).contains(&axis.ticks.len()), "{most}: {:?}", axis.ticks);
            assert!(axis.place(most) > 0.8 && axis.place(most) <= 1.0, "{most}: {:?}", axis.range);
        }
    }

    #[test]
    fn every_line_is_drawn_inside_of_its_area() {
        let plot = Plot {
            title: "a < b",
            x_label: "x",
            y_label: "y",
            x: Axis::log(payload_ticks([0, 64, 1024].into_iter())),
            y: Axis::from_zero([7.0].into_iter(), nanoseconds),
            lines: vec![Line { name: "one".into(), class: "ours", points: vec![(4.0, 0.0), (1028.0, 7.0)] }],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && svg.contains("1 KiB") && svg.contains("0 B"), "{svg}");
        let (left, top, right, bottom) = AREA;
        for (x, y) in [(plot.x(4.0), plot.y(0.0)), (plot.x(1028.0), plot.y(7.0))] {
            assert!((left..=right).contains(&x) && (top..=bottom).contains(&y), "{x} {y}");
        }
    }
}
