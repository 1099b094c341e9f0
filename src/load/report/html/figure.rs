//! A chart with its heading, and the line under it that explains it.

use super::chart::Chart;
use super::escape::escape;

/// The chart with what it is and how to read it.
pub(super) fn figure(heading: &str, chart: &Chart, explained: &str) -> String {
    let (heading, explained) = (escape(heading), escape(explained));
    format!("<figure>\n<h3>{heading}</h3>\n{}<figcaption>{explained}</figcaption>\n</figure>\n", chart.draw())
}
