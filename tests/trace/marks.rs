//! What is special about segments: each mark where it belongs, and no byte counted twice.

use unstick::framing::Format;
use unstick::trace::{HoleCause, Mark, Reading, State, Trace};

use crate::wire::{ACK, FIN, From, PSH, RST, SYN, Talk};

/// The marks of the segments after the three that open the connection.
fn marks(trace: &Trace) -> Vec<&[Mark]> {
    trace.segments[3..].iter().map(|segment| &*segment.marks).collect()
}

fn bytes_of(from: From, trace: &Trace) -> u64 {
    if from == From::Client { trace.to_server.len } else { trace.to_client.len }
}

fn u8s() -> Reading {
    Reading::new(Format::U8)
}

#[test]
fn bytes_that_are_sent_again_are_marked() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x04abcd");
    talk.send(From::Client, ACK, 1, 1, b"\x04abcd");
    talk.send(From::Client, ACK, 4, 1, b"cd\x01e");
    talk.send(From::Server, ACK, 1, 8, b"");
    talk.send(From::Client, PSH | ACK, 6, 1, b"\x01e");
    talk.send(From::Client, ACK, 4, 1, b"cX");
    let trace = talk.trace(&u8s());
    assert_eq!(
        marks(&trace),
        [
            &[][..],
            &[Mark::Retransmission],
            &[Mark::PartialRetransmission],
            &[],
            &[Mark::SpuriousRetransmission],
            &[Mark::SpuriousRetransmission]
        ]
    );
    let frames: Vec<_> = trace.frames.iter().map(|frame| (frame.offset, &*frame.segments)).collect();
    assert_eq!((bytes_of(From::Client, &trace), frames), (7, vec![(0, &[3][..]), (5, &[5])]));
    let captions: Vec<String> = trace.segments[3..].iter().map(|segment| trace.caption(segment)).collect();
    assert_eq!(captions, ["1 whole", "5 B again", "2 B again + 1 whole", "", "2 B again", "2 B again"]);
    assert_eq!((trace.notes.len(), trace.notes[0].segment), (1, Some(8)), "other content: {:?}", trace.notes);
}

#[test]
fn segments_out_of_order_and_missing_ones_are_marked() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 4, 1, b"cd");
    talk.send(From::Server, ACK, 1, 1, b"");
    talk.send(From::Server, ACK, 1, 1, b"");
    talk.send(From::Client, ACK, 1, 1, b"\x04ab");
    talk.send(From::Client, ACK, 10, 1, b"z");
    talk.send(From::Server, ACK, 1, 20, b"");
    let trace = talk.trace(&u8s());
    assert_eq!(
        marks(&trace),
        [
            &[Mark::MissingBefore][..],
            &[Mark::DuplicateAck],
            &[Mark::DuplicateAck],
            &[Mark::OutOfOrder],
            &[Mark::MissingBefore],
            &[]
        ]
    );
    assert_eq!((&*trace.frames[0].segments, trace.frames[0].whole_with), (&[6, 3][..], 6));
    let hole = trace.to_server.holes[0];
    assert_eq!((trace.to_server.holes.len(), hole.offset, hole.len, hole.cause), (1, 5, 4, HoleCause::Missing));
    let notes: Vec<&str> = trace.notes.iter().map(|note| &*note.text).collect();
    assert_eq!(
        notes,
        [
            "not in the capture: 4 bytes to the server, in 1 place",
            "acknowledged, but not in the capture: 9 bytes to the server"
        ]
    );
}

#[test]
fn a_packet_that_is_captured_twice_is_a_duplicate() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x01a");
    let again = talk.packets.last().unwrap().clone();
    talk.packets.push(again);
    talk.send(From::Server, ACK, 1, 3, b"");
    let again = talk.packets.last().unwrap().clone();
    talk.packets.push(again);
    assert_eq!(marks(&talk.trace(&u8s())), [&[][..], &[Mark::Duplicate], &[], &[Mark::Duplicate]]);
}

#[test]
fn keep_alives_are_marked_and_their_byte_does_not_count() {
    for garbage in [&b""[..], b"?"] {
        let mut talk = Talk::open();
        talk.send(From::Client, ACK, 0, 1, garbage); // before any byte
        talk.send(From::Server, ACK, 1, 1, b"");
        talk.send(From::Client, ACK, 1, 1, b"\x01a");
        talk.send(From::Server, ACK, 1, 3, b"");
        talk.send(From::Client, ACK, 2, 1, garbage);
        talk.send(From::Server, ACK, 1, 3, b"");
        let trace = talk.trace(&u8s());
        let ask = [&[Mark::KeepAlive][..], &[Mark::KeepAliveAck]];
        assert_eq!(marks(&trace), [ask[0], ask[1], &[], &[], ask[0], ask[1]]);
        assert_eq!((bytes_of(From::Client, &trace), trace.frames.len()), (2, 1));
    }
}

#[test]
fn a_connection_that_idles_when_the_capture_begins_has_no_byte() {
    let mut talk = Talk::new();
    talk.send(From::Server, ACK, 900, 500, b"");
    talk.send(From::Client, ACK, 499, 900, b"?");
    talk.send(From::Server, ACK, 900, 500, b"");
    let trace = talk.trace(&u8s());
    assert_eq!(trace.segments[1].marks, [Mark::KeepAlive]);
    assert_eq!((trace.to_server.len, trace.to_client.len), (0, 0));
}

/// A byte that is sent into a full window counts once, whether it was taken or not.
#[test]
fn zero_windows_and_probes_are_marked() {
    for was_taken in [false, true] {
        let mut talk = Talk::open();
        talk.send(From::Client, ACK, 1, 1, b"\x04ab");
        talk.window = 0;
        talk.send(From::Server, ACK, 1, 4, b"");
        talk.window = 1000;
        talk.send(From::Client, ACK, 3, 1, b"");
        talk.send(From::Client, ACK, 4, 1, b"c");
        talk.window = 500;
        talk.send(From::Server, ACK, 1, if was_taken { 5 } else { 4 }, b"");
        talk.window = 1000;
        let (seq, rest) = if was_taken { (5, &b"d"[..]) } else { (4, &b"cd"[..]) };
        talk.send(From::Client, ACK, seq, 1, rest);
        let trace = talk.trace(&u8s());
        let probe = &[Mark::ZeroWindowProbe][..];
        let answer = &[Mark::WindowUpdate][..];
        assert_eq!(
            marks(&trace),
            [&[][..], &[Mark::ZeroWindow], probe, probe, if was_taken { &[] } else { answer }, &[]]
        );
        let segments = if was_taken { &[3, 6, 8][..] } else { &[3, 8] };
        assert_eq!((bytes_of(From::Client, &trace), &*trace.frames[0].segments), (5, segments));
    }
}

#[test]
fn more_room_is_a_window_update_and_windows_are_scaled() {
    let mut talk = Talk::new();
    talk.options = vec![1, 3, 3, 7]; // a shift of 7
    talk.send(From::Client, SYN, 0, 0, b"");
    talk.send(From::Server, SYN | ACK, 0, 1, b"");
    talk.options.clear();
    talk.send(From::Client, ACK, 1, 1, b"");
    talk.window = 2000;
    talk.send(From::Client, ACK, 1, 1, b"");
    let trace = talk.trace(&u8s());
    let windows: Vec<u64> = trace.segments.iter().map(|segment| segment.window).collect();
    assert_eq!(windows, [1000, 1000, 128_000, 256_000]);
    assert_eq!(trace.segments[3].marks, [Mark::WindowUpdate]);
}

/// An answer to a probe may be that there is still no room; what comes after it is no answer.
#[test]
fn a_probe_has_one_answer() {
    let mut talk = Talk::open();
    talk.window = 0;
    talk.send(From::Client, ACK, 1, 1, b"");
    talk.window = 1000;
    talk.send(From::Server, ACK, 0, 1, b"");
    talk.window = 0;
    talk.send(From::Client, ACK, 1, 1, b"");
    talk.window = 500;
    talk.send(From::Client, ACK, 1, 1, b"");
    talk.send(From::Client, ACK, 1, 1, b"");
    let full = &[Mark::ZeroWindow][..];
    assert_eq!(marks(&talk.trace(&u8s())), [full, &[Mark::ZeroWindowProbe], full, &[Mark::WindowUpdate], &[]]);
}

#[test]
fn what_the_network_card_cuts_is_offloaded() {
    let mut talk = Talk::new();
    talk.options = vec![2, 4, 0, 100]; // segments of up to 100 bytes
    talk.send(From::Client, SYN, 0, 0, b"");
    talk.send(From::Server, SYN | ACK, 0, 1, b"");
    talk.options.clear();
    talk.send(From::Client, ACK, 1, 1, &[0; 100]);
    talk.send(From::Client, ACK, 101, 1, &[0; 101]);
    let no_len = talk.send(From::Client, ACK, 202, 1, &[0; 7]);
    no_len.bytes[2..4].fill(0);
    let trace = talk.trace(&u8s());
    let expected = [&[][..], &[], &[], &[Mark::Offloaded], &[Mark::Offloaded]];
    assert_eq!(trace.segments.iter().map(|segment| &*segment.marks).collect::<Vec<_>>(), expected);
    assert_eq!((trace.segments[4].len, trace.to_server.len, trace.frames.len()), (7, 208, 208));
}

#[test]
fn an_ipv6_packet_without_a_length_has_the_one_that_was_captured() {
    let mut talk = Talk::new();
    talk.is_ipv6 = true;
    talk.shake_hands();
    talk.send(From::Client, ACK, 1, 1, b"\x02hi").bytes[4..6].fill(0);
    let trace = talk.trace(&u8s());
    assert_eq!((&*trace.segments[3].marks, trace.frames.len()), (&[Mark::Offloaded][..], 1));
    assert!(trace.client.is_ipv6());
}

#[test]
fn a_reset_closes_and_what_it_carries_is_no_stream() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x01a");
    talk.send(From::Server, RST | ACK, 1, 3, b"go away");
    let trace = talk.trace(&u8s());
    let last = &trace.segments[4];
    assert_eq!((last.states.client, last.states.server, last.len), (State::Closed, State::Closed, 7));
    assert!(last.runs.is_empty() && trace.to_client.len == 0);
}

#[test]
fn syn_and_fin_that_are_sent_again_are_retransmissions() {
    let mut talk = Talk::new();
    talk.send(From::Client, SYN, 0, 0, b"");
    talk.send(From::Client, SYN, 0, 0, b"");
    talk.send(From::Server, SYN | ACK, 0, 1, b"");
    talk.send(From::Client, ACK, 1, 1, b"");
    talk.send(From::Client, FIN | ACK, 1, 1, b"");
    talk.send(From::Client, FIN | ACK, 1, 1, b"");
    let trace = talk.trace(&u8s());
    let marked: Vec<usize> = (0..6).filter(|&index| trace.segments[index].is(Mark::Retransmission)).collect();
    assert_eq!(marked, [1, 5]);
    assert_eq!(trace.segments[5].states.client, State::FinWait1);
}

/// Found by the properties: the byte of a probe has its own place, whatever comes after it.
#[test]
fn a_probe_before_a_gap_counts_at_its_place() {
    let mut talk = Talk::open();
    talk.window = 0;
    talk.send(From::Server, ACK, 1, 1, b"");
    talk.send(From::Client, ACK, 1, 1, b"a");
    talk.send(From::Client, ACK, 100, 1, b"bcd");
    let trace = talk.trace(&u8s());
    let runs: Vec<_> =
        trace.segments.iter().flat_map(|segment| &segment.runs).map(|run| (run.offset, run.len)).collect();
    assert_eq!((trace.to_server.len, runs), (102, vec![(0, 1), (99, 3)]));
}
