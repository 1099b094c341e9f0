//! Several runs: compared with earlier ones, searched for the greatest rate, swept. Relations, never how fast this machine is.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use unstick::load::{
    self, CompareError, Comparison, Curve, Expectation, Outcome, Pacing, Plan, Results, Search, Side, Swept, Verdict,
    Wish,
};

use super::liar::{Lie, frame, liar, read_frame, serve};
use super::{plan, run, said};

/// An echo server that takes this long for each frame.
fn slow(time: Duration) -> SocketAddr {
    serve(move |mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            thread::sleep(time);
            if stream.write_all(&frame(&payload)).is_err() {
                return;
            }
        }
    })
}

fn runs(addr: SocketAddr, number: usize) -> Vec<Outcome> {
    (0..number).map(|_| run(&Plan { in_flight: Some(1), ..plan(addr, 40) })).collect()
}

fn expectation(text: &str) -> Expectation {
    text.parse().unwrap()
}

#[test]
fn a_slower_server_is_seen_and_how_much_slower() {
    let (fast, slow) = (runs(liar(Lie::None), 5), runs(slow(Duration::from_millis(20)), 5));
    let results = Results::of_runs(slow.clone());
    let results = results.compared_with(fast.clone(), &[expectation("p50<=baseline*1.01")]).unwrap();
    let comparison = results.comparison.as_ref().unwrap();
    let p50 = comparison.differences.iter().find(|difference| difference.measure == "p50").unwrap();
    // Five a side that do not overlap: two of the 252 ways to choose five of ten.
    assert!(p50.seen && !p50.is_better() && (p50.p - 2.0 / 252.0).abs() < 1e-9, "{p50:?}");
    assert!(p50.ratio.low > 1.0 && p50.ratio.low <= p50.ratio.value && p50.ratio.value <= p50.ratio.high, "{p50:?}");
    assert!((p50.before.len(), p50.after.len(), p50.runs_needed) == (5, 5, None), "{p50:?}");
    assert!(comparison.sentence().contains("p50 +"), "{}", comparison.sentence());
    let text = load::results_text(&results);
    assert_eq!(results.verdict, Verdict::ExpectationMissed, "{text}");
    assert!(text.contains("worse") && text.contains("! p50<=baseline*1.01 was expected, and it was "), "{text}");

    // The other way round it is better, and as was expected.
    let results = Results::of_runs(fast).compared_with(slow, &[expectation("p50<=baseline")]).unwrap();
    assert_eq!((results.verdict, results.failures.len()), (Verdict::Verified, 0), "{}", load::results_text(&results));
    assert!(results.comparison.unwrap().differences.iter().any(|difference| difference.is_better()));
}

#[test]
fn no_difference_is_seen_in_too_few_runs_and_that_is_said() {
    let (one, other) = (runs(liar(Lie::None), 2), runs(slow(Duration::from_millis(20)), 2));
    let results = Results::of_runs(other).compared_with(one, &[]).unwrap();
    let text = load::results_text(&results);
    assert!(text.starts_with("2 runs, beside 2 before: no difference seen\n"), "{text}");
    assert!(text.contains("no difference seen; 8 runs a side would show one of this size"), "{text}");
    assert!(text.contains("  * 2 runs and 2 runs are too few: "), "{text}");
    assert_eq!(results.verdict, Verdict::Verified, "{text}");
}

#[test]
fn what_cannot_be_compared_is_refused_and_says_why() {
    let one = runs(liar(Lie::None), 1);
    let other = |change: fn(&mut Plan)| {
        let mut run = one[0].clone();
        change(&mut run.plan);
        Comparison::new(&one, &[run])
    };
    let differs = |change| match other(change).unwrap_err() {
        CompareError::Differ { field, before, after } => (field, before, after),
        error => panic!("{error}"),
    };
    assert_eq!(differs(|plan| plan.connections = 5), ("connections".into(), "4".into(), "5".into()));
    assert_eq!(differs(|plan| plan.in_flight = None), ("in_flight".into(), "1".into(), "16".into()));
    assert_eq!(differs(|plan| plan.chaos.split = true).0, "chaos");
    assert_eq!(differs(|plan| plan.pacing = Pacing::Open { rate: 5.0, poisson: false }).0, "pacing");
    let mut over_tls = one[0].clone();
    over_tls.over_tls = true;
    let differ = CompareError::Differ { field: "over_tls".into(), before: "false".into(), after: "true".into() };
    assert_eq!(Comparison::new(&one, &[over_tls]), Err(differ));
    // What says nothing of the load may differ.
    assert!(other(|plan| (plan.run, plan.drain) = (9, Duration::ZERO)).is_ok());
    assert!(other(|plan| plan.expectations = vec![expectation("p99<5ms")]).is_ok());

    assert_eq!(Comparison::new(&[], &one), Err(CompareError::NoRun { side: Side::Before }));
    let many = vec![one[0].clone(); 51];
    let too_many = CompareError::TooMany { side: Side::After, number: 51, most: 50 };
    assert_eq!(Comparison::new(&one, &many), Err(too_many));
    let wrong = run(&plan(liar(Lie::FlippedBit), 800));
    let unusable = CompareError::Unusable { side: Side::After, run: 2, verdict: Verdict::Wrong };
    assert_eq!(Comparison::new(&one, &[one[0].clone(), wrong]), Err(unusable));
}

fn measure(plan: &Plan) -> Result<Outcome, load::RunError> {
    load::run(plan, &mut |_| Wish::GoOn)
}

/// Four connections, each with one frame in flight for 5 ms at least: no more than 800 frames a second.
#[test]
fn a_knee_is_not_above_what_the_server_can_do() {
    let mut plan = plan(slow(Duration::from_millis(5)), 0);
    (plan.frames, plan.in_flight, plan.duration) = (None, Some(1), Duration::from_millis(300));
    plan.expectations = vec![expectation("p99<60s")];
    let search = Search { first: 200.0, least: 20.0, most: 1e6, precision: 1.5, ..Search::default() };
    let curve = load::find_knee(&plan, &search, measure).unwrap();
    assert!(curve.swept == Swept::Rate && curve.limits == plan.expectations && !curve.is_open_ended());
    let text = load::results_text(&Results::of_curve(curve.clone()));
    // A machine that is too busy for 20 frames a second has no knee, and says so.
    match curve.knee {
        Some(knee) => {
            assert!((20.0..850.0).contains(&knee), "{text}");
            let last = curve.points.last().unwrap();
            assert!(last.value == knee && last.holds() && last.outcome.plan.duration == 3 * plan.duration, "{text}");
            assert!(curve.points.iter().any(|point| point.value > knee && !point.holds()), "{text}");
            assert_eq!(curve.verdict(), Verdict::Verified);
            assert!(text.starts_with("the knee is at ") && text.contains("\n >"), "{text}");
        }
        None => assert!(curve.verdict() == Verdict::NotAsAsked && text.contains("no knee was "), "{text}"),
    }
}

/// What held is said, also where no longer run confirms it.
#[test]
fn a_knee_that_is_not_confirmed_is_none() {
    let mut plan = plan(liar(Lie::None), 0);
    (plan.frames, plan.duration) = (None, Duration::from_millis(50));
    let search = Search { first: 100.0, most: 200.0, ..Search::default() };
    let short = plan.duration;
    let curve = load::find_knee(&plan, &search, |plan| {
        let verdict = if plan.duration > short { Verdict::NotAsAsked } else { Verdict::Verified };
        measure(plan).map(|mut outcome| {
            outcome.verdict = verdict;
            outcome
        })
    });
    let results = Results::of_curve(curve.unwrap());
    let text = load::results_text(&results);
    let said = "NOT MEASURED AS ASKED; no knee was confirmed; the greatest value at which a run was measured as asked";
    assert!(text.starts_with(said) && text.lines().next().unwrap().ends_with(": 200 frames/s"), "{text}");
    let page = load::results_html(&results);
    assert!(page.contains("A run kept up at 200 frames/s, but that is not confirmed."), "{page}");
}

#[test]
fn a_search_ends_where_a_byte_is_wrong_or_it_is_interrupted() {
    let mut plan = plan(liar(Lie::FlippedBit), 0);
    (plan.frames, plan.duration, plan.drain) = (None, Duration::from_secs(1), Duration::from_secs(1));
    let wrong = load::find_knee(&plan, &Search::default(), measure).unwrap();
    assert!((wrong.points.len(), wrong.knee, wrong.verdict()) == (1, None, Verdict::Wrong), "{wrong:?}");
    let results = Results::of_curve(wrong);
    let text = load::results_text(&results);
    assert!(text.starts_with("WRONG; no knee was found") && text.contains("\n  ! "), "{text}");

    plan.target = load::Target::Tcp(vec![liar(Lie::None)]);
    let stop = |plan: &Plan| load::run(plan, &mut |progress| if progress.sent > 0 { Wish::Stop } else { Wish::GoOn });
    let stopped = load::find_knee(&plan, &Search::default(), stop).unwrap();
    assert_eq!((stopped.points.len(), stopped.knee, stopped.verdict()), (1, None, Verdict::Incomplete));
}

fn connections(values: &str, expectations: &[&str]) -> Curve {
    let mut plan = plan(liar(Lie::None), 40);
    plan.expectations = expectations.iter().map(|text| expectation(text)).collect();
    load::sweep(&plan, &values.parse().unwrap(), measure).unwrap()
}

#[test]
fn a_sweep_has_a_run_for_each_value_and_a_knee_where_the_limit_ends() {
    let curve = connections("connections=1..5*2", &["p99<60s"]);
    let values: Vec<(f64, usize)> =
        curve.points.iter().map(|point| (point.value, point.outcome.connections_held)).collect();
    assert_eq!(values, [(1.0, 1), (2.0, 2), (4.0, 4), (5.0, 5)]);
    assert!(curve.knee == Some(5.0) && curve.is_open_ended() && curve.verdict() == Verdict::Verified);
    let text = load::results_text(&Results::of_curve(curve));
    assert!(text.starts_with("no knee up to 5 connections, the most that was tried: "), "{text}");

    // None holds.
    let curve = connections("connections=1..3+1", &["p99<1ns"]);
    assert_eq!((curve.knee, curve.points.len(), curve.verdict()), (None, 3, Verdict::ExpectationMissed));

    // A made-up limit between: what is measured is this program's to say.
    let mut tried = 0.0;
    let curve = load::sweep(&plan(liar(Lie::None), 40), &"connections=1..9+2".parse().unwrap(), |plan| {
        tried = plan.connections as f64;
        let expectations = if tried > 4.0 { vec![expectation("p99<1ns")] } else { Vec::new() };
        Ok::<Outcome, Infallible>(run(&Plan { expectations, ..plan.clone() }))
    });
    let curve = curve.unwrap();
    assert!((tried, curve.knee, curve.points.len()) == (9.0, Some(3.0), 5), "{curve:?}");
    assert_eq!(curve.verdict(), Verdict::Verified);
}

/// Each form, and as a single run today's.
#[test]
fn results_are_read_back() {
    let one = runs(liar(Lie::None), 2);
    let compared = Results::of_runs(one.clone()).compared_with(one.clone(), &[]).unwrap();
    let curve = Results::of_curve(connections("connections=1..2*2", &[]));
    for results in [Results::of_runs(one.clone()), compared, curve] {
        let json = load::results_json(&results);
        let read = load::results_from_json(&json).unwrap();
        assert!(load::results_json(&read) == json && load::results_text(&read) == load::results_text(&results));
    }
    let single = Results::of_runs(one[..1].to_vec());
    assert!(load::results_json(&single) == load::json(&one[0]));
    let read = load::results_from_json(&load::json(&one[0])).unwrap();
    assert_eq!((read.runs.len(), read.verdict, load::results_text(&read)), (1, one[0].verdict, said(&one[0])));
    for wrong in ["", "{}", "[]", r#"{"runs":5}"#, r#"{"runs":[]}"#] {
        assert!(load::results_from_json(wrong).is_err(), "{wrong}");
    }
}
