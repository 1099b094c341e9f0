//! The page of HTML: whatever was measured, it is well-formed, needs nothing else, and says what it says as text.

use std::io::Write;
use std::net::Shutdown;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use roxmltree::{Document, ParsingOptions};
use serde_json::json;
use unstick::load::{self, Interval, Outcome, Pacing, Results, ServerSample, ServerUse, Times, Verdict};

use super::liar::{Lie, frame, liar, read_frame, serve, staller};
use super::{plan, run};

/// A page that was checked: its headings, and all of its text.
struct Page {
    headings: Vec<String>,
    text: String,
    charts: usize,
}

#[track_caller]
fn checked(page: &str) -> Page {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}: {page}"));
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{page}");
    let elements = || document.descendants().filter(roxmltree::Node::is_element);
    for element in elements() {
        let name = element.tag_name().name();
        assert!(!["script", "link", "img", "iframe", "object", "image", "use"].contains(&name), "<{name}>: {page}");
        for attribute in element.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && !["href", "src", "style"].contains(&name), "{name}={value}: {page}");
            if ["d", "x", "y", "cx", "cy", "r", "viewBox"].contains(&name) {
                assert_numbers(value);
            }
        }
    }
    // Nothing is fetched by the style, either.
    let style = elements().find(|element| element.tag_name().name() == "style").and_then(|style| style.text()).unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    let headings = elements().filter(|element| ["h1", "h2", "h3"].contains(&element.tag_name().name()));
    let text_of = |node: roxmltree::Node<'_, '_>| -> String {
        node.descendants().filter_map(|node| if node.is_text() { node.text() } else { None }).collect()
    };
    let headings = headings.map(text_of).collect();
    let body = elements().find(|element| element.tag_name().name() == "body").unwrap();
    let charts = elements().filter(|element| element.tag_name().name() == "svg").count();
    // Each is there for a desktop and for a phone.
    assert_eq!(charts % 2, 0);
    Page { headings, text: text_of(body), charts: charts / 2 }
}

/// Numbers of an outline: finite, and near the picture.
#[track_caller]
fn assert_numbers(text: &str) {
    for number in text.split(|char: char| char.is_ascii_alphabetic() || char == ' ').filter(|part| !part.is_empty()) {
        let number: f64 = number.parse().unwrap_or_else(|_| panic!("{number:?} in {text}"));
        assert!(number.is_finite() && number.abs() < 5000.0, "{number} in {text}");
    }
}

impl Page {
    #[track_caller]
    fn has(&self, heading: &str) {
        assert!(self.headings.iter().any(|it| it.contains(heading)), "{heading}: {:?}", self.headings);
    }
}

/// 500 frames a second for a bit over two seconds, from a server that stalls.
fn stalled() -> Outcome {
    let mut plan = plan(staller(Duration::from_millis(1000), Duration::from_millis(200)), 8);
    (plan.frames, plan.connections, plan.duration) = (None, 8, Duration::from_millis(2300));
    plan.pacing = Pacing::Open { rate: 500.0, poisson: false };
    plan.server_pid = Some(std::process::id());
    run(&plan)
}

/// The same run for all who only look at it.
fn shared() -> &'static Outcome {
    static SHARED: OnceLock<Outcome> = OnceLock::new();
    SHARED.get_or_init(stalled)
}

#[test]
fn a_run_is_shown_with_each_of_its_charts() {
    let outcome = shared();
    let text = load::html(outcome);
    // Nothing is fetched from anywhere: not even the name of a namespace looks like that.
    assert!(!text.contains("http") && !text.contains("//"), "{text}");
    let page = checked(&text);
    for heading in [
        "Every byte of",
        "How long did replies take?",
        "Second by second",
        "Were replies as fast all the time?",
        "Was the rate kept?",
        "Were frames sent in time?",
        "How many frames were on their way?",
        "How busy was the server?",
        "How much memory did the server have?",
        "Were connections served alike?",
        "The numbers",
        "To repeat it",
    ] {
        page.has(heading);
    }
    assert_eq!(page.charts, 8, "{:?}", page.headings);
    for part in ["✓ Verified", "99 of 100 within", "99.9 %", "response", "service"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

#[test]
fn what_was_not_measured_is_left_out() {
    let mut plan = plan(liar(Lie::None), 400);
    plan.duration = Duration::from_secs(60);
    let page = checked(&load::html(&run(&plan)));
    page.has("How long did replies take?");
    // A closed loop of less than a second, to a server of which nothing is known.
    for heading in ["Second by second", "Were frames sent in time?", "How busy was the server?"] {
        assert!(!page.headings.iter().any(|it| it.contains(heading)), "{heading}");
    }
    assert!(page.text.contains("round trip") && !page.text.contains("service time"), "{}", page.text);
    // Nothing at all.
    plan.warm_up = Duration::from_secs(60);
    let page = checked(&load::html(&run(&plan)));
    assert_eq!(page.charts, 0, "{:?}", page.headings);
    assert!(page.text.contains("nothing was measured"), "{}", page.text);
}

/// What a server says is text, never markup.
#[test]
fn what_a_server_says_stays_text() {
    let said = "<script src=\"http://evil/\">alert(1)</script>&amp;\u{1b}[2J\u{202e}";
    let addr = serve(move |mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            _ = stream.write_all(&frame(&payload));
        }
        _ = stream.write_all(&frame(said.as_bytes()));
        _ = stream.shutdown(Shutdown::Write);
    });
    let outcome = run(&plan(addr, 40));
    assert_eq!(outcome.verdict, Verdict::Wrong);
    assert!(outcome.failures.iter().any(|failure| failure.contains("alert(1)")), "{:?}", outcome.failures);
    let page = checked(&load::html(&outcome));
    assert!(page.text.contains("✗ Wrong") && page.text.contains("<script"), "{}", page.text);

    let mut outcome = shared().clone();
    outcome.failures = vec![said.into()];
    outcome.origin.command = vec!["unstick".into(), said.into()];
    outcome.origin.system = said.into();
    let page = checked(&load::html(&outcome));
    assert!(page.text.contains("&amp;\\u{1b}[2J\\u{202e}"), "{}", page.text);
}

#[test]
fn several_runs_a_curve_and_a_comparison_have_their_charts() {
    let runs = [shared().clone(), shared().clone(), shared().clone()];
    let estimate = |value: f64| json!({ "value": value, "low": value * 0.9, "high": value * 1.1 });
    let difference = json!({
        "measure": "p99", "unit": "ns", "more_is_better": false, "before": [1e6, 2e6], "after": [3e6, 3e6],
        "difference": estimate(1.5e6), "ratio": estimate(2.0), "p": 0.004, "seen": true, "runs_needed": null,
    });
    let results = |curve: serde_json::Value, runs: &[Outcome], comparison: serde_json::Value| -> Results {
        serde_json::from_value(json!({
            "verdict": "verified", "failures": [], "runs": runs, "baseline": runs, "curve": curve, "comparison": comparison,
        }))
        .unwrap()
    };
    let comparison = json!({ "differences": [difference], "notes": ["another <machine>"] });
    let page = checked(&load::results_html(&results(json!(null), &runs, comparison)));
    page.has("Worse than the baseline: p99.");
    page.has("Is it different from before?");
    page.has("of 3 runs, the one in the middle");
    assert!(page.text.contains("another <machine>") && page.text.contains("baseline 3"), "{}", page.text);

    let points: Vec<_> = [100.0, 500.0, 300.0]
        .iter()
        .zip(&runs)
        .map(|(rate, run)| {
            let mut run = run.clone();
            run.rate_asked = Some(*rate);
            json!({ "value": rate, "outcome": run })
        })
        .collect();
    let curve = |knee: Option<f64>| json!({ "swept": "rate", "limits": ["p99<5ms"], "points": points, "knee": knee });
    let page = checked(&load::results_html(&results(curve(Some(300.0)), &[], json!(null))));
    page.has("It takes up to 300 frames/s with p99<5ms.");
    page.has("How much can it take?");
    page.has("Second by second: the run at 300 frames/s");
    let mut held = results(curve(None), &[], json!(null));
    checked(&load::results_html(&held)).has("A run kept up at 500 frames/s with p99<5ms, but that is not confirmed.");
    for point in &mut held.curve.as_mut().unwrap().points {
        point.outcome.verdict = Verdict::NotAsAsked;
    }
    checked(&load::results_html(&held)).has("It kept up at none of 3 runs with p99<5ms.");
    let nothing = json!({ "swept": "rate", "limits": [], "points": [], "knee": null });
    checked(&load::results_html(&results(nothing, &[], json!(null))));
}

fn times() -> impl Strategy<Value = Times> {
    let some = (prop_oneof![0u64..2000, 0..u64::MAX / 1_000_000], 1u64..1_000_000);
    prop::collection::vec(some, 0..6).prop_map(|some| {
        let mut times = Times::default();
        some.into_iter().for_each(|(time, count)| times.add(time, count));
        times
    })
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), 0.0..1e12, 0.0..1e-9]
}

fn interval() -> impl Strategy<Value = Interval> {
    (times(), times(), [any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()]).prop_map(|(one, other, counts)| {
        let mut interval = Interval::default();
        (interval.response_ns, interval.service_ns) = (one.clone(), other.clone());
        (interval.send_lag_ns, interval.own_lag_ns) = (other, one);
        let [sent, answered, in_flight, connections] = counts.map(u64::from);
        (interval.sent_by_clock, interval.answered_by_clock) = (sent, answered);
        (interval.in_flight, interval.connections) = (in_flight, connections);
        interval
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever was measured, no number on the page is not one.
    #[test]
    fn a_page_of_any_numbers_is_well_formed(
        intervals in prop_oneof![9 => prop::collection::vec(interval(), 0..20), 1 => prop::collection::vec(interval(), 241..250)],
        (response, service) in (times(), times()),
        (seconds, asked, rate) in (number(), prop::option::of(number()), number()),
        samples in prop::collection::vec((number(), number(), any::<u64>()), 0..4),
        shares in prop::collection::vec(any::<u64>(), 0..4),
        said in ".*",
    ) {
        let mut outcome = shared().clone();
        outcome.intervals = intervals;
        (outcome.response_ns, outcome.service_ns) = (response, service);
        (outcome.seconds, outcome.rate_asked, outcome.frames_per_second) = (seconds, asked, rate);
        let mut server = ServerUse::default();
        server.samples = samples.into_iter().map(|(at, cores, memory)| {
            let mut sample = ServerSample::default();
            (sample.at, sample.cores, sample.memory) = (at, cores, memory);
            sample
        }).collect();
        outcome.server = Some(server);
        outcome.shares = shares;
        outcome.failures.push(said);
        checked(&load::html(&outcome));
    }
}
