//! One run by several processes: what each of them sends, and what their outcomes are together.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};
use unstick::load::{
    self, Interval, MergeError, Outcome, Pacing, Plan, RunError, Shard, ShardFile, Times, Verdict, Wish, merge,
};

use super::liar::{Lie, frame, liar, read_frame, serve};
use super::{plan, run, said};

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A run of 1,000 frames a second for a second over five connections, which starts soon.
fn soon(addr: SocketAddr) -> Plan {
    let mut plan = plan(addr, 0);
    (plan.frames, plan.connections, plan.duration) = (None, 5, Duration::from_secs(1));
    plan.pacing = Pacing::Open { rate: 1000.0, poisson: false };
    plan.start_at = Some(now() + 2.0);
    plan
}

/// All shards of a plan at the same time, each as the file that it writes; each may have a server of its own.
fn run_shards(plan: &Plan, of: u32, prepare: impl Fn(u32, &mut Plan)) -> Vec<String> {
    let plans = (0..of).map(|number| {
        let mut plan = Plan { shard: Some(Shard::new(number, of).unwrap()), ..plan.clone() };
        prepare(number, &mut plan);
        plan
    });
    let threads: Vec<_> = plans.map(|plan| thread::spawn(move || load::json(&run(&plan)))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn read(files: &[String]) -> Result<Vec<ShardFile>, MergeError> {
    let named = files.iter().enumerate().map(|(index, file)| ShardFile::read(format!("{index}.json"), file.as_bytes()));
    named.collect()
}

fn merged(files: &[String]) -> Outcome {
    merge(&read(files).unwrap()).unwrap()
}

/// An echo server that keeps the first eight bytes of every frame, which say whose it is and which.
fn listener() -> (SocketAddr, Arc<Mutex<Vec<[u8; 8]>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    let addr = serve(move |mut stream| {
        while let Some(payload) = read_frame(&mut stream) {
            all.lock().unwrap().push(*payload.first_chunk().unwrap());
            if stream.write_all(&frame(&payload)).is_err() {
                return;
            }
        }
    });
    (addr, heard)
}

/// Three shards over five connections send as many frames as one process does, and none twice.
#[test]
fn shards_together_send_what_one_process_sends() {
    let ((one, heard_of_one), (many, heard_of_many)) = (listener(), listener());
    let ended_by_frames = |addr| Plan { frames: Some(1000), duration: Duration::from_secs(60), ..soon(addr) };
    let whole = run(&Plan { start_at: None, ..ended_by_frames(one) });
    let files = run_shards(&ended_by_frames(many), 3, |_, _| ());
    let (one, many) = (heard_of_one.lock().unwrap(), heard_of_many.lock().unwrap());
    let set = |heard: &[[u8; 8]]| heard.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!((one.len(), many.len()), (1000, 1000), "{}", said(&whole));
    assert_eq!(set(&many).len(), 1000);
    let together = merged(&files);
    assert_eq!((together.frames_due, together.frames_sent, together.frames_verified), (1000, 1000, 1000));
    assert_eq!(together.verdict, Verdict::Verified, "{}", said(&together));
    assert_eq!((together.connections_held, together.rate_asked), (5, Some(1000.0)));
    let due: Vec<u64> = read(&files).unwrap().iter().map(|file| file.outcome().frames_due).collect();
    assert_eq!(due, [334, 333, 333]);
    assert!(said(&together).contains("3 shards of run ") && said(&together).contains(", begun within "));
}

#[test]
fn where_shards_divide_the_connections_every_frame_is_the_same() {
    let heard = [1, 2, 4].map(|shards| {
        let (addr, heard) = listener();
        let mut plan = soon(addr);
        (plan.connections, plan.frames, plan.duration) = (8, Some(400), Duration::from_secs(60));
        run_shards(&plan, shards, |_, _| ());
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 400);
        heard.iter().copied().collect::<BTreeSet<_>>()
    });
    assert!(heard[0] == heard[1] && heard[0] == heard[2], "the same frames");
}

/// Sending begins when the warm-up before the start does, and what is measured is measured from the start on.
#[test]
fn the_warm_up_is_over_when_the_run_starts() {
    let mut plan = soon(liar(Lie::None));
    plan.warm_up = Duration::from_millis(500);
    let start_at = plan.start_at.unwrap();
    let files = run_shards(&plan, 2, |_, _| ());
    for file in read(&files).unwrap() {
        let part = file.outcome().part.as_ref().unwrap();
        assert_eq!(part.start_at, start_at);
        assert!(part.began.unwrap() > start_at - 0.6, "it waits for its time");
        assert_eq!((file.outcome().frames_due, part.measured_ns), (500, 1_000_000_000));
    }
    let together = merged(&files);
    assert_eq!(together.frames_due, 1000);
    assert!(together.frames_sent >= 1000 && together.response_ns.count() <= 1000, "{}", said(&together));
}

#[test]
fn who_is_ready_too_late_does_not_begin() {
    let mut plan = soon(liar(Lie::None));
    plan.shard = Some(Shard::new(0, 2).unwrap());
    for (start_at, warm_up) in [(now() - 1.0, 0), (now() + 0.5, 60)] {
        (plan.start_at, plan.warm_up) = (Some(start_at), Duration::from_secs(warm_up));
        match load::run(&plan, &mut |_| Wish::GoOn) {
            Err(RunError::TooLate { by }) => assert!(by > Duration::from_millis(900), "{by:?}"),
            other => panic!("{other:?}"),
        }
    }
    // Connections that are made one a second are not there in time, and that is known before the last one is.
    (plan.connect_rate, plan.connections) = (Some(1.0), 100);
    (plan.start_at, plan.warm_up) = (Some(now() + 0.3), Duration::ZERO);
    let late = load::run(&plan, &mut |_| Wish::GoOn);
    assert!(matches!(late, Err(RunError::TooLate { by }) if by < Duration::from_secs(30)), "{late:?}");
}

/// Who waits for the start can be stopped.
#[test]
fn a_wait_for_the_start_can_be_ended() {
    let mut plan = soon(liar(Lie::None));
    (plan.shard, plan.start_at) = (Some(Shard::new(0, 2).unwrap()), Some(now() + 3600.0));
    let mut watch = |progress: load::Progress| if progress.waits.is_some() { Wish::Stop } else { Wish::GoOn };
    let outcome = load::run(&plan, &mut watch).unwrap();
    assert_eq!((outcome.verdict, outcome.frames_sent), (Verdict::Incomplete, 0), "{}", said(&outcome));
}

#[test]
fn expectations_are_judged_when_all_are_merged() {
    let mut plan = soon(liar(Lie::None));
    plan.expectations = vec!["p99<1ns".parse().unwrap(), "errors=0".parse().unwrap()];
    let files = run_shards(&plan, 2, |_, _| ());
    for file in read(&files).unwrap() {
        assert_eq!(file.outcome().verdict, Verdict::Verified, "{}", said(file.outcome()));
        assert!(said(file.outcome()).contains("what is expected is judged when all are merged"));
    }
    let together = merged(&files);
    assert_eq!((together.verdict, together.failures.len()), (Verdict::ExpectationMissed, 1), "{}", said(&together));
    // Written down and read back.
    let json = load::json(&together);
    assert!(load::json(&load::from_json(&json).unwrap()) == json);
    assert!(matches!(ShardFile::read("merged", json.as_bytes()), Err(MergeError::NotAShard { .. })));
}

/// One shard has a server that lies, and it says with which of the run's connections.
#[test]
fn what_was_wrong_with_a_shard_stays_wrong() {
    let (honest, lying) = (liar(Lie::None), liar(Lie::FlippedBit));
    let files = run_shards(&soon(honest), 2, |number, plan| {
        if number == 1 {
            plan.target = load::Target::Tcp(vec![lying]);
        }
    });
    let together = merged(&files);
    assert_eq!((together.verdict, together.fault_count), (Verdict::Wrong, 2), "{}", said(&together));
    assert_eq!(together.faults.iter().map(|fault| fault.connection).collect::<BTreeSet<_>>(), [1, 3].into());
    assert!(together.failures[0].starts_with("shard 1/2: 2 connections, altered: "), "{}", said(&together));
    assert_eq!(together.frames_wrong, 2);
}

/// A file of shard 0 of 1, of which others are made.
fn template() -> Value {
    let mut plan = soon(liar(Lie::None));
    (plan.start_at, plan.duration) = (None, Duration::from_millis(300));
    plan.shard = Some(Shard::new(0, 1).unwrap());
    let mut file: Value = serde_json::from_str(&load::json(&run(&plan))).unwrap();
    (file["verdict"], file["failures"], file["plan"]["start_at"]) = (json!("verified"), json!([]), json!(1.0));
    file
}

fn shard(template: &Value, number: u32, of: u32) -> Value {
    let mut file = template.clone();
    let name = json!(format!("{number}/{of}"));
    (file["plan"]["shard"], file["part"]["shard"]) = (name.clone(), name);
    file
}

fn read_values(files: &[Value]) -> Result<Vec<ShardFile>, MergeError> {
    read(&files.iter().map(Value::to_string).collect::<Vec<_>>())
}

#[test]
fn what_does_not_belong_together_is_refused_with_its_file_and_both_values() {
    let template = template();
    let refused = |files: &[Value]| {
        let refused = read_values(files).and_then(|files| merge(&files)).expect_err("refused");
        (refused.to_string(), refused)
    };
    let with = |number: u32, pointer: &str, value: Value| {
        let mut file = shard(&template, number, 3);
        *file.pointer_mut(pointer).unwrap() = value;
        file
    };
    let whole = |number| shard(&template, number, 3);
    assert_eq!(read_values(&[whole(2), whole(0), whole(1)]).and_then(|files| merge(&files)).unwrap().part, None);

    let (text, error) = refused(&[whole(1)]);
    assert!(matches!(error, MergeError::Missing { ref missing, found: 1, of: 3 } if missing == &[0, 2]), "{text}");
    let (text, error) = refused(&[whole(0), whole(1), whole(0), whole(2)]);
    assert!(matches!(error, MergeError::Doubled { .. }), "{text}");
    assert_eq!(text, "shard 0/3 is there twice: 0.json and 2.json");
    for (pointer, value, what) in [
        ("/part/run_id", json!("x"), "its run id is x, and that of 0.json is "),
        ("/part/plan_hash", json!("x"), "its hash of the plan is x, and that of 0.json is "),
        ("/part/start_at", json!(5.0), "its start is 5, and that of 0.json is "),
    ] {
        let (text, error) = refused(&[whole(0), with(1, pointer, value), whole(2)]);
        assert!(matches!(error, MergeError::Foreign { .. }) && text.contains(what), "{text}");
        assert!(text.starts_with("1.json is of another run: "), "{text}");
    }
    let (text, error) = refused(&[whole(0), shard(&template, 1, 4)]);
    assert!(matches!(error, MergeError::Foreign { .. }), "{text}");
    assert!(text.ends_with("its number of shards is 4, and that of 0.json is 3"), "{text}");

    let (text, error) = refused(&[whole(0), with(1, "/origin/version", json!("0.0.1"))]);
    assert!(matches!(error, MergeError::Version { .. }), "{text}");
    assert!(text.starts_with("1.json was written by version 0.0.1, and this is version "), "{text}");
    let (text, error) = refused(&[with(0, "/part/histogram/digits", json!(2))]);
    assert!(matches!(error, MergeError::Histogram { .. }), "{text}");
    assert!(
        text.contains("0.json has histograms of 2 digits, up to 3600000000000 ns, and those of this version have 3")
    );
    let (text, error) = refused(&[with(0, "/frames_sent", json!(7))]);
    assert!(matches!(error, MergeError::Balance { balance, .. } if balance.sent == 7), "{text}");
    assert!(text.starts_with("0.json does not add up: 7 frames sent and 0 unasked, but "), "{text}");
    let (text, error) = refused(&[with(0, "/plan/connections", json!(0))]);
    assert!(matches!(error, MergeError::Plan { .. }), "{text}");
    let mut no_shard = template.clone();
    no_shard.as_object_mut().unwrap().remove("part");
    assert!(matches!(refused(&[no_shard]).1, MergeError::NotAShard { .. }));
    assert!(matches!(refused(&[json!(5)]).1, MergeError::Unreadable { .. }));
}

/// A time of one kind, in one second, seen by one shard.
#[derive(Clone, Copy, Debug)]
struct Sample {
    shard: usize,
    second: usize,
    kind: usize,
    nanoseconds: u64,
    count: u64,
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // All lengths are alike likely: short times and such that are longer than any bucket.
    let nanoseconds = (any::<u64>(), 0..64u32).prop_map(|(bits, shift)| bits >> shift);
    let sample = (0..5usize, 0..4usize, 0..4usize, nanoseconds, 1..1000u64);
    let sample =
        sample.prop_map(|(shard, second, kind, nanoseconds, count)| Sample { shard, second, kind, nanoseconds, count });
    proptest::collection::vec(sample, 0..200)
}

fn times(interval: &mut Interval, kind: usize) -> &mut Times {
    match kind {
        0 => &mut interval.response_ns,
        1 => &mut interval.service_ns,
        2 => &mut interval.send_lag_ns,
        _ => &mut interval.own_lag_ns,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the samples of a run are dealt out to shards: merged, they are what one histogram of all has. If shards ended
    /// early, those of the seconds in which all measured.
    #[test]
    fn any_partition_merged_equals_one_histogram_of_all(
        samples in samples(),
        of in 1..=5usize,
        measured in proptest::collection::vec(0..6_000_000_000u64, 5),
        are_whole in any::<bool>(),
    ) {
        thread_local!(static TEMPLATE: Value = template());
        let template = TEMPLATE.with(Value::clone);
        let measured: Vec<u64> =
            measured[..of].iter().map(|measured| if are_whole { 4_000_000_000 } else { *measured.min(&4_000_000_000) }).collect();
        let window = *measured.iter().min().unwrap() / 1_000_000_000;
        let mut shards = vec![vec![Interval::default(); 4]; of];
        let mut all = Interval::default();
        for sample in samples {
            times(&mut shards[sample.shard % of][sample.second], sample.kind).add(sample.nanoseconds, sample.count);
            if (sample.second as u64) < window {
                times(&mut all, sample.kind).add(sample.nanoseconds, sample.count);
            }
        }
        let files: Vec<Value> = shards.iter().enumerate().map(|(number, intervals)| {
            let mut file = shard(&template, number as u32, of as u32);
            file["plan"]["duration"] = json!(4.0);
            file["part"]["measured_ns"] = json!(measured[number]);
            file["intervals"] = serde_json::to_value(intervals).unwrap();
            file
        }).collect();
        let merged = merge(&read_values(&files).unwrap()).unwrap();
        let found = [&merged.response_ns, &merged.service_ns, &merged.send_lag_ns, &merged.own_lag_ns];
        for (kind, found) in found.into_iter().enumerate() {
            let expected = times(&mut all, kind);
            // Equal in every bucket, too: `Times` compares all that it has.
            prop_assert!(*found == *expected, "{kind}: {} of {}", found.count(), expected.count());
            prop_assert_eq!((found.min(), found.max()), (expected.min(), expected.max()));
            prop_assert_eq!((found.count(), found.sum()), (expected.count(), expected.sum()));
        }
        prop_assert_eq!(merged.intervals.len() as u64, window);
        let is_whole = merged.merged.as_ref().unwrap().is_whole;
        prop_assert_eq!(is_whole, measured.iter().all(|measured| *measured == 4_000_000_000));
    }
}
