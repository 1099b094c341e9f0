//! `unstick trace --scenario`: what happens is what the scenario is about, and tshark, with our dissector, sees the same.

use std::fs;
use std::path::Path;

use unstick::trace::live::Scenario;
use unstick::trace::{Capture, Direction, Flag, Mark, Segment, Trace, from_json};

use crate::harness::{Folder, run};
use crate::{oracle, tools};

/// All scenarios in one capture, as the program saw them; nothing if there can be no namespace here.
fn record(folder: &Folder) -> Option<Vec<Trace>> {
    let [pcap, json] = ["all.pcap", "all.json"].map(|name| folder.0.join(name));
    let args = ["trace", "--scenario", "all", "--save", pcap.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let ran = run(&args, b"");
    if ran.code != 0 && ran.err.contains("namespace") {
        assert!(std::env::var_os("CI").is_none(), "{}", ran.err);
        eprintln!("LEFT OUT: {}", ran.err);
        return None;
    }
    assert_eq!((ran.code, &*ran.err), (0, ""));
    for scenario in Scenario::ALL {
        assert!(ran.text().contains(&format!("{scenario}: {}", scenario.title())), "{scenario}");
    }
    let traces: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    Some(traces.iter().map(|trace| from_json(&trace.to_string()).unwrap()).collect())
}

#[test]
fn scenarios_happen_and_tshark_agrees() {
    let folder = Folder::new("live");
    let Some(traces) = record(&folder) else { return };
    assert_eq!(traces.len(), Scenario::ALL.len());
    for (scenario, trace) in Scenario::ALL.into_iter().zip(&traces) {
        is_sound(scenario, trace);
        is_about(scenario, trace);
        is_as_recorded(scenario, trace);
    }
    if tools::has(&["tshark"]) {
        let tshark = ["-ounstick.port:4700-4747"];
        oracle::agrees(&folder.0.join("all.pcap"), &["--port", "4747"], &tshark, &traces);
    }
}

/// What holds for all of them.
fn is_sound(scenario: Scenario, trace: &Trace) {
    let segments = &trace.segments;
    let of = |flags: &[Flag]| segments.iter().filter(|segment| segment.flags == flags).count();
    assert_eq!((of(&[Flag::Syn]), of(&[Flag::Syn, Flag::Ack])), (1, 1), "{scenario}");
    for segment in segments {
        assert!(segment.len <= 1460 && segment.captured == segment.len, "{scenario}: {segment:?}");
    }
    assert!(segments.is_sorted_by_key(|segment| segment.time), "{scenario}: time goes on");
    for direction in Direction::BOTH {
        let flow = trace.flow(direction);
        let reads = flow.reads.as_ref().expect("both ends are ours");
        assert_eq!((reads.iter().sum::<u64>(), flow.holes.len()), (flow.len, 0), "{scenario}");
    }
}

/// What each is about.
fn is_about(scenario: Scenario, trace: &Trace) {
    let frames = |way| trace.frames.iter().filter(move |frame| frame.direction == way);
    let marked = |mark| trace.segments.iter().filter(|segment| segment.is(mark)).count();
    let (to_server, to_client) = (Direction::ToServer, Direction::ToClient);
    let count = (frames(to_server).count(), frames(to_client).count());
    let fins: Vec<usize> = (0..trace.segments.len()).filter(|&at| trace.segments[at].has(Flag::Fin)).collect();
    match scenario {
        Scenario::Greeting => assert_eq!(count, (1, 2)),
        Scenario::Sticky => {
            assert_eq!(count, (5, 5));
            assert!(frames(to_server).all(|frame| frame.stuck && !frame.split));
            assert_eq!(trace.to_server.reads.as_deref(), Some(&[33][..]));
        }
        Scenario::Split => {
            let segments: Vec<usize> = frames(to_server).map(|frame| frame.segments.len()).collect();
            assert_eq!(segments, [3, 1, 2, 2]);
        }
        Scenario::HalfClose => {
            assert_eq!(count, (3, 3));
            assert!(frames(to_client).all(|frame| frame.whole_with > fins[0]), "the client has finished before");
        }
        Scenario::FourWay => {
            let last = &trace.segments[trace.segments.len() - 4..];
            let is = |segment: &Segment| (segment.direction, segment.has(Flag::Fin));
            let expected = [(to_server, true), (to_client, false), (to_client, true), (to_server, false)];
            assert_eq!(last.iter().map(is).collect::<Vec<_>>(), expected);
        }
        Scenario::Reset => {
            assert!(trace.segments.last().unwrap().has(Flag::Rst) && fins.is_empty());
            assert_eq!((count, trace.to_server.len), ((1, 1), 18));
        }
        Scenario::Window => {
            assert!(marked(Mark::ZeroWindow) > 0);
            assert_eq!((count, trace.to_client.len), ((1, 3), 12_012));
        }
        Scenario::Retransmit => {
            assert!(marked(Mark::Retransmission) > 0);
            assert_eq!((count, trace.to_server.len), ((3, 3), 38));
        }
        Scenario::Tutorial => {
            let texts: Vec<&str> = frames(to_server).map(|frame| frame.text.as_deref().unwrap()).collect();
            let sent: Vec<String> = (0..100).map(|number| format!("客户端发送了消息{number}")).collect();
            assert_eq!(texts, sent);
            assert_eq!((trace.to_client.len, trace.to_client.first_frame), (23, Some(23)));
        }
        _ => panic!("{scenario} is new"),
    }
}

/// The committed recording, which docs/pictures draws, is of the same exchange. Times, ports, and where the bytes were cut differ.
fn is_as_recorded(scenario: Scenario, trace: &Trace) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{scenario}.json"));
    let recorded = from_json(&fs::read_to_string(path).unwrap()).unwrap();
    let marks = |trace: &Trace| -> Vec<(Direction, Flag)> {
        let flags = [Flag::Syn, Flag::Fin, Flag::Rst];
        let of = |segment: &Segment| flags.map(|flag| segment.has(flag).then_some((segment.direction, flag)));
        trace.segments.iter().flat_map(of).flatten().collect()
    };
    assert_eq!(marks(trace), marks(&recorded), "{scenario}: cargo xtask pictures records it again");
    for direction in Direction::BOTH {
        let frames = |trace: &Trace| -> Vec<(u64, u64, Option<String>)> {
            let of_it = trace.frames.iter().filter(|frame| frame.direction == direction);
            of_it.map(|frame| (frame.offset, frame.payload_len, frame.text.clone())).collect()
        };
        assert_eq!(frames(trace), frames(&recorded), "{scenario}: cargo xtask pictures records it again");
        assert_eq!(trace.flow(direction).len, recorded.flow(direction).len, "{scenario}");
    }
}

/// One scenario is one trace; the JSON is not an array then.
#[test]
fn one_scenario_is_the_default_and_one_trace() {
    let ran = run(&["trace", "--json", "-"], b"");
    if ran.code != 0 && ran.err.contains("namespace") && std::env::var_os("CI").is_none() {
        eprintln!("LEFT OUT: {}", ran.err);
        return;
    }
    assert_eq!(ran.code, 0, "{}", ran.err);
    let trace = from_json(ran.text()).unwrap();
    assert_eq!((trace.server.port(), trace.frames.len()), (4747, 100));
    assert!(ran.err.contains("tutorial: "), "{}", ran.err);

    let ran = run(&["trace", "--scenario", "reset", "--save", "-"], b"");
    assert!(ran.code == 0 && ran.err.contains("reset: "), "{}", ran.err);
    assert_eq!(Capture::read(&ran.out).unwrap().connections().len(), 1);
    let two = run(&["trace", "--scenario", "reset", "--save", "-", "--json", "-"], b"");
    assert!(two.code == 2 && two.err.contains("only one of "), "{}", two.err);
}
