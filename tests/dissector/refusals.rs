//! What is not dissected: bytes that are no frames, streams without a beginning, frames that cannot be put together.

use unstick::framing::{Encoder, Format};

use crate::pcap::Pcap;
use crate::tools::has;
use crate::tshark::{frames, run};

fn stream(payloads: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for payload in payloads {
        Encoder::new(Format::U32_LE).encode(payload, &mut stream).unwrap();
    }
    stream
}

/// Frames before it are shown; what follows in this direction is not searched.
#[test]
fn the_first_error_is_shown_with_its_numbers_and_is_final() {
    if !has(&["tshark"]) {
        return;
    }
    let mut pcap = Pcap::new();
    let mut connection = pcap.open(1000, 0);
    let good = stream(&[b"hello"]);
    let bad = pcap.send(&mut connection, &[&good[..], b"GET / HTTP/1.1\r\n"].concat(), usize::MAX);
    let after = pcap.send(&mut connection, &good, usize::MAX);
    // Another connection is not concerned.
    let mut connection = pcap.open(1001, 0);
    let other = pcap.send(&mut connection, &good, usize::MAX);
    // It has three packets before it.
    assert_eq!(other, after + 4);
    for more in [&[][..], &["-2"]] {
        let found = frames("error", Format::U32_LE, &pcap, more);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(bad, vec![(9, 5)]), (other, vec![(9, 5)])], "{more:?}");
        let args = [&["-Tfields", "-eframe.number", "-e_ws.expert.message", "-Yxy.bad || xy.after"], more].concat();
        let out = run("error-text", Format::U32_LE, &pcap, &args);
        let reason = "a payload of 542393671 bytes is over the limit of 1048576";
        assert_eq!(out, format!("{bad}\t{reason}\n{after}\tno frames are found after packet {bad}\n"), "{more:?}");
    }
}

#[test]
fn a_stream_without_a_beginning_is_dissected_if_asked_for() {
    if !has(&["tshark"]) {
        return;
    }
    let mut pcap = Pcap::new();
    let mut connection = pcap.join(1000);
    let first = pcap.send(&mut connection, &stream(&[b"one", b"two"]), usize::MAX);
    pcap.send(&mut connection, &stream(&[b"three"]), usize::MAX);
    assert!(frames("midstream", Format::U32_LE, &pcap, &[]).is_empty());
    let out = run("midstream-text", Format::U32_LE, &pcap, &["-Tfields", "-e_ws.expert.message"]);
    assert_eq!(out.matches("the capture has no beginning of this stream").count(), 2, "{out}");
    let found = frames("midstream-anyway", Format::U32_LE, &pcap, &["-oxy.midstream:TRUE"]);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(first, vec![(7, 3), (7, 3)]), (first + 1, vec![(9, 5)])]);
}

/// A frame of which the capture has only a part is not guessed, nor what follows it.
#[test]
fn segments_that_were_cut_short_end_the_frames() {
    if !has(&["tshark"]) {
        return;
    }
    let all = stream(&[b"one", b"two"]);
    // IP and TCP have 40 bytes. Without one byte of the segment, nobody is asked to dissect it.
    for snap in 41..40 + all.len() {
        let mut pcap = Pcap::new();
        let mut connection = pcap.open(1000, 0);
        let first = pcap.send(&mut connection, &all, snap);
        pcap.send(&mut connection, &all, usize::MAX);
        let found = frames(&format!("snap-{snap}"), Format::U32_LE, &pcap, &[]);
        let expected = if snap >= 47 { vec![(first, vec![(7, 3)])] } else { vec![] };
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{snap}");
    }
}

/// Without reassembly, by our preference or by TCP's, only frames in one segment are shown, up to the first that is cut.
#[test]
fn without_reassembly_there_is_no_failure() {
    if !has(&["tshark"]) {
        return;
    }
    let all = stream(&[b"one", b"two", b"three"]);
    let mut pcap = Pcap::new();
    let mut connection = pcap.open(1000, 0);
    let first = pcap.send(&mut connection, &all[..10], usize::MAX);
    pcap.send(&mut connection, &all[10..], usize::MAX);
    for off in ["-oxy.reassemble:FALSE", "-otcp.desegment_tcp_streams:FALSE"] {
        let found = frames("apart", Format::U32_LE, &pcap, &[off]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(first, vec![(7, 3)])], "{off}");
    }
}

#[test]
fn the_port_is_a_preference_and_decode_as_works() {
    if !has(&["tshark"]) {
        return;
    }
    let mut pcap = Pcap::new();
    let mut connection = pcap.open(1000, 0);
    let packet = pcap.send(&mut connection, &stream(&[b"one"]), usize::MAX);
    let found = |args: &[&str]| frames("port", Format::U32_LE, &pcap, args).contains_key(&packet);
    assert!(found(&[]));
    assert!(!found(&["-oxy.port:5000"]));
    assert!(found(&["-oxy.port:5000", "-dtcp.port==1000,xy"]));
    assert!(found(&["-oxy.port:1-3,4000-5000"]));
    // It is offered inside TLS.
    assert!(found(&["-dtls.port==4748,xy"]));
}
