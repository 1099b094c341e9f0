//! The dissector finds the frames that the decoder finds, in the packets with which they are whole.

use std::collections::BTreeMap;

use unstick::framing::{Encoder, Envelope, Format};

use crate::formats;
use crate::pcap::Pcap;
use crate::tools::has;
use crate::tshark::{Found, frames, run};

/// Sends `stream` in segments of these lengths, and adds the frames that are whole with each to `expected`.
fn send(
    pcap: &mut Pcap,
    format: Format,
    stream: &[u8],
    lens: impl Iterator<Item = usize>,
    expected: &mut BTreeMap<u64, Vec<Found>>,
) {
    // Each connection has its own port, and some sequence numbers pass 2^32.
    let port = 10_000 + (pcap.packets % 50_000) as u16;
    let mut connection = pcap.open(port, u32::MAX - u32::from(port) % 100);
    let (mut ends, mut at) = (Vec::new(), 0);
    for len in lens {
        let end = stream.len().min(at + len);
        ends.push((end, pcap.send(&mut connection, &stream[at..end], usize::MAX)));
        at = end;
        if at == stream.len() {
            break;
        }
    }
    // Up to the first error, which may also be the end inside a frame.
    for (offset, frame) in format.frames(stream).map_while(Result::ok) {
        let at = offset + frame.as_bytes().len();
        let (_, packet) = ends.iter().find(|(end, _)| at <= *end).expect("the packet of its last byte");
        expected.entry(*packet).or_default().push((frame.as_bytes().len() as u64, frame.payload().len() as u64));
    }
}

/// A few frames of a format: short ones, an empty one if there can be one, and text.
fn small_stream(format: Format) -> Vec<u8> {
    let (mut stream, layout) = (Vec::new(), format.layout());
    let least = layout.min_payload_len() as usize;
    let envelope = Envelope { prefix: &vec![b'p'; layout.offset.into()], trailer: &vec![b't'; layout.trailer.into()] };
    for payload in [&b""[..], "你好".as_bytes(), &[0, 255, 7], b"!"] {
        let payload = [payload, &vec![b'x'; least.saturating_sub(payload.len())]].concat();
        Encoder::new(format).encode_with(envelope, &payload, &mut stream).expect("within the limit");
    }
    stream
}

#[test]
fn a_small_stream_cut_at_every_byte() {
    if !has(&["tshark"]) {
        return;
    }
    for (index, format) in formats().into_iter().enumerate() {
        let (mut pcap, mut expected) = (Pcap::new(), BTreeMap::new());
        let stream = small_stream(format);
        for first in 1..=stream.len().min(400) {
            send(&mut pcap, format, &stream, [first, stream.len()].into_iter(), &mut expected);
        }
        for len in [1, 2, 3, 7] {
            send(&mut pcap, format, &stream, std::iter::repeat(len), &mut expected);
        }
        let found = frames(&format!("cut-{index}"), format, &pcap, &[]);
        assert_eq!(found, expected, "{}", format.layout());
    }
}

/// Random bytes, which at first are mostly small so that they are headers. The first error ends the frames, as in the decoder.
#[test]
fn random_bytes() {
    if !has(&["tshark"]) {
        return;
    }
    let mut random = random();
    for (index, format) in formats().into_iter().enumerate() {
        let (mut pcap, mut expected) = (Pcap::new(), BTreeMap::new());
        for mode in 0..30 {
            let len = 1 + random() as usize % 6000;
            let mask = [0x00, 0x03, 0x83, 0xFF][mode % 4];
            let stream: Vec<u8> = (0..len)
                .map(|_| if !random().is_multiple_of(4) { random() as u8 & mask } else { random() as u8 & 0x81 })
                .collect();
            let longest = [3000, 100, 60_000][mode % 3];
            let lens: Vec<usize> = (0..len).map(|_| 1 + random() as usize % longest).collect();
            send(&mut pcap, format, &stream, lens.into_iter(), &mut expected);
        }
        let found = frames(&format!("random-{index}"), format, &pcap, &[]);
        assert_eq!(found, expected, "{}", format.layout());
    }
}

/// The same numbers in each run.
pub(crate) fn random() -> impl FnMut() -> u64 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        state >> 33
    }
}

/// Texts are shown as they are read, in the tree and in the column, also if a segment ends inside a character.
#[test]
fn text_is_shown_as_text() {
    if !has(&["tshark"]) {
        return;
    }
    let (mut pcap, format) = (Pcap::new(), Format::U32_LE);
    let mut stream = Vec::new();
    let long = "很".repeat(100);
    for payload in ["Hello client! 你好...", "a\tb\r\n", "€ é 😀", &long].map(str::as_bytes) {
        Encoder::new(format).encode(payload, &mut stream).unwrap();
    }
    for payload in [&b"\xC0\x80"[..], b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE4\xBD", b"a\0b", b"\xFF", b"\x1B[1m"] {
        Encoder::new(format).encode(payload, &mut stream).unwrap();
    }
    send(&mut pcap, format, &stream, std::iter::repeat(5), &mut BTreeMap::new());
    let out = run("text", format, &pcap, &["-Tfields", "-exy.text"]);
    let shown: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(shown, ["Hello client! 你好...", "a\\tb\\r\\n", "€ é 😀", &long]);
    let columns = run("text-columns", format, &pcap, &[]);
    let short = format!("[{}...]", "很".repeat(20));
    for text in ["[Hello client! 你好...]", "[€ é 😀]", &short, "[2 bytes]"] {
        assert!(columns.contains(text), "nothing of {text}: {columns}");
    }
}
