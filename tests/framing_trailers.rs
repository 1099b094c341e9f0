//! Bytes after the payload: trailers, checks, and where a stream may end with them.

#[allow(clippy::duplicate_mod, reason = "in tests/fast it is one of two")]
#[path = "support/summed.rs"]
mod summed;

use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;

use unstick::framing::{
    Check, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Endian, Envelope, Format, Frames, Head, Header,
    Layout, Oversize, Parsed, Part, Phase, split_first,
};

use summed::{Sum, Summed};

/// A tag of one byte, a byte that counts the payload, and a line's end.
fn line() -> Format {
    Format::new(Layout::fixed(1, Endian::Big).offset(1).trailer(1), 10).expect("a format")
}

const LINE: Envelope<'static> = Envelope { prefix: b"#", trailer: b"\n" };

fn fed<H: Header>(header: H, stream: &[u8]) -> Decoder<H> {
    let mut decoder = Decoder::new(header);
    decoder.feed(stream);
    decoder
}

fn skipping<H: Header>(header: H, stream: &[u8]) -> Decoder<H> {
    let mut decoder = Decoder::new(header).on_oversize(Oversize::Skip { max_discard: 100 });
    decoder.feed(stream);
    decoder
}

/// The offset and the kind of the error that a stream ends with.
fn ends<H: Header>(decoder: &Decoder<H>) -> Result<(), (u64, DecodeErrorKind)> {
    decoder.finish().map_err(|error| (error.offset(), error.kind()))
}

fn truncated(phase: Phase, have: u64, need: u64) -> DecodeErrorKind {
    DecodeErrorKind::Truncated { phase, have, need }
}

const fn mismatch(stated: u64, computed: u64) -> DecodeErrorKind {
    DecodeErrorKind::Mismatch { stated, computed }
}

/// A stream was called clean after the first whole frame, whatever followed.
#[test]
fn finish_walks_the_whole_frames_that_wait() {
    let two = fed(Format::U8, b"\x01a\x05h");
    assert_eq!(ends(&two), Err((2, truncated(Phase::Payload, 2, 6))));
    assert_eq!(ends(&fed(Format::U8, b"\x01a\x00\x02hi")), Ok(()));
    assert_eq!(ends(&fed(Format::U8, b"")), Ok(()));
    let limited = Format::U8.with_max_payload_len(2).expect("a format");
    let oversize = DecodeErrorKind::Oversize { field: 3, payload_len: 3, max_payload_len: 2 };
    assert_eq!(ends(&fed(limited, b"\x01a\x03abc\x00")), Err((2, oversize)));
    assert_eq!(ends(&fed(line(), b"#\x01a\n#\x02hi")), Err((4, truncated(Phase::Trailer, 4, 5))));
    assert_eq!(ends(&fed(line(), b"#\x01a\n#\x02hi\n#")), Err((9, truncated(Phase::Header, 1, 2))));
    assert_eq!(ends(&fed(line(), b"#\x01a\n#\x02hi\n")), Ok(()));
    // Asking took nothing.
    assert_eq!(two.buffered(), 4);
}

#[test]
fn finish_asks_the_check_of_the_frames_that_wait() {
    assert_eq!(ends(&fed(Summed, b"\x01\x05\x06\x00\x00")), Ok(()));
    assert_eq!(ends(&fed(Summed, b"\x01\x05\x06\x01\x05\x07\x00\x00")), Err((3, mismatch(7, 6))));
    assert_eq!(ends(&fed(Summed, b"\x01\x05\x06\x01\x05")), Err((3, truncated(Phase::Trailer, 2, 3))));
    // The first thing that is wrong decides.
    assert_eq!(ends(&fed(Summed, b"\x01\x05\x07\x01")), Err((0, mismatch(7, 6))));
}

#[test]
fn finish_passes_over_what_is_to_be_skipped() {
    let limited = Format::U8.with_max_payload_len(2).expect("a format");
    assert_eq!(ends(&skipping(limited, b"\x01a\x03abc\x00")), Ok(()));
    assert_eq!(ends(&skipping(limited, b"\x01a\x03ab")), Err((2, truncated(Phase::Payload, 3, 4))));
    assert_eq!(ends(&skipping(limited, b"\x03abc\x01")), Err((4, truncated(Phase::Payload, 1, 2))));
    let oversize = DecodeErrorKind::Oversize { field: 200, payload_len: 200, max_payload_len: 2 };
    assert_eq!(ends(&skipping(limited, b"\x03abc\xC8")), Err((4, oversize)));
    // What is skipped is not checked, and all of it has to come.
    let long = [&[11][..], &[0; 11], &[9]].concat();
    assert_eq!(ends(&skipping(Summed, &[&long[..], &[0, 0]].concat())), Ok(()));
    assert_eq!(ends(&skipping(Summed, &long[..12])), Err((0, truncated(Phase::Trailer, 12, 13))));
    // The same after the decoder has begun to skip.
    for (stream, ended) in [(&b"\x03ab"[..], Err((0, truncated(Phase::Payload, 3, 4)))), (b"\x03abc\x01a", Ok(()))] {
        let mut decoder = skipping(limited, &stream[..2]);
        assert_eq!(decoder.next_frame(), Ok(None));
        decoder.feed(&stream[2..]);
        assert_eq!(ends(&decoder), ended);
    }
}

/// In the middle of a body in parts, too, of which some is taken and some waits.
#[test]
fn finish_knows_the_rest_of_a_body_in_parts() {
    for (behind, ended) in [
        (&b"o"[..], Err((3, truncated(Phase::Payload, 5, 7)))),
        (b"o!", Err((3, truncated(Phase::Trailer, 6, 7)))),
        (b"o!\x7A", Err((3, mismatch(0x7A, 0xCE)))),
        (b"o!\xCE", Ok(())),
        (b"o!\xCE\x01", Err((10, truncated(Phase::Payload, 1, 3)))),
        (b"o!\xCE\x01\x01\x03", Err((10, mismatch(3, 2)))),
        (b"o!\xCE\x01\x01\x02", Ok(())),
    ] {
        let mut decoder = fed(Summed, b"\x01\x05\x06\x05hel");
        assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"\x05");
        assert!(matches!(decoder.next_part(), Ok(Some(Part::Start { payload_len: 5, .. }))));
        assert_eq!(decoder.next_part(), Ok(Some(Part::Chunk(b"hel"))));
        decoder.feed(behind);
        assert_eq!(ends(&decoder), ended, "{behind:x?}");
        // What waits can still be taken, and says the same.
        let mut taken = Ok(());
        while let Some(part) = decoder.next_part().transpose() {
            taken = part.map(|_| ());
            if taken.is_err() {
                break;
            }
        }
        let kinds = |result: Result<(), DecodeError>| result.map_err(|error| (error.offset(), error.kind()));
        assert_eq!(kinds(taken.and_then(|()| decoder.finish())), ended, "{behind:x?}");
    }
}

#[test]
fn a_body_that_is_left_is_not_checked() {
    let mut decoder = fed(Summed, b"\x02hi\x00\x01\x05\x06");
    assert!(matches!(decoder.next_part(), Ok(Some(Part::Start { payload_len: 2, .. }))));
    assert_eq!(decoder.next_frame().expect("it is passed over").expect("a frame").payload(), b"\x05");
    let mut decoder = fed(Summed, b"\x02hi\x00\x01\x05\x06");
    assert_eq!(decoder.next_frame().map_err(|error| error.kind()), Err(mismatch(0, 0xD3)));
}

#[test]
fn a_mismatch_says_its_numbers_and_shows_no_header() {
    for take in [
        |decoder: &mut Decoder<Summed>| decoder.next_frame().map(|_| ()),
        |decoder: &mut Decoder<Summed>| decoder.has_frame().map(|_| ()),
        |decoder: &mut Decoder<Summed>| decoder.next_frame_from(&mut &b"\x01\x05\x06"[..]).map(|_| ()),
        |decoder: &mut Decoder<Summed>| decoder.next_span().map(|_| ()),
        |decoder: &mut Decoder<Summed>| decoder.finish(),
    ] {
        let mut decoder = fed(Summed, b"\x00\x00\x02hi\xD4");
        assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"");
        let error = take(&mut decoder).expect_err("a wrong sum");
        assert_eq!(error.to_string(), "at byte 2: the trailer is 0xd4, but 0xd3 was computed");
        assert_eq!((error.header(), error.diagnosis()), (&b""[..], None));
        assert_eq!(split_first(&Summed, b"\x02hi\xD4").expect_err("a wrong sum").kind(), error.kind());
        let fault = Frames::new(&Summed, b"\x00\x00\x02hi\xD4").last().expect("an item").expect_err("a wrong sum");
        assert_eq!(fault, *error);
    }
}

/// A frame that is whole in the chunk is checked, too, and the rest of the chunk is returned.
#[test]
fn a_frame_in_a_chunk_is_checked_where_it_is() {
    let mut decoder = Decoder::new(Summed);
    let wire = b"\x02hi\xD3\x01\x05\x07rest";
    let mut chunk = &wire[..];
    let frame = decoder.next_frame_from(&mut chunk).expect("no error").expect("a frame");
    assert_eq!(frame.as_bytes().as_ptr(), wire.as_ptr(), "not a copy");
    assert_eq!(chunk.len(), 7);
    assert_eq!(decoder.next_frame_from(&mut chunk).map_err(|error| error.kind()), Err(mismatch(7, 6)));
}

/// Whatever is forgotten or dropped, what was not taken of a chunk is with the caller, and what was taken is in the
/// decoder.
#[test]
fn nothing_is_lost_where_a_frame_is_forgotten() {
    let wire = b"\x02hi\x03one\x03two\x05wor";
    for forgets in [false, true] {
        let mut decoder = Decoder::new(Format::U8);
        let mut chunk = &wire[..];
        let first = decoder.next_frame_from(&mut chunk);
        assert!(first.is_ok());
        if forgets {
            std::mem::forget(first);
        }
        assert_eq!((chunk, decoder.offset(), decoder.buffered()), (&wire[3..], 3, 0));
        // It need not be passed in again at once: other ways to go on take it from there.
        let (begin, rest) = chunk.split_at(5);
        decoder.feed(begin);
        assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"one");
        let mut chunk = rest;
        let second = decoder.next_frame_from(&mut chunk);
        assert!(second.as_ref().is_ok_and(|frame| frame.is_some_and(|frame| frame.payload() == b"two")));
        if forgets {
            std::mem::forget(second);
        }
        assert_eq!(decoder.next_frame_from(&mut chunk), Ok(None));
        assert_eq!((chunk.len(), decoder.buffered()), (0, 4));
        decoder.feed(b"ld");
        assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"world");
        assert_eq!(decoder.finish(), Ok(()));
    }
}

/// Where more than a chunk is needed, no byte of it is taken beyond the frame.
#[test]
fn bytes_after_a_frame_stay_in_its_chunk() {
    for cut in 0..5 {
        let (begin, rest) = b"#\x01a\n#\x00\n".split_at(cut);
        let mut decoder = fed(line(), begin);
        let mut chunk = rest;
        let taken = decoder.next_frame_from(&mut chunk).expect("no error").expect("a frame").payload() == b"a";
        assert!(taken);
        let (left, buffered) = (chunk.len(), decoder.buffered());
        assert_eq!((left, buffered), (7 - cut.max(4), cut.saturating_sub(4)), "cut behind {cut}");
        assert_eq!(decoder.next_frame_from(&mut chunk).expect("no error").expect("a frame").payload(), b"");
    }
}

/// Behind any pointer, a header behaves as it does alone: also its check, its diagnosis and its fast path.
#[test]
#[expect(clippy::needless_borrows_for_generic_args, reason = "a borrowed header is what is tested")]
fn a_header_behind_any_pointer_is_the_header() {
    fn check<H: Header>(header: H, alone: &Format) {
        let stream = b"\x02\0\0\0hibehind";
        assert_eq!(header.max_header_len(), alone.max_header_len());
        assert_eq!(header.max_payload_len(), alone.max_payload_len());
        assert_eq!(header.parse(stream), alone.parse(stream));
        assert_eq!(header.whole_frame(stream, 0), alone.whole_frame(stream, 0));
        assert!(header.whole_frame(stream, 0).is_some());
        // The quick way looks at eight bytes, and leaves a shorter frame to the thorough one.
        assert_eq!(header.whole_frame(b"\0\0\0\0", 0), None, "it is the format's own quick way");
        let kind = DecodeErrorKind::Oversize { field: 7 << 24, payload_len: 7 << 24, max_payload_len: 9 };
        assert_eq!(header.diagnose(kind, 4, b"\0\0\0\x07"), alone.diagnose(kind, 4, b"\0\0\0\x07"));
        assert!(header.diagnose(kind, 4, b"\0\0\0\x07").is_some());
        let mut out = Vec::new();
        let encoder = Encoder::new(header);
        encoder.encode(b"hi", &mut out).expect("a frame");
        assert_eq!(out, b"\x02\0\0\0hi");
        let refused = encoder.encode(&[0; 10], &mut out);
        assert_eq!(refused, Err(EncodeError::Oversize { payload_len: 10, max_payload_len: 9 }));
        assert_eq!(out.len(), 6);
    }

    fn check_sum<H: Header>(header: H) {
        let mut out = Vec::new();
        let encoder = Encoder::new(&header);
        encoder.encode(b"hi", &mut out).expect("a frame");
        assert_eq!(out, b"\x02hi\xD3", "the header is covered");
        let mut decoder = fed(header, b"\x02hi\xD3\x02hi\xD4");
        assert!(decoder.next_frame().is_ok_and(|frame| frame.is_some()));
        assert_eq!(decoder.next_frame().map_err(|error| error.kind()), Err(mismatch(0xD4, 0xD3)));
    }

    let alone = Format::U32_LE.with_max_payload_len(9).expect("a format");
    check(alone, &alone);
    check(&alone, &alone);
    check(Rc::new(alone), &alone);
    check(Arc::new(alone), &alone);
    check(Box::new(alone), &alone);
    check(&Rc::new(&alone), &alone);
    let told_apart: Box<dyn Header<Check = ()>> = Box::new(alone);
    check(&*told_apart, &alone);
    check(told_apart, &alone);
    check_sum(Summed);
    check_sum(&Summed);
    check_sum(Rc::new(Summed));
    check_sum(Arc::new(Summed));
    check_sum(Box::new(Summed));
    let told_apart: Box<dyn Header<Check = Sum>> = Box::new(Summed);
    check_sum(told_apart);
}

/// Formats that are told apart at run time are decoded by one type.
#[test]
fn a_header_is_chosen_at_run_time() {
    let choose = |name: &str| -> Box<dyn Header<Check = ()>> {
        match name {
            "short" => Box::new(Format::U8),
            _ => Box::new(Rc::new(line())),
        }
    };
    for (name, wire, trailer) in [("short", &b"\x02hi"[..], &b""[..]), ("line", b"#\x02hi\n", b"\n")] {
        let mut decoder = fed(choose(name), wire);
        let frame = decoder.next_frame().expect("no error").expect("a frame");
        assert_eq!((frame.payload(), frame.trailer()), (&b"hi"[..], trailer));
        assert_eq!(ends(&decoder), Ok(()));
    }
}

/// Header, payload and trailer may be written each from where it is, and give what `encode_with` gives.
#[test]
fn a_frame_is_encoded_at_once_or_in_pieces() {
    fn check<H: Header>(header: H, envelope: Envelope<'_>, wire: &[u8]) {
        let encoder = Encoder::new(header);
        let mut whole = b"before".to_vec();
        encoder.encode_with(envelope, b"hello", &mut whole).expect("a frame");
        assert_eq!(whole, [b"before", wire].concat());
        for cut in 0..=5 {
            let mut out = b"before".to_vec();
            let mut check = encoder.header(envelope, 5, &mut out).expect("a header");
            let (first, second) = b"hello".split_at(cut);
            for piece in [first, second] {
                check.update(piece);
                out.extend_from_slice(piece);
            }
            encoder.trailer(&check, envelope, &mut out);
            assert_eq!(out, whole, "in two behind {cut}");
        }
    }

    check(line(), LINE, b"#\x05hello\n");
    check(Format::U8, Envelope::default(), b"\x05hello");
    check(Summed, Envelope::default(), b"\x05hello\x19");
    // A given trailer is not used if one is computed.
    check(Summed, Envelope { prefix: b"", trailer: b"other" }, b"\x05hello\x19");
    // Prefixes alone, however they are at hand.
    let tagged = Format::new(Layout::fixed(1, Endian::Big).offset(1), 10).expect("a format");
    check(tagged, b"#".into(), b"#\x05hello");
    check(tagged, (&b"#"[..]).into(), b"#\x05hello");
    check(tagged, (&b"#".to_vec()).into(), b"#\x05hello");
}

#[test]
fn an_envelope_is_as_long_as_the_layout_says() {
    let encoder = Encoder::new(line());
    let prefix = |prefix_len| EncodeError::Prefix { prefix_len, offset: 1 };
    let trailer = |trailer_len| EncodeError::Trailer { trailer_len, expected: 1 };
    let long = [7; 300];
    for (envelope, error, text) in [
        (Envelope::default(), prefix(0), "a prefix of 0 bytes where the format has 1 before its length field"),
        (b"##".into(), prefix(2), "a prefix of 2 bytes where the format has 1 before its length field"),
        (b"#".into(), trailer(0), "a trailer of 0 bytes where the format has 1 after its payload"),
        (
            Envelope { trailer: b"\r\n", ..LINE },
            trailer(2),
            "a trailer of 2 bytes where the format has 1 after its payload",
        ),
        // Longer than any layout has: nor are 256 bytes taken for none, or for one of the other.
        (
            Envelope { trailer: &long[..256], ..LINE },
            trailer(256),
            "a trailer of 256 bytes where the format has 1 after its payload",
        ),
        (
            Envelope { trailer: &long[..257], ..LINE },
            trailer(257),
            "a trailer of 257 bytes where the format has 1 after its payload",
        ),
        (
            Envelope { prefix: &long[..256], ..LINE },
            prefix(256),
            "a prefix of 256 bytes where the format has 1 before its length field",
        ),
    ] {
        for payload in [&b""[..], b"hello"] {
            let mut out = b"before".to_vec();
            assert_eq!(encoder.encode_with(envelope, payload, &mut out), Err(error));
            assert_eq!(encoder.header(envelope, payload.len(), &mut out), Err(error));
            assert_eq!((error.to_string().as_str(), &out[..]), (text, &b"before"[..]));
        }
    }
    // Nor in the formats without prefix and trailer, which have a fast path to write.
    for format in [Format::U32_LE, Format::U32_BE, Format::U16_BE, Format::VARINT] {
        let mut out = Vec::new();
        let behind = Envelope { prefix: b"", trailer: b"!" };
        let refused = Encoder::new(format).encode_with(behind, b"hi", &mut out);
        assert_eq!(refused, Err(EncodeError::Trailer { trailer_len: 1, expected: 0 }));
        assert!(out.is_empty());
    }
    // An oversize payload is reported before a wrong prefix or trailer.
    let refused = encoder.encode(&[0; 11], &mut Vec::new());
    assert_eq!(refused, Err(EncodeError::Oversize { payload_len: 11, max_payload_len: 10 }));
}

#[test]
fn zeros_are_as_long_as_the_layout_says() {
    for (offset, trailer) in [(0, 0), (3, 0), (0, 3), (255, 255)] {
        let zeros = Layout::varint(2).offset(offset).trailer(trailer).zeros();
        assert_eq!((zeros.prefix, zeros.trailer), (&vec![0; offset.into()][..], &vec![0; trailer.into()][..]));
    }
}

/// What is secret in a payload, a prefix or a trailer does not get into a log by `{:?}`.
#[test]
fn debug_shows_lengths_and_never_a_byte_of_the_payload() {
    fn shown(value: &dyn Debug) -> String {
        let text = format!("{value:?} {value:#?}");
        for secret in ["secret", "115", "0x73", "tag", "116", "SUM", "83"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        format!("{value:?}")
    }

    let format = Format::new(Layout::fixed(1, Endian::Big).offset(3).trailer(3), 200).expect("a format");
    let wire = b"tag\x06secretSUM";
    let (frame, _) = format.split_first(wire).expect("no fault").expect("a frame");
    assert_eq!(shown(&frame), "Frame { prefix_len: 3, header_len: 4, payload_len: 6, trailer_len: 3 }");
    assert_eq!(shown(&frame.envelope()), "Envelope { prefix_len: 3, trailer_len: 3 }");
    let mut decoder = fed(format, wire);
    decoder.feed(b"tag\x06sec");
    assert!(shown(&decoder).contains("unread: 20"), "{decoder:?}");
    let mut parts = Vec::new();
    loop {
        parts.push(shown(&decoder.next_part().expect("no error").expect("a part")));
        shown(&decoder);
        if parts.len() == 4 {
            break;
        }
    }
    assert_eq!(
        parts,
        [
            "Start { header_len: 4, prefix_len: 3, payload_len: 6 }",
            "Chunk { len: 6 }",
            "End { trailer_len: 3 }",
            "Start { header_len: 4, prefix_len: 3, payload_len: 6 }",
        ]
    );
    assert!(shown(&format.frames(wire)).contains("rest: 13"), "{:?}", format.frames(wire));
    let mut failed = fed(format, wire);
    failed.feed(b"tag\xFFsecret");
    while let Ok(Some(_)) = failed.next_frame() {}
    assert!(failed.next_frame().is_err());
    // The header is what is wrong, and shown: what travels before the field is a part of it.
    assert!(format!("{failed:?}").contains("Failed"), "{failed:?}");
    assert!(!format!("{failed:?}").contains("secret"), "{failed:?}");
    shown(&skipping(format, b"tag\xFFsecret"));
    shown(&fed(Summed, b"\x06secret"));
}

/// A reader fills the room that it is shown, and no more; what it did not fill is not received.
#[test]
fn what_is_filled_is_received() {
    let mut decoder = Decoder::with_read_len(line(), 4);
    let wire = b"#\x05hello\n#\x00\n";
    let (mut at, mut payloads) = (0, Vec::new());
    while at < wire.len() {
        let space = decoder.space();
        assert!(!space.is_empty());
        space.fill(0xEE);
        let len = space.len().min(3).min(wire.len() - at);
        space[..len].copy_from_slice(&wire[at..at + len]);
        decoder.filled(len);
        at += len;
        while let Some(frame) = decoder.next_frame().expect("good frames") {
            payloads.push((frame.payload().to_vec(), frame.trailer().to_vec()));
        }
        decoder.filled(0);
    }
    assert_eq!(payloads, [(b"hello".to_vec(), b"\n".to_vec()), (Vec::new(), b"\n".to_vec())]);
    assert_eq!(ends(&decoder), Ok(()));
    // Room for a frame at hand has room for its trailer, too.
    let long = Format::new(Layout::fixed(1, Endian::Big).trailer(200), 200).expect("a format");
    let mut decoder = Decoder::with_read_len(long, 150);
    decoder.feed(&[150; 149]);
    assert_eq!(decoder.space().len(), 150, "a read, as the frame has 351 bytes");
    decoder.filled(150);
    assert_eq!(decoder.space().len(), 351 - 299, "up to the frame's end");
}

/// A trailer that a header must not have is refused when it is met.
#[test]
#[should_panic(expected = "a trailer has 255 at most")]
fn a_trailer_of_256_bytes_is_no_trailer() {
    struct Long;

    impl Header for Long {
        type Check = ();

        fn max_header_len(&self) -> usize {
            1
        }

        fn max_payload_len(&self) -> usize {
            1
        }

        fn parse(&self, _bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            Ok(Parsed::Head(Head::new(1, 0).trailer(256)))
        }

        fn write(&self, _: Envelope<'_>, _: usize, _: &mut Vec<u8>) -> Result<(), EncodeError> {
            Err(EncodeError::Custom("decoded only"))
        }
    }

    _ = fed(Long, &[0; 257]).next_frame();
}

#[test]
fn a_head_counts_all_of_its_frame() {
    let head = Head::new(3, 5).prefix(1).field(9).trailer(2);
    assert_eq!((head.prefix_len, head.header_len, head.field, head.payload_len, head.trailer_len), (1, 3, 9, 5, 2));
    assert_eq!(head.frame_len(), 10);
    assert_eq!(Head::new(3, u64::MAX - 4).trailer(1).frame_len(), u64::MAX);
    assert_eq!(Head::new(3, u64::MAX - 4).trailer(2).frame_len(), u64::MAX);
}

/// A position among the frames of a slice can be cloned, whatever the header: it is only borrowed.
#[test]
fn frames_of_a_slice_are_cloned_with_their_place() {
    struct NoClone(Format);

    impl Header for NoClone {
        type Check = ();

        fn max_header_len(&self) -> usize {
            self.0.max_header_len()
        }

        fn max_payload_len(&self) -> usize {
            self.0.max_payload_len()
        }

        fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            self.0.parse(bytes)
        }

        fn write(&self, envelope: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            self.0.write(envelope, payload_len, out)
        }
    }

    let header = NoClone(Format::U8);
    let mut frames = Frames::new(&header, b"\x01a\x02hi");
    assert!(frames.next().is_some());
    let (kept, next) = (frames.clone(), frames.next());
    assert_eq!((kept.offset(), kept.rest()), (2, &b"\x02hi"[..]));
    assert_eq!({ kept }.next(), next);
}
