//! Several runs as tables: runs of one plan, a comparison, a curve.

use crate::load::compare::{Comparison, Difference};
use crate::load::curve::{Curve, Point};
use crate::load::outcome::Outcome;
use crate::load::plan::Reply;
use crate::load::results::Results;
use crate::load::show::{count, duration, plural};
use crate::load::sweep::Swept;

use super::text::{labelled, load, shout, text};

/// Failures that are shown; the rest are in the JSON.
const FAILURES_SHOWN: usize = 10;
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// The results as text: the verdict, what is wrong, and the numbers. A single run is shown as
/// [`text`](super::text::text) does.
pub fn results_text(results: &Results) -> String {
    match (&results.runs[..], &results.curve, &results.comparison) {
        (_, Some(curve), _) => curve_text(results, curve),
        ([run], None, None) => text(run),
        (runs, None, None) => runs_text(results, runs),
        (runs, None, Some(comparison)) => {
            format!("{}\n\n{}", comparison_text(comparison, results), runs_text(results, runs))
        }
    }
}

/// What a run was, in a line: what was asked, and what came of it.
pub fn line(outcome: &Outcome) -> String {
    let asked = match outcome.rate_asked {
        Some(rate) => format!("{} frames/s asked", count(rate.round() as u64)),
        None => plural(outcome.plan.connections, "connection"),
    };
    let p99 = outcome.response_ns.quantile(0.99).map_or(String::new(), |p99| format!(", p99 {}", duration(p99)));
    let failure = outcome.failures.first().map_or(String::new(), |failure| format!("   ! {failure}"));
    format!("{asked}: {} frames/s{p99}{failure}", count(outcome.frames_per_second.round() as u64))
}

fn failures(results: &Results) -> Vec<String> {
    let mut lines: Vec<String> =
        results.failures.iter().take(FAILURES_SHOWN).map(|failure| format!("  ! {failure}")).collect();
    let more = results.failures.len().saturating_sub(FAILURES_SHOWN);
    if more > 0 {
        lines.push(format!("  ! {more} more, in the JSON"));
    }
    lines
}

fn runs_text(results: &Results, runs: &[Outcome]) -> String {
    let all = |of: fn(&Outcome) -> u64| count(runs.iter().map(of).sum());
    let right = match runs.first().map(|run| run.plan.reply) {
        Some(Reply::None) => format!("{} frames sent, no reply expected", all(|run| run.frames_sent)),
        _ => format!("{} frames verified", all(|run| run.frames_verified)),
    };
    let mut lines = vec![format!("{}{right}, in {}", shout(results.verdict), plural(runs.len(), "run"))];
    lines.extend(failures(results));
    lines.extend(runs.first().map(|run| labelled("load", &load(run))));
    lines.push(format!("  {:>12}{}", "run", heads()));
    lines.extend(runs.iter().enumerate().map(|(index, run)| format!("  {:>12}{}", index + 1, numbers(run))));
    lines.join("\n")
}

/// What stands above [`numbers`].
fn heads() -> String {
    let quantiles: String = QUANTILES.iter().map(|(name, _)| format!("{name:>11}")).collect();
    format!("{:>13}{quantiles}", "frames/s")
}

fn numbers(run: &Outcome) -> String {
    let quantile = |(_, quantile): &(&str, f64)| run.response_ns.quantile(*quantile).map_or("-".into(), duration);
    let quantiles: String = QUANTILES.iter().map(|it| format!("{:>11}", quantile(it))).collect();
    format!("{:>13}{quantiles}", count(run.frames_per_second.round() as u64))
}

fn comparison_text(comparison: &Comparison, results: &Results) -> String {
    let (before, after) = (results.baseline.len(), results.runs.len());
    let mut lines =
        vec![format!("{}, beside {} before: {}", plural(after, "run"), count(before as u64), comparison.sentence())];
    lines.push(format!(
        "  {:<16}{:>13}{:>13}   {:<26}{:>6}",
        "median of", "before", "after", "ratio (95 % interval)", "p"
    ));
    lines.extend(comparison.differences.iter().map(difference));
    lines.extend(comparison.notes.iter().map(|note| format!("  * {note}")));
    lines.join("\n")
}

fn difference(difference: &Difference) -> String {
    let Difference { measure, ratio, p, .. } = difference;
    let show = |value: f64| match &*difference.unit {
        "ns" => duration(value as u64),
        _ => count(value.round() as u64),
    };
    let (before, after) = difference.medians();
    let ratio = format!("{:.3} ({:.3} to {:.3})", ratio.value, ratio.low, ratio.high);
    let p = if *p < 0.0005 { "<0.001".into() } else { format!("{p:.3}") };
    let verdict = match difference.runs_needed {
        _ if difference.is_better() => "better".into(),
        _ if difference.seen => "worse".into(),
        Some(needed) => {
            format!("no difference seen; {} a side would show one of this size", plural(needed as usize, "run"))
        }
        None => "no difference seen".into(),
    };
    format!("  {measure:<16}{:>13}{:>13}   {ratio:<26}{p:>6}   {verdict}", show(before), show(after))
}

fn curve_text(results: &Results, curve: &Curve) -> String {
    let mut lines = vec![headline(results, curve)];
    // What failed is beside its value, but for what ends the runs.
    if results.verdict.is_unusable() {
        lines.extend(failures(results));
    }
    lines.extend(curve.points.first().map(|point| labelled("load", &load(&point.outcome))));
    let what = if curve.swept == Swept::Rate { "asked" } else { "connections" };
    lines.push(format!("  {what:>12}{}", heads()));
    let mut points: Vec<&Point> = curve.points.iter().collect();
    points.sort_by(|one, other| one.value.total_cmp(&other.value));
    lines.extend(points.into_iter().map(|point| {
        let mark = if Some(point.value) == curve.knee { ">" } else { " " };
        let why = point.outcome.failures.first().map_or(String::new(), |failure| format!("   ! {failure}"));
        format!(" {mark}{:>12}{}{why}", count(point.value.round() as u64), numbers(&point.outcome))
    }));
    lines.extend(generator_was_the_limit(curve).map(|note| format!("  * {note}")));
    lines.join("\n")
}

/// Where what failed first was our own lateness, and not the server's.
fn generator_was_the_limit(curve: &Curve) -> Option<String> {
    let above = |point: &&Point| !point.holds() && curve.knee.is_none_or(|knee| point.value > knee);
    let failed = curve.points.iter().filter(above);
    let first = failed.min_by(|one, other| one.value.total_cmp(&other.value))?;
    let run = &first.outcome;
    let (own, response) = (run.own_lag_ns.quantile(0.99)?, run.response_ns.quantile(0.99)?);
    (own > response / 2).then(|| {
        format!(
            "at {} the generator itself was late, by {} or more with 1 % of the frames: it is the limit there, and not the server. \
             Give it more --threads, or cores of its own",
            count(first.value.round() as u64),
            duration(own)
        )
    })
}

fn headline(results: &Results, curve: &Curve) -> String {
    let mut limits: Vec<String> = vec!["measured as asked".into(), "every byte right".into()];
    limits.extend(curve.limits.iter().map(ToString::to_string));
    let limits = limits.join(", ");
    let unit = if curve.swept == Swept::Rate { "frames/s" } else { "connections" };
    let number = |value: f64| format!("{} {unit}", count(value.round() as u64));
    let shout = shout(results.verdict);
    match curve.knee.or(curve.greatest_held()) {
        Some(held) if curve.knee.is_none() => {
            format!("{shout}no knee was confirmed; the greatest value at which a run was {limits}: {}", number(held))
        }
        Some(knee) if curve.is_open_ended() => {
            format!("{shout}no knee up to {}, the most that was tried: {limits}", number(knee))
        }
        Some(knee) => format!("{shout}the knee is at {}: up to there {limits}", number(knee)),
        None => {
            let least = curve.points.iter().map(|point| point.value).reduce(f64::min);
            let least = least.map_or("no value".into(), number);
            format!("{shout}no knee was found, down to {least}: nothing was {limits}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::compare::Estimate;

    #[test]
    fn a_difference_is_said_in_a_line() {
        let estimate = |value, low, high| Estimate { value, low, high };
        let mut p99 = Difference {
            measure: "p99".into(),
            unit: "ns".into(),
            more_is_better: false,
            before: vec![2e6; 5],
            after: vec![1e6; 5],
            difference: estimate(-1e6, -1e6, -1e6),
            ratio: estimate(0.5, 0.4, 0.6),
            p: 0.0079,
            seen: true,
            runs_needed: None,
        };
        let expected = "  p99                   2.00 ms      1.00 ms   0.500 (0.400 to 0.600)     0.008   better";
        assert_eq!(difference(&p99), expected);
        (p99.more_is_better, p99.p) = (true, 1e-9);
        assert!(difference(&p99).ends_with("<0.001   worse"));
        (p99.seen, p99.runs_needed) = (false, Some(38));
        assert!(difference(&p99).ends_with("   no difference seen; 38 runs a side would show one of this size"));
        p99.runs_needed = None;
        assert!(difference(&p99).ends_with("   no difference seen"));
    }
}
