//! Each lie is caught, with its name and its place: in a closed loop and an open one, with chaos, and with several threads.

use std::time::Duration;

use unstick::load::{Outcome, Pacing, Plan, Sizes, Verdict};

use super::liar::{AT, Lie, liar};
use super::{plan, run, said};

/// Frames of each of the four connections.
const FRAMES: u64 = 200;

/// Changes a plan.
pub(crate) type Prepare = fn(&mut Plan);

/// The ways in which a load may be run.
pub(crate) const WAYS: [(&str, Prepare); 6] = [
    ("closed", |_| ()),
    ("open", |plan| plan.pacing = Pacing::Open { rate: 20_000.0, poisson: false }),
    ("at random times", |plan| plan.pacing = Pacing::Open { rate: 20_000.0, poisson: true }),
    ("threads", |plan| plan.threads = 3),
    ("split", |plan| plan.chaos.split = true),
    ("merge", |plan| {
        plan.chaos.merge = true;
        plan.threads = 2;
        plan.payload = Sizes::Uniform { least: 8, greatest: 300 };
    }),
];

fn lied_to(lie: Lie, prepare: Prepare) -> Outcome {
    let mut plan = plan(liar(lie), 4 * FRAMES);
    prepare(&mut plan);
    run(&plan)
}

/// Every connection has this fault at this frame, and no other.
#[track_caller]
fn is_caught(lie: Lie, kind: &str, sequence: u64) {
    for (way, prepare) in WAYS {
        let outcome = lied_to(lie, prepare);
        assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{way}: {}", said(&outcome));
        for fault in &outcome.faults {
            assert_eq!((&*fault.kind, fault.sequence), (kind, sequence), "{way}: {}", fault.text);
            assert!(fault.wrong && fault.offset > 0, "{way}: {fault:?}");
        }
        let mut connections: Vec<u64> = outcome.faults.iter().map(|fault| fault.connection).collect();
        connections.sort_unstable();
        assert_eq!(connections, [0, 1, 2, 3], "{way}");
        assert_eq!(outcome.frames_verified, 4 * sequence, "{way}: {}", said(&outcome));
        assert!(said(&outcome).contains(kind), "{}", said(&outcome));
    }
}

#[test]
fn an_honest_server_has_no_fault() {
    for (way, prepare) in WAYS {
        let outcome = lied_to(Lie::None, prepare);
        assert_eq!((outcome.fault_count, outcome.frames_verified), (0, 4 * FRAMES), "{way}: {}", said(&outcome));
        assert_eq!(outcome.response_ns.count(), 4 * FRAMES, "{way}");
        assert_eq!(outcome.connections_kept, 4);
    }
}

#[test]
fn a_flipped_bit_is_caught() {
    is_caught(Lie::FlippedBit, "altered", AT);
}

#[test]
fn a_swapped_pair_is_caught() {
    is_caught(Lie::SwappedPair, "lost or overtaken", AT);
}

#[test]
fn a_lost_frame_is_caught() {
    is_caught(Lie::Lost, "lost or overtaken", AT);
}

#[test]
fn a_doubled_frame_is_caught() {
    is_caught(Lie::Doubled, "repeated", AT + 1);
}

#[test]
fn a_cut_frame_is_caught() {
    is_caught(Lie::Cut, "malformed", AT);
}

#[test]
fn a_surplus_frame_is_caught_even_at_the_very_end() {
    is_caught(Lie::Surplus, "surplus", FRAMES);
}

/// A reset may overtake replies, so the place is not known.
#[test]
fn a_connection_that_breaks_is_caught() {
    let outcome = lied_to(Lie::Reset, |_| ());
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{}", said(&outcome));
    assert!(outcome.faults.iter().all(|fault| fault.kind == "broken off" && fault.sequence <= AT));
}

#[test]
fn a_server_that_falls_silent_is_caught_with_what_is_missing() {
    for (way, prepare) in WAYS {
        let mut plan = plan(liar(Lie::Silence), 4 * FRAMES);
        prepare(&mut plan);
        (plan.duration, plan.drain) = (Duration::from_millis(500), Duration::from_millis(500));
        let outcome = run(&plan);
        assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{way}: {}", said(&outcome));
        assert!(outcome.faults.iter().all(|fault| fault.kind == "lost" && fault.sequence == AT), "{}", said(&outcome));
        assert_eq!(outcome.frames_sent, outcome.frames_verified + outcome.frames_lost, "{way}");
    }
}

#[test]
fn a_server_that_never_ends_its_stream_is_caught() {
    let mut plan = plan(liar(Lie::NoEnd), 4 * FRAMES);
    plan.drain = Duration::from_millis(500);
    let outcome = run(&plan);
    assert_eq!((outcome.verdict, outcome.fault_count), (Verdict::Wrong, 4), "{}", said(&outcome));
    assert!(outcome.faults.iter().all(|fault| fault.kind == "not ended"), "{}", said(&outcome));
}

/// Connections that we break off or half-close are no faults, and those beside them are still told the truth about.
#[test]
fn ends_on_purpose_are_told_apart_from_lies() {
    let chaotic = |lie| {
        let mut plan = plan(liar(lie), 4 * FRAMES);
        (plan.frames, plan.connections, plan.duration) = (None, 12, Duration::from_secs(1));
        plan.pacing = Pacing::Open { rate: 4800.0, poisson: false };
        plan.threads = 2;
        (plan.chaos.reset, plan.chaos.half_close, plan.chaos.slow_readers) = (3, 3, 2);
        run(&plan)
    };
    let honest = chaotic(Lie::None);
    assert_eq!(honest.fault_count, 0, "{}", said(&honest));
    assert_eq!((honest.ended_by_reset, honest.ended_by_half_close, honest.ended_as_slow_readers), (3, 3, 2));
    assert!(said(&honest).contains("3 broken off by us, 3 half-closed by us, 2 slow readers, as asked"));
    let lied_to = chaotic(Lie::FlippedBit);
    assert_eq!(lied_to.verdict, Verdict::Wrong);
    // The four that are to be measured, and whichever of the others came so far.
    for connection in 8..12 {
        let fault = lied_to.faults.iter().find(|fault| fault.connection == connection).unwrap();
        assert_eq!((&*fault.kind, fault.sequence), ("altered", AT), "{}", said(&lied_to));
    }
}
