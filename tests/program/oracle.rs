//! tshark, with our dissector, as an oracle of what `unstick trace` finds in a capture.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use unstick::trace::{Flag, Segment, Trace};

use crate::harness::run;

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

/// tshark finds what is in these traces, which are all connections of the capture: flags, numbers and lengths of each packet, and
/// the frames that are whole with it. The dissector and tshark have these arguments besides.
pub(crate) fn agrees(pcap: &Path, dissector: &[&str], tshark_args: &[&str], traces: &[Trace]) {
    let script = pcap.with_extension("lua");
    let ran = run(&[&["dissector"], dissector].concat(), b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::write(&script, &ran.out).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.arg(format!("-Xlua_script:{}", script.display())).args(tshark_args);
    tshark.args(["-otcp.reassemble_out_of_order:TRUE", "-Tfields"]).arg("-r").arg(pcap);
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
