//! What is measured: response and service time, the rate, how a run ends. Counts and relations, never how fast this machine is.

use std::time::Duration;

use unstick::load::{self, Outcome, Pacing, Plan, Verdict, Wish, from_json, json};

use super::liar::{Lie, liar, staller};
use super::{plan, run, said};

const OPEN: Pacing = Pacing::Open { rate: 1000.0, poisson: false };

/// 1,000 frames a second over 8 connections, to a server that answers nothing for a part of each period.
fn stalled(in_flight: Option<u32>) -> Outcome {
    let mut plan = plan(staller(Duration::from_millis(1250), Duration::from_millis(500)), 8);
    (plan.frames, plan.connections, plan.duration) = (None, 8, Duration::from_millis(2500));
    (plan.pacing, plan.in_flight) = (OPEN, in_flight);
    run(&plan)
}

/// Frames of the measured time that were sent: just these have a send lag and, answered, a response time. A busy machine may send
/// some more that were due right after it.
fn measured(outcome: &Outcome) -> u64 {
    let measured: u64 = outcome.intervals.iter().map(|second| second.sent).sum();
    assert_eq!((outcome.send_lag_ns.count(), outcome.response_ns.count()), (measured, measured), "{}", said(outcome));
    assert!(measured <= outcome.frames_sent && measured <= outcome.frames_due, "{}", said(outcome));
    measured
}

/// Coordinated omission: what was to be sent during a stall waited, and only the response time knows it.
#[test]
fn a_stall_shows_in_the_response_time_and_the_service_time_hides_it() {
    let outcome = stalled(Some(1));
    let [response, service] = [&outcome.response_ns, &outcome.service_ns].map(|times| times.quantile(0.9).unwrap());
    // In each period of 1.25 s 8 frames of 1,250 are sent before a stall of 0.5 s, and 500 are to be sent in it.
    assert!(response > 100_000_000, "{}", said(&outcome));
    assert!(service < response / 2, "{}", said(&outcome));
    assert!(outcome.backlog_greatest > 100, "{}", said(&outcome));
    assert!(said(&outcome).contains("for a place in flight"), "{}", said(&outcome));
}

/// The same at length, 10 s: a stall of 1 s in every 5, of which only 1 % of the frames would be enough to show in the p99.
#[test]
#[ignore = "it takes 10 s: .ci/full runs it"]
fn a_long_stall_shows_in_the_p99_of_the_response_time_alone() {
    let mut plan = plan(staller(Duration::from_secs(5), Duration::from_secs(1)), 8);
    (plan.frames, plan.connections, plan.duration) = (None, 8, Duration::from_secs(10));
    (plan.pacing, plan.in_flight) = (OPEN, Some(1));
    let outcome = run(&plan);
    let [response, service] = [&outcome.response_ns, &outcome.service_ns].map(|times| times.quantile(0.99).unwrap());
    assert!(response > 500_000_000, "{}", said(&outcome));
    assert!(service < response / 5, "{}", said(&outcome));
    assert!(said(&outcome).contains("the service time hides the wait"), "{}", said(&outcome));

    plan.in_flight = None;
    let outcome = run(&plan);
    assert!(said(&outcome).contains("response and service time agree"), "{}", said(&outcome));
}

#[test]
fn without_a_bound_in_flight_response_and_service_time_agree() {
    let outcome = stalled(None);
    let [response, service] = [&outcome.response_ns, &outcome.service_ns].map(|times| times.quantile(0.9).unwrap());
    assert!(response > 100_000_000 && service > 100_000_000, "{}", said(&outcome));
    assert!(response - service <= outcome.send_lag_ns.max().unwrap(), "{}", said(&outcome));
    assert!(measured(&outcome) > 0);
}

#[test]
fn a_rate_is_reached_or_the_run_says_that_it_was_not() {
    let mut plan = plan(liar(Lie::None), 4);
    (plan.frames, plan.duration, plan.pacing) = (None, Duration::from_secs(1), OPEN);
    let outcome = run(&plan);
    assert_eq!((outcome.frames_due, outcome.rate_asked), (1000, Some(1000.0)), "{}", said(&outcome));
    assert!(measured(&outcome) > 0);
    // More than any server can answer, one frame at a time.
    (plan.pacing, plan.in_flight) = (Pacing::Open { rate: 1e8, poisson: false }, Some(1));
    let outcome = run(&plan);
    assert_eq!(outcome.verdict, Verdict::NotAsAsked, "{}", said(&outcome));
    assert!(outcome.sent_in_time().unwrap() < 0.99 && outcome.backlog_end > 0, "{}", said(&outcome));
    assert!(said(&outcome).contains("a rate of 100,000,000 frames/s was asked for"), "{}", said(&outcome));
}

#[test]
fn warm_up_is_verified_and_not_measured() {
    let mut plan = plan(liar(Lie::None), 4);
    (plan.frames, plan.pacing) = (None, OPEN);
    (plan.warm_up, plan.duration) = (Duration::from_millis(300), Duration::from_millis(200));
    let outcome = run(&plan);
    assert_eq!(outcome.frames_due, 200, "{}", said(&outcome));
    assert_eq!(outcome.frames_sent, outcome.frames_verified);
    assert!(outcome.frames_verified > measured(&outcome), "{}", said(&outcome));
}

#[test]
fn what_is_expected_is_met_or_missed_in_words() {
    let with = |expectations: &[&str]| {
        let mut plan = plan(liar(Lie::None), 400);
        plan.expectations = expectations.iter().map(|text| text.parse().unwrap()).collect();
        run(&plan)
    };
    let met = with(&["p99<60s", "errors=0", "service.max<=60s", "min>0ns", "fairness>=0"]);
    assert_eq!(met.verdict, Verdict::Verified, "{}", said(&met));
    let missed = with(&["p99<1ns", "errors=0"]);
    assert_eq!(missed.verdict, Verdict::ExpectationMissed);
    assert!(missed.failures.len() == 1 && missed.failures[0].starts_with("p99<1ns was expected, and it was "));
    let lied = {
        let mut plan = plan(liar(Lie::FlippedBit), 800);
        plan.expectations = vec!["errors=0".parse().unwrap()];
        run(&plan)
    };
    assert_eq!((lied.verdict, lied.errors()), (Verdict::Wrong, 4), "{}", said(&lied));
    assert!(lied.failures.iter().any(|line| line == "errors=0 was expected, and it was 4"), "{}", said(&lied));
}

#[test]
fn a_stop_awaits_what_is_in_flight_and_an_abort_does_not() {
    let endless = |lie| Plan { frames: None, ..plan(liar(lie), 4) };
    let when_running = |wish| move |progress: load::Progress| if progress.sent > 0 { wish } else { Wish::GoOn };
    let outcome = load::run(&endless(Lie::None), &mut when_running(Wish::Stop)).unwrap();
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Incomplete, 0), "{}", said(&outcome));
    assert_eq!(outcome.frames_sent, outcome.frames_verified);
    assert!(said(&outcome).starts_with("INCOMPLETE: interrupted after "), "{}", said(&outcome));

    let outcome = load::run(&endless(Lie::Silence), &mut when_running(Wish::Abort)).unwrap();
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Incomplete, 0), "{}", said(&outcome));
    assert_eq!(outcome.frames_sent, outcome.frames_verified + outcome.frames_in_flight);
}

#[test]
fn a_run_that_measured_nothing_says_so_and_shows_no_number() {
    let mut plan = plan(liar(Lie::None), 4);
    // All is over before the measured time begins.
    plan.warm_up = Duration::from_secs(60);
    let outcome = run(&plan);
    let text = said(&outcome);
    assert_eq!((outcome.verdict, outcome.response_ns.count()), (Verdict::NotAsAsked, 0), "{text}");
    assert!(text.contains("nothing was measured"), "{text}");
    assert!(!text.contains("p50") && !text.to_lowercase().contains("nan"), "{text}");
    assert!(json(&outcome).contains(r#""p50":null"#));
}

/// Also by seconds: nothing is measured twice or left out.
#[test]
fn an_outcome_is_read_back_and_its_seconds_add_up() {
    let mut plan = plan(liar(Lie::None), 4);
    (plan.frames, plan.duration, plan.pacing) = (None, Duration::from_millis(2500), OPEN);
    plan.threads = 2;
    let outcome = run(&plan);
    assert_eq!(outcome.intervals.len(), 3);
    let mut all = load::Times::default();
    outcome.intervals.iter().for_each(|second| all.add_all(&second.response_ns));
    assert!(all == outcome.response_ns && all.count() == measured(&outcome), "{}", said(&outcome));
    assert_eq!(outcome.frames_due, 2500);
    assert!(outcome.intervals[0].sent <= 1000 && outcome.intervals[2].sent <= 500, "{}", said(&outcome));
    let read = from_json(&json(&outcome)).unwrap();
    assert!(json(&read) == json(&outcome) && load::text(&read) == load::text(&outcome));
}
