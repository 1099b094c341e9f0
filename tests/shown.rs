//! What types that hold received bytes, or bytes to send, show of them by `Debug`: lengths. Logs are read by others than those
//! whose payloads these are.

use std::fmt::Debug;

use bytes::Bytes;
use futures_lite::StreamExt;
use futures_lite::future::block_on;
use unstick::framing::{Decoder, Envelope, Format, Layout, Utf8Reader};
use unstick::{FrameReader, FrameWriter, FramedRead, FramedWrite, Greeting, NO_COPY_LEN, ServerConfig};

/// What a payload here is made of.
const BYTE: u8 = 250;

/// It shows this, and none of those bytes, however bytes are shown.
#[track_caller]
fn check(shown: &impl Debug, part: &str) {
    for text in [format!("{shown:?}"), format!("{shown:#?}"), format!("{shown:02x?}")] {
        for byte in ["250", "fa", "\\xfa", "\u{fffd}"] {
            let is_there = text.split(|c: char| !c.is_alphanumeric() && c != '\\').any(|word| word == byte);
            assert!(!is_there, "{byte} in {text}");
        }
    }
    assert!(format!("{shown:?}").contains(part), "nothing of {part:?} in {shown:?}");
}

/// A whole frame, and one of which a byte is missing.
fn wire() -> Vec<u8> {
    [&[7, 0, 0, 0][..], &[BYTE; 7], &[7, 0, 0, 0], &[BYTE; 6]].concat()
}

#[test]
fn the_core_shows_lengths() {
    let mut decoder = Decoder::new(Format::U32_LE);
    decoder.feed(&wire());
    check(&decoder, "unread: 21");
    check(&decoder.next_frame(), "payload_len: 7");
    assert!(decoder.next_part().is_ok_and(|part| part.is_some()));
    check(&decoder.next_part(), "len: 6");
    check(&decoder, "payload: 1");
    check(&Format::U32_LE.frames(&wire()), "rest: 21");
    check(&Envelope { prefix: &[BYTE; 3], trailer: &[BYTE; 2] }, "prefix_len: 3, trailer_len: 2");
    let format = Format::with_default_limit("offset=2,width=1,trailer=1".parse::<Layout>().expect("a layout"));
    let wire = [BYTE, BYTE, 1, BYTE, BYTE];
    check(
        &format.expect("a format").split_first(&wire),
        "prefix_len: 2, header_len: 3, payload_len: 1, trailer_len: 1",
    );
    let (mut reader, mut text) = (Utf8Reader::new(), String::new());
    reader.read(b"\xF0\x90", &mut text);
    assert_eq!(format!("{reader:?}"), "Utf8Reader { held: 2 }");
}

#[test]
fn what_reads_shows_lengths() {
    let wire = wire();
    let mut frames = FrameReader::new(&wire[..], Format::U32_LE);
    assert!(frames.next_frame().is_ok_and(|frame| frame.is_some()));
    check(&frames, "bytes: 21, buffered: 10, ended: false");
    check(&frames.into_iter(), "buffered: 10");

    let mut frames = FramedRead::new(&wire[..], Format::U32_LE);
    assert!(block_on(frames.next_frame()).is_ok_and(|frame| frame.is_some()));
    check(&frames, "bytes: 21, buffered: 10, ended: false");
    check(&frames.into_stream(), "buffered: 10, ended: false, .. }), lent: 0");
    let large = [&20_000u32.to_le_bytes()[..], &[BYTE; 20_000]].concat();
    let mut stream = FramedRead::new(&large[..], Format::U32_LE).into_stream();
    assert!(block_on(stream.next()).is_some_and(|payload| payload.is_ok()));
    check(&stream, "bytes: 20004, buffered: 0");
    assert!(!format!("{stream:?}").contains("lent: 0"), "{stream:?}");
}

#[test]
fn what_writes_shows_lengths() {
    let mut frames = FrameWriter::new(vec![BYTE; 5], Format::U32_LE);
    frames.enqueue(&[BYTE; 7]).expect("within the limit");
    check(&frames, "queued: 11");

    let mut frames = FramedWrite::new(vec![BYTE; 5], Format::U32_LE);
    frames.enqueue(&[BYTE; 7]).expect("within the limit");
    frames.enqueue_bytes(Bytes::from(vec![BYTE; NO_COPY_LEN])).expect("within the limit");
    check(&frames, &format!("frames: 2, bytes: {0}, queued: {0}, high_water: 65536", 11 + 4 + NO_COPY_LEN));
    check(&frames.into_sink(), "closed: false");
}

#[test]
fn a_greeting_shows_its_length() {
    check(&Greeting::Raw(vec![BYTE; 9]), "Raw { len: 9 }");
    assert_eq!(format!("{:?}", Greeting::None), "None");
    let config = ServerConfig::default().greeting(Greeting::Frame(vec![BYTE; 7]));
    check(&config, "greeting: Frame { len: 7 }");
}
