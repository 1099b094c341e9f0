//! The head of the page: the verdict in a sentence, what is wrong, and the numbers that matter most.

use super::escape::escape;
use super::{curve, origin};
use crate::load::compare::Comparison;
use crate::load::curve::Curve;
use crate::load::outcome::{Outcome, Verdict};
use crate::load::plan::{Pacing, Reply};
use crate::load::report::text;
use crate::load::results::Results;
use crate::load::show::{count, duration, plural};
use crate::load::sweep::Swept;

pub(super) fn header(results: &Results, shown: &Outcome) -> String {
    let (class, badge) = badge(results.verdict);
    let (sentence, lede) = (escape(&sentence(results, shown)), escape(&lede(results, shown)));
    let said_above = results.verdict == Verdict::ExpectationMissed && results.failures.len() == 1;
    let failures = if said_above { &[][..] } else { &results.failures };
    let failures: String = failures.iter().map(|failure| format!("<li>{}</li>\n", escape(failure))).collect();
    let failures = if failures.is_empty() { failures } else { format!("<ul class=\"failures\">\n{failures}</ul>\n") };
    format!(
        "<header>\n<p class=\"where\">{}</p>\n<h1><span class=\"badge {class}\">{badge}</span> {sentence}</h1>\n\
         <p class=\"lede\">{lede}</p>\n{failures}{}</header>\n",
        escape(&origin::when_and_where(shown)),
        figures(shown)
    )
}

/// A class and a word; the sign says the same without colour.
fn badge(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Verified => ("good", "✓ Verified"),
        Verdict::Incomplete => ("warn", "… Incomplete"),
        Verdict::ExpectationMissed => ("bad", "✗ Expectation missed"),
        Verdict::NotAsAsked => ("warn", "! Not measured as asked"),
        Verdict::Wrong => ("bad", "✗ Wrong"),
    }
}

/// The one thing to know.
fn sentence(results: &Results, shown: &Outcome) -> String {
    if let Some(curve) = &results.curve {
        return of_curve(curve);
    }
    if let Some(comparison) = &results.comparison {
        return of_comparison(comparison);
    }
    match &results.runs[..] {
        [] | [_] => of_run(results, shown),
        runs => {
            let verified = runs.iter().filter(|run| run.verdict == Verdict::Verified).count();
            let frames: u64 = runs.iter().map(|run| run.frames_verified).sum();
            format!("{verified} of {} verified, with {} right replies.", plural(runs.len(), "run"), count(frames))
        }
    }
}

fn of_run(results: &Results, shown: &Outcome) -> String {
    match (results.verdict, &results.failures[..]) {
        (Verdict::Verified, _) => capitalised(&text::right(shown)) + ".",
        (Verdict::ExpectationMissed, [one]) => format!("{one}."),
        (Verdict::ExpectationMissed, several) => format!("{} missed.", plural(several.len(), "expectation")),
        (Verdict::Incomplete, _) => format!("Interrupted after {}.", duration((shown.seconds * 1e9) as u64)),
        (Verdict::NotAsAsked, _) => "What was asked for was not measured.".into(),
        (Verdict::Wrong, _) => match shown.frames_wrong + shown.frames_lost {
            0 => "The server did wrong.".into(),
            _ => format!(
                "{} frames were wrong, and {} did not come.",
                count(shown.frames_wrong),
                count(shown.frames_lost)
            ),
        },
    }
}

fn of_curve(curve: &Curve) -> String {
    let limits: Vec<String> = curve.limits.iter().map(ToString::to_string).collect();
    let limits = if limits.is_empty() { String::new() } else { format!(" with {}", limits.join(" and ")) };
    let named = |value: f64| {
        let at_it = curve.points.iter().rev().find(|point| point.value == value);
        at_it.map_or_else(|| count(value as u64), |point| curve::value(curve, &point.outcome))
    };
    match (curve.knee, curve.greatest_held()) {
        (Some(knee), _) => format!("It takes up to {}{limits}.", named(knee)),
        (None, Some(held)) => format!("A run kept up at {}{limits}, but that is not confirmed.", named(held)),
        (None, None) => format!("It kept up at none of {}{limits}.", plural(curve.points.len(), "run")),
    }
}

fn of_comparison(comparison: &Comparison) -> String {
    let names = |wanted: bool| -> Vec<&str> {
        let seen = comparison.differences.iter().filter(|it| it.seen && it.is_better() == wanted);
        seen.map(|it| it.measure.as_str()).collect()
    };
    match (&names(true)[..], &names(false)[..]) {
        ([], []) => "No difference from the baseline is seen.".into(),
        (better, []) => format!("Better than the baseline: {}.", better.join(", ")),
        ([], worse) => format!("Worse than the baseline: {}.", worse.join(", ")),
        (better, worse) => {
            format!("Worse than the baseline: {}. Better: {}.", worse.join(", "), better.join(", "))
        }
    }
}

/// What the numbers say, in words.
fn lede(results: &Results, shown: &Outcome) -> String {
    let which = match (&results.curve, results.runs.len()) {
        (Some(curve), _) if curve.swept != Swept::Rate => format!("With {}: ", curve::value(curve, shown)),
        (_, 0 | 1) => String::new(),
        _ => "In the run in the middle: ".into(),
    };
    let right = match (results.verdict, &results.curve, &results.comparison) {
        (Verdict::Verified, None, None) => String::new(),
        _ => format!("{}. ", capitalised(&text::right(shown))),
    };
    let answered = count(shown.frames_per_second.round() as u64);
    let load = match shown.plan.pacing {
        Pacing::Open { rate, .. } => {
            format!("{} frames/s were asked for and {answered} answered", count(rate as u64))
        }
        Pacing::Closed if shown.plan.reply == Reply::None => {
            format!("{} frames/s were sent", count(shown.rate_reached as u64))
        }
        Pacing::Closed => format!("{answered} frames/s were answered, the next one sent when a reply had come"),
    };
    let quantile = |quantile| shown.response_ns.quantile(quantile).map(duration);
    let times = match (quantile(0.5), quantile(0.99), quantile(1.0)) {
        (Some(half), Some(most), Some(all)) => {
            format!(". Half of the replies came within {half}, 99 of 100 within {most}, and the slowest took {all}.")
        }
        _ => ".".into(),
    };
    let kept_back =
        if results.runs.len() < 2 && results.curve.is_none() { text::notes(shown).join(". ") } else { String::new() };
    let notes = if kept_back.is_empty() { kept_back } else { format!(" {}.", capitalised(&kept_back)) };
    format!("{right}{}", capitalised(&format!("{which}{load}{times}{notes}")))
}

/// The numbers that matter most, large.
fn figures(shown: &Outcome) -> String {
    let quantile = |name, quantile| Some((name, duration(shown.response_ns.quantile(quantile)?)));
    let rate = match shown.plan.reply {
        Reply::None => ("sent", shown.rate_reached),
        _ => ("answered", shown.frames_per_second),
    };
    let figures = [
        Some((rate.0, format!("{} /s", count(rate.1.round() as u64)))),
        quantile("p50", 0.5),
        quantile("p99", 0.99),
        quantile("p99.9", 0.999),
        quantile("slowest", 1.0),
    ];
    let figures = figures.into_iter().flatten().map(|(name, value)| {
        let value = escape(&value);
        let (number, unit) = value.split_once(' ').unwrap_or((&value, ""));
        format!("<div><dt>{name}</dt><dd>{number}<span class=\"unit\"> {unit}</span></dd></div>\n")
    });
    format!("<dl class=\"figures\">\n{}</dl>\n", figures.collect::<String>())
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
