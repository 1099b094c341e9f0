//! Frames over segments: stuck, split, unfinished, wrong, and with bytes that are missing.

use unstick::framing::{Endian, Format, Layout};
use unstick::trace::{EndingKind, Part, Reading, State, Trace, text};

use crate::wire::{ACK, FIN, From, PSH, SYN, Talk, frames};

/// Four frames in three segments of the client, and an answer. One segment comes twice.
fn sticky() -> Talk {
    let wire = frames(Format::U32_LE, &["你好".as_bytes(), b"two", b"three", b"four"]);
    let mut talk = Talk::open();
    talk.send(From::Client, PSH | ACK, 1, 1, &wire[..20]);
    talk.send(From::Server, ACK, 1, 21, b"");
    talk.send(From::Client, PSH | ACK, 21, 1, &wire[20..27]);
    talk.send(From::Client, PSH | ACK, 21, 1, &wire[20..27]);
    talk.send(From::Client, PSH | ACK, 28, 1, &wire[27..]);
    talk.send(From::Server, PSH | ACK, 1, 1 + wire.len() as i64, b"hello\x02\0\0\0ok");
    talk
}

fn closed(mut talk: Talk) -> Talk {
    talk.send(From::Client, FIN | ACK, 35, 12, b"");
    talk.send(From::Server, ACK, 12, 36, b"");
    talk.send(From::Server, FIN | ACK, 12, 36, b"");
    talk.send(From::Client, ACK, 36, 13, b"");
    talk
}

#[test]
fn frames_that_stick_and_split_are_found_with_their_segments() {
    let mut reading = Reading::new(Format::U32_LE);
    reading.greeting = 5;
    let trace = closed(sticky()).trace(&reading);
    let found: Vec<_> = trace
        .frames
        .iter()
        .map(|frame| (frame.offset, frame.payload_len, &*frame.segments, frame.split, frame.stuck))
        .collect();
    assert_eq!(
        found,
        [
            (0, 6, &[3][..], false, true),
            (10, 3, &[3], false, true),
            (17, 5, &[3, 5], true, true),
            (26, 4, &[5, 7], true, true),
            (5, 2, &[8], false, false),
        ]
    );
    let captions: Vec<String> = trace.segments[3..9].iter().map(|segment| trace.caption(segment)).collect();
    assert_eq!(
        captions,
        ["2 whole + head of #3", "", "tail of #3 + head of #4", "7 B again", "tail of #4", "5 B unframed + 1 whole"]
    );
    let texts: Vec<&str> = trace.frames.iter().map(|frame| frame.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["你好", "two", "three", "four", "ok"]);
    let whole: Vec<usize> = trace.frames.iter().map(|frame| frame.whole_with).collect();
    assert_eq!(whole, [3, 3, 5, 7, 8]);
    assert_eq!((trace.to_server.end.kind, trace.to_server.end.offset), (EndingKind::Whole, 34));
    let end = trace.segments.last().unwrap().states;
    assert_eq!((end.client, end.server), (State::TimeWait, State::Closed));
}

#[test]
fn the_text_shows_the_same() {
    let mut reading = Reading::new(Format::U32_LE);
    reading.greeting = 5;
    let expected = "\
stream 0: client 192.168.0.2:41234, server 192.168.0.1:4747; frames are u32le

   #       time  client        states as seen from one place          server
                 CLOSED                                               LISTEN
   1   0.000000  SYN_SENT      ─ SYN seq 0 ────────────────────────▶
   2   0.000010                ◀────────────── SYN ACK seq 0 ack 1 ─  SYN_RECEIVED
";
    let shown = text(&closed(sticky()).trace(&reading));
    assert_eq!(shown.lines().take(6).collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
    for part in ["2 whole + head of #3", "LAST_ACK", "\"你好\"", "4, 6", "the first 5 bytes are before"] {
        assert!(shown.contains(part), "nothing of {part}");
    }
}

#[test]
fn a_stream_that_ends_inside_a_frame_says_so() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x02hi\x05wor");
    let trace = talk.trace(&Reading::new(Format::U8));
    let end = &trace.to_server.end;
    assert_eq!((end.kind, end.offset), (EndingKind::Unfinished, 3));
    assert_eq!(end.text, "the stream ended inside a frame: 2 of 6 bytes missing");
    let parts: Vec<_> = trace.segments[3].runs.iter().map(|run| (run.len, run.part)).collect();
    assert_eq!(parts, [(3, Part::Frame), (4, Part::Unfinished)]);
    assert!(text(&trace).contains("at byte 3: the last frame is not whole: the stream ended"));
}

#[test]
fn bytes_that_are_no_frames_are_shown_with_the_decoders_words() {
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\0\x01xGET / HTTP/1.1");
    let mut reading = Reading::new(Format::U16_BE.with_max_payload_len(100).unwrap());
    let trace = talk.trace(&reading);
    let end = &trace.to_server.end;
    assert_eq!((end.kind, end.offset), (EndingKind::Malformed, 3));
    assert_eq!(
        end.text,
        "a payload of 18245 bytes is over the limit of 100 (header 47 45: looks like text without framing)"
    );
    assert_eq!(trace.segments[3].runs[1].part, Part::Undecoded);
    // Where the decoder begins later, the offset is that of the stream.
    reading.boundaries = Some([3, 0]);
    let end = talk.trace(&reading).to_server.end;
    assert_eq!((end.kind, end.offset), (EndingKind::Malformed, 3));
    assert!(end.text.starts_with("a payload of 18245 bytes"), "{}", end.text);
}

#[test]
fn a_capture_that_begins_late_has_no_frames_without_a_boundary() {
    let mut talk = Talk::new();
    talk.send(From::Client, ACK, 500, 900, b"lo\x02hi");
    talk.send(From::Server, ACK, 900, 505, b"\x02ok");
    let trace = talk.trace(&Reading::new(Format::U8));
    assert_eq!((trace.frames.len(), trace.to_server.end.kind), (0, EndingKind::NoBoundary));
    assert_eq!((trace.to_server.first_frame, trace.to_server.has_start), (None, false));
    assert_eq!((trace.segments[0].seq, trace.segments[0].ack, trace.segments[1].ack), (1, Some(1), Some(6)));
    assert!(trace.notes[0].text.contains("has no SYN"), "{:?}", trace.notes);
    let mut reading = Reading::new(Format::U8);
    reading.boundaries = Some([2, 0]);
    let trace = talk.trace(&reading);
    let offsets: Vec<u64> = trace.frames.iter().map(|frame| frame.offset).collect();
    assert_eq!(offsets, [2, 0]);
    assert_eq!(trace.caption(&trace.segments[0]), "2 B unframed + 1 whole");
}

/// The SYN+ACK shows with what number the client began.
#[test]
fn a_syn_and_ack_is_the_beginning_of_both() {
    let mut talk = Talk::new();
    talk.send(From::Server, SYN | ACK, 0, 1, b"");
    talk.send(From::Client, ACK, 1, 1, b"\x02hi");
    let trace = talk.trace(&Reading::new(Format::U8));
    assert_eq!((trace.frames.len(), trace.to_server.has_start, trace.to_client.has_start), (1, true, true));
    assert_eq!((trace.states.client, trace.states.server), (State::SynSent, State::Listen));
}

/// A length that is known leads over bytes that are not; a header that is not known ends the frames.
#[test]
fn missing_bytes_in_a_payload_are_bridged_and_others_are_not() {
    let trace = |second: Option<&[u8]>| -> Trace {
        let mut talk = Talk::open();
        talk.send(From::Client, ACK, 1, 1, b"\x06ab");
        if let Some(second) = second {
            talk.send(From::Client, ACK, 4, 1, second);
        }
        talk.send(From::Client, ACK, 8, 1, b"\x01z");
        talk.trace(&Reading::new(Format::U8))
    };
    let whole = trace(Some(b"cdef"));
    assert_eq!((whole.frames.len(), whole.frames[0].missing), (2, 0));
    let bridged = trace(None);
    assert_eq!((bridged.frames.len(), bridged.frames[0].missing, bridged.frames[1].missing), (2, 4, 0));
    assert_eq!((bridged.frames[0].text.as_deref(), &*bridged.frames[0].segments), (Some("ab"), &[3][..]));

    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x02ab");
    talk.send(From::Client, ACK, 8, 1, b"\x01z");
    let trace = talk.trace(&Reading::new(Format::U8));
    let end = &trace.to_server.end;
    assert_eq!((trace.frames.len(), end.kind, end.offset), (1, EndingKind::Missing, 3));
    assert_eq!(end.text, "not captured: 4 bytes from byte 3 on");
    assert_eq!(trace.segments[4].runs[0].part, Part::Undecoded);
}

#[test]
fn packets_that_are_cut_short_still_show_their_frames() {
    let mut talk = Talk::open();
    let wire = frames(Format::U32_LE, &[&[b'a'; 300], b"bye"]);
    let first = talk.send(From::Client, ACK, 1, 1, &wire[..304]);
    first.bytes.truncate(40 + 20);
    talk.send(From::Client, ACK, 305, 1, &wire[304..]);
    let trace = talk.trace(&Reading::new(Format::U32_LE));
    let found: Vec<_> = trace.frames.iter().map(|frame| (frame.payload_len, frame.missing)).collect();
    assert_eq!(found, [(300, 284), (3, 0)]);
    assert_eq!((trace.frames[0].text.as_deref(), trace.segments[3].captured), (Some("a".repeat(16).as_str()), 20));
    assert!(
        trace.notes[0].text.contains("cut off by the capture: 284 bytes to the server, in 1 place"),
        "{:?}",
        trace.notes
    );
}

#[test]
fn trailers_varints_and_prefixes_are_parts_of_frames() {
    let layout = Layout::fixed(2, Endian::Big).offset(3).trailer(2);
    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"pre\0\x02hi");
    talk.send(From::Client, ACK, 8, 1, b"!!");
    let trace = talk.trace(&Reading::new(Format::new(layout, 100).unwrap()));
    let frame = &trace.frames[0];
    assert_eq!([frame.header_len, frame.payload_len, frame.trailer_len], [5, 2, 2]);
    assert_eq!((&*frame.segments, &*trace.format), (&[3, 4][..], &*layout.to_string()));

    let mut talk = Talk::open();
    talk.send(From::Client, ACK, 1, 1, b"\x80");
    talk.send(From::Client, ACK, 2, 1, &[&[1][..], &[b'x'; 128]].concat());
    let trace = talk.trace(&Reading::new(Format::VARINT));
    assert_eq!((trace.frames[0].header_len, trace.frames[0].payload_len, trace.frames[0].split), (2, 128, true));
}

/// From a hello of TLS on, nothing is taken for frames, but for TLS's own records.
#[test]
fn what_tls_encrypts_is_no_frames() {
    let hello = |kind| [&[22, 3, 1, 0, 6, kind, 0, 0, 2, 3, 3][..], &[23, 3, 3, 0, 2, 0, 0]].concat();
    let mut talk = Talk::open();
    let plain = frames(Format::U8, &[b"may I?"]);
    talk.send(From::Client, PSH | ACK, 1, 1, &plain);
    talk.send(From::Server, PSH | ACK, 1, 8, b"S");
    talk.send(From::Client, PSH | ACK, 8, 2, &hello(1));
    talk.send(From::Server, PSH | ACK, 2, 26, &hello(2));
    let trace = talk.trace(&Reading::new(Format::U8));
    let captions: Vec<String> = trace.segments[3..].iter().map(|segment| trace.caption(segment)).collect();
    assert_eq!(captions, ["1 whole", "1 B undecoded", "18 B encrypted", "18 B encrypted"]);
    let ends = [&trace.to_server.end, &trace.to_client.end].map(|end| (end.kind, end.offset));
    assert_eq!(ends, [(EndingKind::Encrypted, 7), (EndingKind::Encrypted, 1)]);
    let said = "at byte 7: encrypted: TLS begins here, and is not decrypted; the format offset=3,width=2,endian=be,";
    assert!(text(&trace).contains(said), "{}", text(&trace));

    let mut talk = Talk::open();
    talk.send(From::Client, PSH | ACK, 1, 1, &hello(1));
    let records = Format::new("offset=3,width=2,endian=be".parse().unwrap(), 1 << 14).unwrap();
    assert_eq!(talk.trace(&Reading::new(records)).frames.len(), 2);
    // A message that is longer than its record, as other bytes may say, is no hello.
    let mut talk = Talk::open();
    talk.send(From::Client, PSH | ACK, 1, 1, &[22, 3, 1, 0, 6, 1, 0, 0, 3, 3, 3]);
    assert_eq!(talk.trace(&Reading::new(Format::U8)).to_server.end.kind, EndingKind::Unfinished);
}
