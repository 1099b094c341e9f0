//! `unstick trace`: captures as text and as JSON, and what is refused.

use std::fs;
use std::path::PathBuf;

use unstick::framing::Format;
use unstick::trace::{from_json, text};

use crate::harness::{Folder, run};
use crate::wire::{ACK, FIN, From, Order, PSH, Talk, frames, pcap, pcapng};

/// A connection: a greeting that is no frame, three frames, and the close.
fn talk() -> Talk {
    let mut talk = Talk::open();
    talk.send(From::Server, PSH | ACK, 1, 1, b"hello");
    talk.send(From::Client, PSH | ACK, 1, 6, &frames(Format::U32_LE, &[b"one", "二".as_bytes()]));
    talk.send(From::Server, PSH | ACK, 6, 15, &frames(Format::U32_LE, &[b"ok"]));
    talk.send(From::Client, FIN | ACK, 15, 12, b"");
    talk
}

fn written(folder: &Folder, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.0.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_capture_is_shown_as_text_and_written_as_json() {
    let folder = Folder::new("trace");
    let file = pcapng(&talk().packets, Order::Little, 101, &[]);
    let path = written(&folder, "echo.pcapng", &file);
    let (path, json) = (path.to_str().unwrap(), folder.0.join("trace.json"));
    let ran = run(&["trace", "--pcap", path, "--greeting", "raw:5", "--json", json.to_str().unwrap()], b"");
    assert_eq!((ran.code, &*ran.err), (0, ""));
    for part in ["SYN_RECEIVED", "FIN_WAIT_1", "2 whole", "5 B unframed", "\"二\"", "frames to the client: 1"] {
        assert!(ran.text().contains(part), "nothing of {part}: {}", ran.text());
    }
    let trace = from_json(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((format!("{}\n", text(&trace)), trace.frames.len()), (ran.text().to_owned(), 3));

    let ran = run(&["trace", "--pcap", "-", "--greeting", "raw:5", "--json", "-"], &file);
    assert_eq!((ran.code, from_json(ran.text()).unwrap()), (0, trace));
    assert!(ran.err.contains("2 whole"), "{}", ran.err);
}

#[test]
fn a_connection_is_chosen_by_its_port_or_by_its_number() {
    let folder = Folder::new("trace_choice");
    let mut other = Talk::new();
    other.ports = [50_000, 53];
    other.shake_hands();
    other.send(From::Client, PSH | ACK, 1, 1, b"\0\x03dns");
    let packets = [talk().packets, other.packets].concat();
    let path = written(&folder, "two.pcap", &pcap(&packets, Order::Big, true, 101, &[], usize::MAX));
    let trace = |flags: &[&str]| run(&[&["trace", "--pcap", path.to_str().unwrap()], flags].concat(), b"");
    let ran = trace(&["--port", "53", "--format", "u16be"]);
    assert_eq!((ran.code, &*ran.err), (0, "unstick: stream 1 of 2 connections; --stream N shows another\n"));
    assert!(ran.text().contains("\"dns\""), "{}", ran.text());
    let ran = trace(&["--stream", "1", "--format", "u16be"]);
    assert!(ran.code == 0 && ran.err.is_empty() && ran.text().contains("\"dns\""), "{}", ran.err);
    for (flags, said) in [
        (["--stream", "2"], "two.pcap: there is no stream 2: the greatest number of a TCP connection here is 1"),
        (["--port", "80"], "two.pcap: no TCP connection has an end with the port 80, of 2"),
        (["--offset", "1,x"], "write a number of bytes"),
        (["--offset", "20"], "two.pcap: stream 0 has 14 bytes to the server and 11 to the client"),
        (["--greeting", "raw:x"], "write none, frame, or raw:N"),
    ] {
        let ran = trace(&flags);
        assert_eq!((ran.code, ran.text()), (2, ""), "{flags:?}");
        assert!(ran.err.contains(said) && ran.err.contains(flags[0]) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

#[test]
fn a_boundary_makes_frames_of_a_capture_that_begins_late() {
    let folder = Folder::new("trace_late");
    let packets = &talk().packets[4..];
    let path = written(&folder, "late.pcap", &pcap(packets, Order::Little, false, 101, &[], usize::MAX));
    let trace = |flags: &[&str]| run(&[&["trace", "--pcap", path.to_str().unwrap()], flags].concat(), b"");
    let ran = trace(&[]);
    assert!(ran.code == 0 && ran.text().contains("frames to the server: 0 in 14 bytes"), "{}", ran.text());
    assert!(ran.text().contains("where a frame begins is not known"), "{}", ran.text());
    let ran = trace(&["--offset", "7,0"]);
    assert!(ran.text().contains("7 B unframed + 1 whole") && ran.text().contains("\"ok\""), "{}", ran.text());
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = Folder::new("trace_wrong");
    let path = written(&folder, "text", b"not a capture");
    let ran = run(&["trace", "--pcap", path.to_str().unwrap()], b"");
    assert_eq!((ran.code, ran.text()), (1, ""));
    assert!(ran.err.contains("neither pcap nor pcapng: 13 bytes, which begin with 6e 6f 74 20"), "{}", ran.err);
    let ran = run(&["trace", "--pcap", "/nowhere/echo.pcap"], b"");
    assert!(ran.code == 1 && ran.err.starts_with("unstick: cannot read /nowhere/echo.pcap: "), "{}", ran.err);
}
