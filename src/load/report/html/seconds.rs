//! The seconds of a run, or of a long run longer spans.

use crate::load::meter::Interval;
use crate::load::outcome::Outcome;

/// The most spans that a chart shows.
const MOST: usize = 240;
/// What is shorter than this part of a span says too little.
const LEAST_PART: f64 = 0.2;

/// A part of the measured time.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// When it begins and how long it is, in seconds.
    pub(super) from: f64,
    pub(super) length: f64,
    /// The seconds that it is made of.
    pub(super) seconds: u64,
    pub(super) interval: Interval,
}

impl Span {
    pub(super) fn middle(&self) -> f64 {
        self.from + self.length / 2.0
    }

    pub(super) fn end(&self) -> f64 {
        self.from + self.length
    }

    /// So many of its frames a second.
    pub(super) fn a_second(&self, frames: u64) -> f64 {
        frames as f64 / self.length
    }

    /// The mean of what each second has one number of.
    pub(super) fn mean(&self, sum: u64) -> f64 {
        sum as f64 / self.seconds as f64
    }
}

/// The measured time in spans of a second, or of more in a long run.
pub(super) fn spans(outcome: &Outcome) -> Vec<Span> {
    let each = outcome.intervals.len().div_ceil(MOST).max(1);
    let mut spans: Vec<Span> = outcome
        .intervals
        .chunks(each)
        .enumerate()
        .map(|(index, intervals)| {
            let from = (index * each) as f64;
            let mut interval = Interval::default();
            intervals.iter().for_each(|one| interval.add(one));
            let length = (outcome.seconds - from).clamp(0.0, intervals.len() as f64);
            Span { from, length, seconds: intervals.len() as u64, interval }
        })
        .collect();
    spans.retain(|span| span.length >= LEAST_PART * each as f64);
    spans
}

/// A value of each span, as a line through their middles.
pub(super) fn through(spans: &[Span], value: impl Fn(&Span) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
    spans.iter().map(|span| (span.middle(), value(span))).collect()
}

/// A value of each span, as steps.
pub(super) fn steps(spans: &[Span], value: impl Fn(&Span) -> f64) -> Vec<(f64, Option<f64>)> {
    let end = spans.last().map(|span| (span.end(), Some(value(span))));
    spans.iter().map(|span| (span.from, Some(value(span)))).chain(end).collect()
}

/// The end of the axis of time.
pub(super) fn end(spans: &[Span]) -> f64 {
    spans.last().map_or(1.0, Span::end)
}
