//! `unstick trace --scenario`: what happens is what the scenario is about, and tshark, with our dissector, sees the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use unstick::trace::live::Scenario;
use unstick::trace::{Direction, Flag, Mark, Segment, Trace, from_json};

use crate::harness::{Folder, run};
use crate::tools;

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
    }
    if tools::has(&["tshark"]) {
        agrees(&folder.0, &traces);
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

/// What tshark says of a packet: its stream, flags, sequence and acknowledgement numbers, length, and frames.
#[derive(Debug, PartialEq)]
struct Seen {
    stream: usize,
    flags: Vec<Flag>,
    seq: i64,
    ack: Option<i64>,
    len: u64,
    /// The length of each frame that is whole with it, and of its payload.
    frames: Vec<(u64, u64)>,
}

fn agrees(folder: &Path, traces: &[Trace]) {
    let script = folder.join("unstick.lua");
    let ran = run(&["dissector", "--port", "4747"], b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::write(&script, &ran.out).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.arg(format!("-Xlua_script:{}", script.display())).arg("-ounstick.port:4700-4747");
    tshark.args(["-otcp.reassemble_out_of_order:TRUE", "-Tfields"]).arg("-r").arg(folder.join("all.pcap"));
    for field in ["stream", "flags", "seq", "ack", "len", "pdu.size"] {
        tshark.arg(format!("-etcp.{field}"));
    }
    let ended = tshark.arg("-eunstick.payload_len").stdin(Stdio::null()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let theirs: Vec<Seen> = String::from_utf8(ended.stdout).unwrap().lines().map(seen).collect();
    let ours: Vec<Seen> = traces.iter().enumerate().flat_map(|(stream, trace)| ours(stream, trace)).collect();
    for (number, (ours, theirs)) in (1..).zip(ours.iter().zip(&theirs)) {
        assert_eq!(ours, theirs, "packet {number}");
    }
    assert_eq!(ours.len(), theirs.len());
}

fn seen(line: &str) -> Seen {
    let fields: Vec<&str> = line.split('\t').collect();
    let numbers = |text: &str| {
        text.split(',').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect::<Vec<u64>>()
    };
    let bits = u16::from_str_radix(fields[1].trim_start_matches("0x"), 16).unwrap();
    let all = [Flag::Fin, Flag::Syn, Flag::Rst, Flag::Psh, Flag::Ack, Flag::Urg, Flag::Ece, Flag::Cwr];
    let flags: Vec<Flag> =
        all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, flag)| flag).collect();
    Seen {
        stream: fields[0].parse().unwrap(),
        seq: fields[2].parse().unwrap(),
        ack: flags.contains(&Flag::Ack).then(|| fields[3].parse().unwrap()),
        flags,
        len: fields[4].parse().unwrap(),
        frames: numbers(fields[5]).into_iter().zip(numbers(fields[6])).collect(),
    }
}

fn ours(stream: usize, trace: &Trace) -> Vec<Seen> {
    let seen = |(index, segment): (usize, &Segment)| {
        let frames = trace.frames.iter().filter(|frame| frame.whole_with == index);
        let mut flags = segment.flags.clone();
        flags.sort_by_key(|flag| {
            [Flag::Fin, Flag::Syn, Flag::Rst, Flag::Psh, Flag::Ack].iter().position(|known| known == flag)
        });
        Seen {
            stream,
            flags,
            seq: segment.seq,
            ack: segment.ack,
            len: segment.len,
            frames: frames.map(|frame| (frame.end() - frame.offset, frame.payload_len)).collect(),
        }
    };
    trace.segments.iter().enumerate().map(seen).collect()
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
}
