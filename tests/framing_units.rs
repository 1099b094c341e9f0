//! What no property can see, as no oracle says it: the texts of errors, what a refused header looks like, and torn
//! text.

use std::fmt::{self, Write};

use unstick::framing::{
    DecodeError, DecodeErrorKind, Decoder, Diagnosis, EncodeError, Encoder, Endian, Envelope, Field, Format,
    FormatError, Head, Header, Layout, MAX_HEADER_LEN, MAX_TRAILER_LEN, Oversize, Parsed, Part, Phase, SpecError,
    Utf8Reader,
};
use unstick::{FramedRead, ReadError};

/// The error of a stream that is refused or cut.
fn error_of(format: Format, stream: &[u8]) -> DecodeError {
    let mut decoder = Decoder::new(format);
    decoder.feed(stream);
    loop {
        match decoder.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return error,
        }
    }
    decoder.finish().expect_err("a stream that is refused or cut")
}

fn format(layout: Layout) -> Format {
    Format::with_default_limit(layout).expect("a format")
}

#[test]
fn a_decode_error_says_its_numbers() {
    let varint = |max_width, minimal| format(Layout::of(Field::Varint { max_width, minimal }));
    let below = format(Layout::fixed(2, Endian::Big).adjustment(-4));
    let u32_be = Format::U32_BE;
    for (format, stream, text) in [
        (
            u32_be,
            &b"\x00\x10\x00\x01"[..],
            "at byte 0: a payload of 1048577 bytes is over the limit of 1048576 (header 00 10 00 01)",
        ),
        (
            below,
            b"\x00\x04\x00\x03",
            "at byte 2: a length field of 3 with the adjustment -4 is a negative payload (header 00 03: the other byte order gives 764)",
        ),
        (varint(2, false), b"\x00\x80\x80\x80", "at byte 1: a varint is longer than 2 bytes (header 80 80)"),
        (
            varint(10, false),
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
            "at byte 0: a varint holds more than 64 bits (header ff ff ff ff ff ff ff ff ff 02)",
        ),
        (varint(3, true), b"\x85\x00", "at byte 0: a varint of 2 bytes says 5, which needs fewer (header 85 00)"),
        (
            u32_be,
            b"\x00\x00\x00\x00\x00\x00",
            "at byte 4: the stream ended inside the header of a frame: 2 of 4 bytes missing",
        ),
        (u32_be, b"\x00\x00\x00\x09hi", "at byte 0: the stream ended inside a frame: 7 of 13 bytes missing"),
    ] {
        assert_eq!(error_of(format, stream).to_string(), text);
    }
    assert_eq!(DecodeErrorKind::Custom("no magic").to_string(), "no magic");
}

/// A header of one's own: four bytes of magic, and one that counts.
struct Magic;

impl Header for Magic {
    type Check = ();

    fn max_header_len(&self) -> usize {
        5
    }

    fn max_payload_len(&self) -> usize {
        9
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        if bytes.len() < 5 {
            return Ok(Parsed::Need(5 - bytes.len()));
        }
        if bytes[..4] != *b"ABCD" {
            return Err(DecodeErrorKind::Custom("no magic"));
        }
        let field = u64::from(bytes[4]);
        Ok(Parsed::Head(Head::new(5, field).prefix(4)))
    }

    fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(envelope.prefix);
        out.push(payload_len as u8);
        Ok(())
    }
}

/// Behind the bytes at hand there is no frame, however far.
#[test]
fn behind_the_bytes_there_is_no_frame() {
    for start in [1, 2, usize::MAX] {
        assert!(Magic.whole_frame(b"", start).is_none());
        for format in [Format::U8, Format::U64_BE, Format::VARINT] {
            assert!(format.whole_frame(b"", start).is_none());
        }
    }
}

#[test]
fn a_header_of_ones_own_is_diagnosed_too() {
    for (stream, diagnosis) in
        [(b"GET /", Some(Diagnosis::Http)), (b"hello", Some(Diagnosis::Text)), (b"\x00\x01\x02\x03\x04", None)]
    {
        let mut decoder = Decoder::new(Magic);
        decoder.feed(stream);
        let error = decoder.next_frame().unwrap_err();
        assert_eq!((error.kind(), error.diagnosis()), (DecodeErrorKind::Custom("no magic"), diagnosis));
        assert_eq!(error.header(), stream);
    }
    // A stream that ended inside its first header is told by all that marks a hello: a version alone is no evidence.
    for (stream, diagnosis) in [
        (&b"\x16\x03\x01\x41"[..], None),
        (b"\x15\x03", None),
        (b"GET ", Some(Diagnosis::Http)),
        (b"SSH-", Some(Diagnosis::Ssh)),
        (b"EHLO", Some(Diagnosis::Text)),
    ] {
        let mut decoder = Decoder::new(Magic);
        decoder.feed(stream);
        let error = decoder.finish().unwrap_err();
        let kind = DecodeErrorKind::Truncated { phase: Phase::Header, have: stream.len() as u64, need: 5 };
        assert_eq!((error.kind(), error.diagnosis()), (kind, diagnosis));
    }
    assert_eq!((MAX_HEADER_LEN, MAX_TRAILER_LEN), (255 + 10, 255));
}

/// A header that many decoders share says all that it says alone.
#[test]
fn a_shared_header_is_the_header() {
    let alone = Format::U32_BE.with_max_payload_len(9).expect("a format");
    let shared = std::rc::Rc::new(alone);
    assert_eq!(shared.max_header_len(), alone.max_header_len());
    assert_eq!(shared.max_payload_len(), alone.max_payload_len());
    let stream = b"\0\0\0\x02hi\x03\0\0\0behind";
    assert_eq!(shared.parse(stream), alone.parse(stream));
    assert!(alone.whole_frame(stream, 0).is_some());
    assert_eq!(shared.whole_frame(stream, 0), alone.whole_frame(stream, 0));
    let mut decoder = Decoder::new(std::rc::Rc::clone(&shared));
    decoder.feed(stream);
    assert_eq!(decoder.next_frame().expect("no error").expect("a whole frame").payload(), b"hi");
    let error = decoder.next_frame().expect_err("over the limit");
    assert_eq!(error, error_of(alone, stream));
    assert_eq!(error.header(), b"\x03\0\0\0");
    assert_eq!(error.diagnosis(), Some(Diagnosis::OtherByteOrder { payload_len: 3 }));
    let mut wires = [Vec::new(), Vec::new()];
    Encoder::new(shared).encode_with(b"", b"hi", &mut wires[0]).expect("a frame");
    Encoder::new(alone).encode_with(b"", b"hi", &mut wires[1]).expect("a frame");
    assert_eq!(wires[0], wires[1]);
}

#[test]
fn a_header_of_ones_own_is_limited_by_the_decoder() {
    let mut decoder = Decoder::new(Magic);
    decoder.feed(b"ABCD\x09123456789ABCD\x0A1234567890");
    let frame = decoder.next_frame().expect("a frame of the limit").expect("a whole frame");
    assert_eq!((frame.prefix(), frame.header(), frame.payload()), (&b"ABCD"[..], &b"ABCD\x09"[..], &b"123456789"[..]));
    let error = decoder.next_frame().unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::Oversize { field: 10, payload_len: 10, max_payload_len: 9 });
    assert_eq!(error.offset(), 14);
}

/// The memory that a decoder says it holds is no less than what waits in it, and nothing before bytes come.
#[test]
fn a_decoder_says_how_much_memory_it_holds() {
    let mut decoder = Decoder::with_read_len(Format::U8, 100);
    assert_eq!((decoder.capacity(), decoder.buffered()), (0, 0));
    assert_eq!(decoder.space().len(), 100);
    assert_eq!(decoder.capacity(), 100);
    decoder.filled(0);
    decoder.feed(b"\x05hel");
    assert_eq!((decoder.capacity(), decoder.buffered()), (100, 4));
    let memory = decoder.swap_buffer(Vec::new());
    assert_eq!(memory.capacity(), 100);
    assert_eq!((decoder.capacity(), decoder.buffered()), (4, 4));
    decoder.feed(b"lo");
    assert_eq!(decoder.next_frame().expect("a frame").expect("a whole frame").payload(), b"hello");
}

#[test]
fn other_errors_say_their_numbers() {
    for (error, text) in [
        (EncodeError::Oversize { payload_len: 9, max_payload_len: 8 }, "a payload of 9 bytes is over the limit of 8"),
        (EncodeError::Undersize { payload_len: 1, least: 2 }, "a payload of 1 bytes is below the format's least of 2"),
        (
            EncodeError::Prefix { prefix_len: 1, offset: 2 },
            "a prefix of 1 bytes where the format has 2 before its length field",
        ),
        (EncodeError::Custom("no"), "no"),
    ] {
        assert_eq!(error.to_string(), text);
    }
    for (error, text) in [
        (FormatError::Width { width: 9 }, "a length field of 9 bytes: it must have 1 to 8"),
        (FormatError::VarintWidth { max_width: 11 }, "a varint of up to 11 bytes: it must have 1 to 10"),
        (
            FormatError::NoPayload { greatest_field: 255, adjustment: -256 },
            "an adjustment of -256 makes every payload negative: the field's greatest number is 255",
        ),
        (
            FormatError::LimitTooGreat { max_payload_len: 300, greatest: 255 },
            "a limit of 300 bytes of payload cannot be expressed: the greatest is 255",
        ),
        (
            FormatError::LimitTooSmall { max_payload_len: 1, least: 2 },
            "a limit of 1 bytes of payload allows no frame: the least payload is 2",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_field_has_at_least_one_byte_and_no_more_than_64_bits_need() {
    for (width, max_width) in [(0, 0), (9, 11), (255, 255)] {
        let fixed = Format::with_default_limit(Layout::fixed(width, Endian::Little));
        assert_eq!(fixed, Err(FormatError::Width { width }));
        let varint = Format::new(Layout::varint(max_width), 0);
        assert_eq!(varint, Err(FormatError::VarintWidth { max_width }));
    }
    for (width, max_width) in [(1, 1), (8, 10)] {
        assert!(Format::new(Layout::fixed(width, Endian::Big), 255).is_ok());
        assert!(Format::new(Layout::varint(max_width), 127).is_ok());
    }
}

/// Also in the most common format, which has a quick way to write its header.
#[test]
fn a_header_is_written_after_its_prefix_and_no_other() {
    for (layout, field) in [
        (Layout::fixed(4, Endian::Big), &b"\0\0\0\x02"[..]),
        (Layout::fixed(4, Endian::Little), b"\x02\0\0\0"),
        (Layout::fixed(3, Endian::Big), b"\0\0\x02"),
        (Layout::varint(4), b"\x02"),
    ] {
        for offset in [0, 2] {
            let encoder = Encoder::new(format(layout.offset(offset)));
            for prefix in [&b""[..], b"a", b"ab", b"abc"] {
                let (prefix_len, offset) = (prefix.len(), usize::from(offset));
                let mut wire = b"before".to_vec();
                let written = encoder.encode_with(prefix, b"hi", &mut wire);
                if prefix_len == offset {
                    assert_eq!((written, wire), (Ok(()), [b"before", prefix, field, b"hi"].concat()));
                } else {
                    assert_eq!(written, Err(EncodeError::Prefix { prefix_len, offset }));
                    assert_eq!(wire, b"before");
                }
            }
        }
    }
}

#[test]
fn a_text_that_is_no_layout_says_why() {
    for (text, why) in [
        ("width=9", "width=9: it must be 1 to 8, or varint"),
        ("width=0", "width=0: it must be 1 to 8, or varint"),
        ("offset=256", "offset=256: it must be 0 to 255"),
        ("adjustment=x", "adjustment=x: it must be a whole number, also a negative one"),
        ("endian=middle", "endian=middle: it must be be or le"),
        ("varint,max-width=11", "max-width=11: it must be 1 to 10"),
        ("varint,max-width=0", "max-width=0: it must be 1 to 10"),
        ("varint,minimal=yes", "minimal=yes: it must be true or false"),
        ("varint,endian=be", "endian applies to a fixed width only"),
        ("max-width=3", "max-width applies to width=varint only"),
        ("minimal=true", "minimal applies to width=varint only"),
        ("u32le,u16be", "\"u16be\" has no value: write key=value"),
        (
            "with=4",
            "no key is named \"with\"; the keys are offset, width, endian, adjustment, trailer, max-width, minimal",
        ),
    ] {
        assert_eq!(text.parse::<Layout>().unwrap_err().to_string(), why);
    }
    let error = "u32".parse::<Layout>().unwrap_err();
    assert_eq!(error, SpecError::UnknownName { name: "u32".into() });
    let text = error.to_string();
    assert!(text.starts_with("no format is named \"u32\"; the names are u32le, u32be, u16be, u8,"), "{text}");
    assert!(
        text.ends_with("u32le-inclusive, or key=value pairs as in offset=2,width=2,endian=be,adjustment=-4"),
        "{text}"
    );
}

#[test]
fn the_greatest_payload_is_what_the_field_can_say_and_a_buffer_can_hold() {
    let addressable = isize::MAX as u64 - (MAX_HEADER_LEN + MAX_TRAILER_LEN) as u64;
    for (text, greatest) in [
        ("u8", Some(255)),
        ("width=7", Some(0xFF_FFFF_FFFF_FFFF)),
        ("width=8", Some(addressable)),
        ("varint,max-width=1", Some(127)),
        ("varint,max-width=8", Some(0xFF_FFFF_FFFF_FFFF)),
        ("varint,max-width=9", Some(addressable)),
        ("varint,max-width=9,adjustment=-520", Some(addressable)),
        ("varint,max-width=9,adjustment=-521", Some(addressable - 1)),
        ("varint", Some(addressable)),
        ("u8,adjustment=7", Some(262)),
        ("u8,adjustment=-255", Some(0)),
        ("u8,adjustment=-256", None),
    ] {
        assert_eq!(text.parse::<Layout>().expect("a layout").greatest_payload_len(), greatest, "{text}");
    }
}

#[test]
fn a_layout_is_its_preset_amended() {
    let varint = |max_width, minimal| Field::Varint { max_width, minimal };
    for (text, layout) in [
        ("u16be,adjustment=-2", Layout::fixed(2, Endian::Big).adjustment(-2)),
        ("width=3", Layout::fixed(3, Endian::Big)),
        ("u32le,width=2", Layout::fixed(2, Endian::Little)),
        ("varint,width=2", Layout::fixed(2, Endian::Big)),
        ("u32le,width=varint,max-width=1", Layout::of(varint(1, false))),
        ("width=varint,max-width=10,minimal=true", Layout::of(varint(10, true))),
        ("offset=255,width=8,endian=le", Layout::fixed(8, Endian::Little).offset(255)),
    ] {
        assert_eq!(text.parse::<Layout>().as_ref(), Ok(&layout), "{text}");
    }
}

#[test]
fn what_was_skipped_is_counted() {
    let format = Format::U8.with_max_payload_len(2).expect("a format");
    let mut decoder = Decoder::new(format).on_oversize(Oversize::Skip { max_discard: 4 });
    decoder.feed(b"\x01a\x03bcd\x04efgh\x00");
    let mut payloads = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("good frames") {
        payloads.push(frame.payload().to_vec());
    }
    assert_eq!(payloads, [&b"a"[..], b""]);
    let skipped = decoder.skipped();
    assert_eq!((skipped.frames, skipped.bytes, skipped.last_offset), (2, 7, 6));
    assert_eq!(decoder.offset(), 12);
    decoder.feed(b"\x05");
    let error = decoder.next_frame().unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::Oversize { field: 5, payload_len: 5, max_payload_len: 2 });
    assert_eq!((error.offset(), error.header()), (12, &b"\x05"[..]));
    assert_eq!(decoder.next_frame().as_ref(), Err(&error));
    assert_eq!(decoder.finish(), Err(error));
}

/// Frames that are lent from a chunk count, also the short one that ends it.
#[test]
fn the_place_in_the_stream_counts_what_is_lent_from_a_chunk() {
    let mut decoder = Decoder::new(Format::U32_LE);
    let mut chunk = &b"\x02\0\0\0hi\x01\0\0\0a"[..];
    for payload in [&b"hi"[..], b"a"] {
        assert_eq!(decoder.next_frame_from(&mut chunk).expect("no error").expect("a whole frame").payload(), payload);
    }
    assert_eq!((decoder.offset(), decoder.buffered(), chunk.len()), (11, 0, 0));
}

#[test]
fn the_phase_is_where_the_stream_ended() {
    let kind = |stream: &[u8]| error_of(Format::U16_BE, stream).kind();
    assert_eq!(kind(b"\x00"), DecodeErrorKind::Truncated { phase: Phase::Header, have: 1, need: 2 });
    assert_eq!(kind(b"\x00\x01"), DecodeErrorKind::Truncated { phase: Phase::Payload, have: 2, need: 3 });
}

#[test]
#[should_panic(expected = "filled(101) in a space of 100")]
fn no_more_can_be_filled_than_there_was_space() {
    let mut decoder = Decoder::with_read_len(Format::U8, 100);
    assert_eq!(decoder.space().len(), 100);
    decoder.filled(101);
}

#[test]
fn a_read_has_at_least_one_byte() {
    let mut decoder = Decoder::with_read_len(Format::U8, 0);
    assert_eq!(decoder.space().len(), 1);
}

#[test]
fn in_the_middle_of_a_frame_the_rest_is_needed() {
    let format = Format::U8.with_max_payload_len(5).expect("a format");
    let mut decoder = Decoder::new(format).on_oversize(Oversize::Skip { max_discard: 100 });
    decoder.feed(b"\x05he");
    assert!(matches!(decoder.next_part(), Ok(Some(Part::Start { prefix_len: 0, payload_len: 5, .. }))));
    assert_eq!((decoder.need(), decoder.has_part()), (0, true));
    assert_eq!(decoder.next_part(), Ok(Some(Part::Chunk(b"he"))));
    assert_eq!((decoder.need(), decoder.has_part()), (3, false));
    decoder.feed(b"llo\x09over");
    assert_eq!(decoder.next_part(), Ok(Some(Part::Chunk(b"llo"))));
    assert_eq!((decoder.need(), decoder.has_part()), (0, true));
    assert!(matches!(decoder.next_part(), Ok(Some(Part::End { trailer: b"", .. }))));
    assert_eq!(decoder.next_part(), Ok(None));
    assert_eq!((decoder.has_part(), decoder.has_frame()), (false, Ok(false)));
    let error = decoder.finish().unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase: Phase::Payload, have: 5, need: 10 });
    assert_eq!(error.offset(), 6);
}

/// Also if the frames before were not taken.
#[test]
fn finish_judges_what_was_not_taken() {
    let finish = |stream: &[u8]| {
        let mut decoder = Decoder::new("varint,max-width=1".parse().map(format).expect("a layout"));
        decoder.feed(stream);
        decoder.finish().map_err(|error| error.kind())
    };
    assert_eq!(finish(b"\x02hi"), Ok(()));
    assert_eq!(finish(b"\x02h"), Err(DecodeErrorKind::Truncated { phase: Phase::Payload, have: 2, need: 3 }));
    assert_eq!(finish(b"\x80"), Err(DecodeErrorKind::VarintTooLong { max_width: 1 }));
}

/// A writer that has room for this many bytes of text.
struct Room(usize);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[test]
fn a_text_that_does_not_fit_is_told() {
    let decode = error_of(Format::U32_BE, b"GET ");
    let unnamed = "u32".parse::<Layout>().unwrap_err();
    let fixed = Layout::fixed(3, Endian::Little).offset(1);
    let varint = Layout::varint(3).offset(1);
    let texts: [&dyn fmt::Display; 4] = [&decode, &unnamed, &fixed, &varint];
    for text in texts {
        let len = text.to_string().len();
        for room in 0..len {
            assert!(write!(Room(room), "{text}").is_err(), "{text} in {room} bytes");
        }
        assert!(write!(Room(len), "{text}").is_ok());
    }
}

#[test]
fn an_encoder_says_its_format() {
    assert_eq!(*Encoder::new(Format::U8).format(), Format::U8);
}

#[test]
fn a_byte_that_begins_no_character_does_not_wait_for_more() {
    let (mut reader, mut text) = (Utf8Reader::new(), String::new());
    reader.read(b"a\xFF", &mut text);
    assert_eq!(text, "a\u{FFFD}");
    reader.read(b"\xE4", &mut text);
    assert_eq!(text, "a\u{FFFD}");
    reader.read(b"\xE4\xBD", &mut text);
    assert_eq!(text, "a\u{FFFD}\u{FFFD}");
    reader.read(b"\xA0", &mut text);
    assert_eq!(text, "a\u{FFFD}\u{FFFD}\u{4F60}");
}

/// Every cut of every string of up to four bytes over an alphabet that begins, goes on with, and breaks characters.
#[test]
fn text_torn_anywhere_is_the_text_of_the_whole() {
    let alphabet = [b'a', 0xC3, 0xE4, 0xED, 0xF0, 0x9F, 0xA0, 0xBD, 0xFF];
    let mut cases = 0;
    for len in 0..=4u32 {
        for number in 0..alphabet.len().pow(len) {
            let bytes: Vec<u8> =
                (0..len).map(|at| alphabet[number / alphabet.len().pow(at) % alphabet.len()]).collect();
            let whole = String::from_utf8_lossy(&bytes);
            for cuts in 0..1u32 << len.saturating_sub(1) {
                let (mut reader, mut text, mut from) = (Utf8Reader::new(), String::new(), 0);
                for at in 1..=len as usize {
                    if at == len as usize || cuts >> (at - 1) & 1 == 1 {
                        reader.read(&bytes[from..at], &mut text);
                        from = at;
                    }
                }
                reader.finish(&mut text);
                assert_eq!(text, whole, "{bytes:x?} cut by {cuts:b}");
                // It is as new.
                reader.finish(&mut text);
                assert_eq!(text, whole);
                cases += 1;
            }
        }
    }
    assert!(cases > 50_000);
    println!("cases: {cases}");
}

/// A reader that is asked again after a refused frame says the same, however much more there is to read.
#[test]
fn a_reader_says_the_same_error_for_ever() {
    let stream: &[u8] = b"\0\x02hi\xFF\xFFmore\0\x02hi";
    let mut reader = FramedRead::new(stream, Format::U16_BE.with_max_payload_len(9).expect("a format"));
    futures_lite::future::block_on(async {
        assert_eq!(reader.next_frame().await.expect("a frame").expect("a whole frame").payload(), b"hi");
        for _ in 0..4 {
            let Err(ReadError::Decode(error)) = reader.next_frame().await else { panic!("over the limit") };
            assert_eq!(error.offset(), 4);
            assert!(error.to_string().contains("65535"), "{error}");
        }
    });
}
