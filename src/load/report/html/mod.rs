//! What runs showed, as one page of HTML that needs nothing else: no script, no font, no network.

mod chart;
mod comparison;
mod connections;
mod curve;
mod escape;
mod figure;
mod in_flight;
mod lag;
mod numbers;
mod origin;
mod percentiles;
mod rate;
mod seconds;
mod server;
mod spectrum;
mod verdict;

use crate::load::outcome::Outcome;
use crate::load::results::Results;
use escape::escape;

const STYLE: &str = include_str!("style.css");

/// The outcome of a run as a page of HTML: the verdict, charts with a line that explains each, the numbers, and the
/// command.
///
/// The page is one file that needs no script and no network; it follows the reader's choice of dark or light, and fits
/// a phone. All that comes from elsewhere, such as what a server said, is text on it and never markup.
pub fn html(outcome: &Outcome) -> String {
    results_html(&Results::of_runs(vec![outcome.clone()]))
}

/// The same of several runs: laid over each other, with their curve, and beside the runs of before.
pub fn results_html(results: &Results) -> String {
    let Some(shown) = shown(results) else { return document("unstick load", "<main><p>No run.</p></main>") };
    let sections = [
        verdict::header(results, shown),
        results.curve.as_ref().map(curve::figures).unwrap_or_default(),
        results.comparison.as_ref().map(comparison::figure).unwrap_or_default(),
        spectrum::figure(results, shown),
        over_time(results, shown),
        connections::figure(shown),
        numbers::tables(results, shown),
        origin::footer(shown),
    ];
    document(&format!("Load of {}", origin::target(&shown.plan)), &format!("<main>\n{}</main>", sections.concat()))
}

/// The run that is shown in detail: of runs of one plan the one in the middle by its 99th percentile, else the one at
/// the knee of the curve.
fn shown(results: &Results) -> Option<&Outcome> {
    let at_the_knee = results.curve.as_ref().and_then(|curve| {
        let knee = curve.points.iter().rev().find(|point| Some(point.value) == curve.knee);
        knee.or(curve.points.last()).map(|point| &point.outcome)
    });
    middle(&results.runs).or(at_the_knee)
}

/// The run in the middle by the 99th percentile of its response times.
fn middle(runs: &[Outcome]) -> Option<&Outcome> {
    let mut runs: Vec<&Outcome> = runs.iter().collect();
    runs.sort_by_key(|run| run.response_ns.quantile(0.99));
    runs.get(runs.len().checked_sub(1)? / 2).copied()
}

/// Second by second.
fn over_time(results: &Results, shown: &Outcome) -> String {
    let spans = seconds::spans(shown);
    if spans.len() < 2 {
        return String::new();
    }
    let figures = [
        percentiles::figure(&spans),
        rate::figure(shown, &spans),
        lag::figure(&spans),
        in_flight::figure(shown, &spans),
        server::figures(shown),
    ];
    let which = match (&results.curve, results.runs.len()) {
        (Some(curve), _) => format!(": the run at {}", curve::value(curve, shown)),
        (_, 0 | 1) => String::new(),
        (_, runs) => format!(": of {runs} runs, the one in the middle by its 99th percentile"),
    };
    format!("<h2>Second by second{}</h2>\n{}", escape(&which), figures.concat())
}

fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    )
}
