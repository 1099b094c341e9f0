//! What the generators and the corpora reach: a check that never meets what it is about holds of anything.

#[path = "support/fuzz_inputs.rs"]
mod fuzz_inputs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use unstick::testing::census::{self, Met};
use unstick::testing::own::{check_session, targets};

/// The counts are the process's.
static TURN: Mutex<()> = Mutex::new(());

type Target = fn(&[u8]);

/// The targets that count what they meet.
const TARGETS: [(&str, Target); 6] = [
    ("decode", targets::decode),
    ("plan", targets::plan),
    ("round_trip", targets::round_trip),
    ("stream_body", targets::stream_body),
    ("custom_header", targets::custom_header),
    ("session", check_session),
];

/// Runs, and fails if anything was not met.
fn all_is_met(run: impl FnOnce()) {
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let counts: Vec<(Met, u64)> = census::of(run).collect();
    for (met, count) in &counts {
        println!("{count:>8} {met:?}");
    }
    let missing: Vec<Met> = counts.iter().filter(|(_, count)| *count == 0).map(|(met, _)| *met).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}

#[track_caller]
fn run_with(name: &str, target: Target, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        panic!("{name} fails on {data:?}");
    }
}

/// The same inputs each time: so this fails or passes always.
#[test]
fn the_generators_meet_all() {
    all_is_met(|| {
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        for round in 0..1500 {
            let len = [40, 100, 250][round % 3];
            let data: Vec<u8> = (0..len)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .collect();
            for (name, target) in TARGETS {
                run_with(name, target, &data);
            }
        }
    });
}

/// What fuzzing has found and kept, in `fuzz/corpus`.
#[test]
fn the_corpora_meet_all() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    all_is_met(|| {
        for (name, target) in TARGETS {
            for input in fuzz_inputs::inputs(&corpora, name).expect("a corpus that can be read") {
                run_with(name, target, &input);
            }
        }
    });
}
