//! The plots of `BENCHMARKS.md`, readable on light and dark grounds.

use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::Group;
use super::cases::{CONNECTIONS, IN_FLIGHT, with_connections};
use super::figures::{Figures, median};
use super::goals::{CPU, TIME};
use super::peers::Kind;
use super::shared::contests::{ASYNCHRONOUS, HAND, TOKIO};
use super::shared::{PAYLOADS, bytes};
use crate::evidence::Done;
use crate::text::count;

/// Text follows the reader's colours.
const STYLE: &str =
    "<style>text { fill: #1f2328 } @media (prefers-color-scheme: dark) { text { fill: #f0f6fc } }</style>";
const GREY: RGBColor = RGBColor(128, 134, 142);
const COLOURS: [RGBColor; 5] =
    [RGBColor(9, 105, 218), RGBColor(207, 34, 46), RGBColor(130, 80, 223), GREY, RGBColor(154, 103, 0)];

/// A line: its name, and its points from left to right.
type Line = (String, Vec<(f64, f64)>);

/// Each plot's file name, title and SVG. What was not measured is left out.
pub(super) fn all(figures: &Figures) -> Done<[(&'static str, &'static str, String); 2]> {
    let title = "Decode: nanoseconds on the core for a frame, by its payload; less is better";
    let named = [("cursor", "unstick, cursor"), (TOKIO, TOKIO), ("feed", "unstick, feed"), (HAND, HAND)];
    let of = |(who, name): (&str, &str)| -> Line {
        // A payload stands where the length of its frame is, so that one of 0 can be shown, too.
        let point = |len: &usize| Some(((len + 4) as f64, median(figures.of(Group::Decode, &bytes(*len), who, TIME)?)));
        (name.into(), PAYLOADS.iter().filter_map(point).collect())
    };
    let lines: Vec<Line> = named.into_iter().chain([(ASYNCHRONOUS, ASYNCHRONOUS)]).map(of).collect();
    let ticks = PAYLOADS.map(|len| ((len + 4) as f64, bytes(len)));
    let decode = draw(title, &ticks, (1.0..2.0 * most(&lines)).log_scale(), &lines)?;
    let decode = ("decode.svg", title, decode);

    let title = "Server: CPU a frame in nanoseconds, by open connections, 10 frames in flight in all; less is better";
    let what = format!("{} in flight in all", IN_FLIGHT[0].0);
    let of = |kind: Kind| -> Line {
        let cpu = |count| figures.of(Group::Connections, &what, &with_connections(kind, count), CPU).map(median);
        (kind.name().into(), CONNECTIONS.iter().filter_map(|count| Some((*count as f64, cpu(*count)?))).collect())
    };
    let lines = [Kind::Ours, Kind::TokioFeed].map(of);
    let ticks = CONNECTIONS.map(|connections| (connections as f64, count(connections as u64)));
    Ok([decode, ("connections.svg", title, draw(title, &ticks, 0.0..1.3 * most(&lines), &lines)?)])
}

fn most(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(1.0, f64::max)
}

/// Draws lines over a logarithmic axis with these ticks.
fn draw<Y>(title: &str, ticks: &[(f64, String)], y: Y, lines: &[Line]) -> Done<String>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut svg = String::new();
    let name = |at: &f64| ticks.iter().find(|tick| tick.0 == *at).map_or(String::new(), |tick| tick.1.clone());
    let x = (ticks[0].0 / 1.15..ticks[ticks.len() - 1].0 * 1.15).log_scale();
    let x = x.with_key_points(ticks.iter().map(|tick| tick.0).collect());
    let area = SVGBackend::with_string(&mut svg, (760, 430)).into_drawing_area();
    let mut chart = ChartBuilder::on(&area);
    chart.margin(12).x_label_area_size(28).y_label_area_size(56).caption(title, ("sans-serif", 15));
    let mut chart = chart.build_cartesian_2d(x, y)?;
    let grid = GREY.mix(0.35);
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(grid).light_line_style(TRANSPARENT).axis_style(grid).x_label_formatter(&name).draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3));
        chart.draw_series(line)?.label(name).legend(sample);
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(TRANSPARENT).draw()?;
    area.present()?;
    drop((chart, area));
    let (tag, rest) = svg.split_once(">\n").ok_or("no SVG")?;
    Ok(format!("{tag}>\n{STYLE}\n{rest}"))
}
