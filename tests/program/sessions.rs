//! Sessions of other programs: DNS over TCP and PostgreSQL. tshark, with our dissector, finds the frames that we find.

use std::fs;
use std::path::Path;
use std::process::Command;

use unstick::trace::{Direction, Trace, from_json};

use crate::harness::{Folder, run};
use crate::oracle;

/// PostgreSQL's messages after the first one, which has no type.
const POSTGRESQL: &str = "offset=1,width=4,endian=be,adjustment=-4";

fn trace(pcap: &Path, args: &[&str]) -> Trace {
    let ran = run(&[&["trace", "--pcap", pcap.to_str().unwrap(), "--json", "-"], args].concat(), b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    from_json(ran.text()).unwrap()
}

#[test]
#[ignore = "needs dnsmasq, dig, PostgreSQL and tshark: .ci/full"]
fn sessions_of_other_programs() {
    let folder = Folder::new("sessions");
    let ran = Command::new("sh").arg("tests/program/sessions.sh").arg(&folder.0).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    dns(&folder.0.join("dns.pcap"));
    postgresql(&folder.0.join("postgresql.pcap"), &folder.0.join("cut.pcap"));
}

/// Seven questions and seven answers, one of which takes more than a segment.
fn dns(pcap: &Path) {
    let format = ["--format", "u16be", "--port", "5300"];
    let trace = trace(pcap, &format);
    let count = |way| trace.frames.iter().filter(|frame| frame.direction == way).count();
    assert_eq!((count(Direction::ToServer), count(Direction::ToClient)), (7, 7));
    assert!(trace.frames.iter().any(|frame| frame.split), "none is longer than a segment");
    oracle::agrees(pcap, &format, &[], &[trace]);
}

/// With an offset, the client's first message is passed over. For tshark it is cut off, with all before it.
fn postgresql(pcap: &Path, cut: &Path) {
    let whole = trace(pcap, &["--format", POSTGRESQL]);
    let first = whole.segments.iter().position(|segment| segment.len > 0).unwrap();
    let offset = format!("{},0", whole.segments[first].len);
    let whole = trace(pcap, &["--format", POSTGRESQL, "--offset", &offset]);
    // A header of 24 bytes, and one of 16 for each packet, with its length.
    let file = fs::read(pcap).unwrap();
    let len_at = |at: usize| u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
    let rest = (0..=first).fold(24, |at, _| at + 16 + len_at(at));
    fs::write(cut, [&file[..24], &file[rest..]].concat()).unwrap();
    let late = trace(cut, &["--format", POSTGRESQL, "--port", "5400", "--offset", "0"]);

    let lens = |trace: &Trace| -> Vec<_> {
        trace.frames.iter().map(|frame| (frame.direction, frame.payload_len, frame.text.clone())).collect()
    };
    assert_eq!(lens(&whole), lens(&late));
    assert!(late.frames.len() > 200 && late.frames.iter().any(|frame| frame.split), "{}", late.frames.len());
    let dissector = ["--port", "5400", "--format", POSTGRESQL];
    oracle::agrees(cut, &dissector, &["-ounstick.midstream:TRUE"], &[late]);
}
