//! What was found once stays found: each test has the name of the mistake.

use unstick::framing::{DecodeErrorKind, Decoder, EncodeError, Encoder, Format, Header, Oversize, Parsed, Phase};

/// `need` looked behind each skipped frame by calling itself, and a read full of them ended the stack.
#[test]
fn need_behind_many_skipped_frames_ends() {
    let format = Format::U8.with_max_payload_len(0).expect("a format");
    let mut decoder = Decoder::new(format).on_oversize(Oversize::Skip { max_discard: 255 });
    decoder.feed(&b"\x01x".repeat(1 << 20));
    assert_eq!(decoder.need(), 1);
    decoder.feed(b"\x03xx");
    assert_eq!(decoder.need(), 1);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!((decoder.skipped().frames, decoder.need()), ((1 << 20) + 1, 1));
}

/// The memory of a large frame stayed for as long as a piece of another frame was always at hand.
#[test]
fn memory_of_a_large_frame_is_given_back_while_small_frames_follow() {
    let mut decoder = Decoder::new(Format::U32_LE);
    let large = [&(1u32 << 20).to_le_bytes()[..], &vec![7; 1 << 20]].concat();
    for chunk in large.chunks(4096) {
        decoder.feed(chunk);
    }
    decoder.feed(b"\x02\0\0\0h");
    assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload().len(), 1 << 20);
    for _ in 0..10 {
        assert_eq!(decoder.next_frame(), Ok(None), "a piece is always at hand");
        decoder.feed(b"i\x02\0\0\0h");
        assert_eq!(decoder.next_frame().expect("no error").expect("a frame").payload(), b"hi");
    }
    assert!(decoder.capacity() <= 64 * 1024, "{} bytes are held for {}", decoder.capacity(), decoder.buffered());
    // And so where the stream is read in place.
    assert!(decoder.space().len() <= 16 * 1024);
}

/// A custom header that writes first and refuses then leaves no trace all the same.
#[test]
fn a_custom_header_that_refuses_late_leaves_no_trace() {
    struct Late;

    impl Header for Late {
        fn max_header_len(&self) -> usize {
            1
        }

        fn max_payload_len(&self) -> usize {
            255
        }

        fn parse(&self, _bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            Err(DecodeErrorKind::Custom("encoded only"))
        }

        fn write(&self, _prefix: &[u8], payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.push(payload_len as u8);
            if payload_len > 3 { Err(EncodeError::Custom("three at most")) } else { Ok(()) }
        }
    }

    let mut out = b"before".to_vec();
    assert_eq!(Encoder::new(Late).encode(b"", b"four", &mut out), Err(EncodeError::Custom("three at most")));
    assert_eq!(Encoder::new(Late).header(b"", 4, &mut out), Err(EncodeError::Custom("three at most")));
    assert_eq!(out, b"before");
    Encoder::new(Late).encode(b"", b"two", &mut out).expect("three bytes");
    assert_eq!(out, b"before\x03two");
}

/// Header and payload together are beyond all numbers: the end of the stream inside such a frame, while it was skipped, was
/// told at another offset, and with fewer bytes, than the frame has. (Found by the fuzz target `decode`.)
#[test]
fn the_end_inside_a_skipped_frame_of_the_greatest_length_is_told_where_it_begins() {
    let mut decoder = Decoder::new(Format::U64_BE).on_oversize(Oversize::Skip { max_discard: u64::MAX });
    decoder.feed(&[0xFF; 8]);
    decoder.feed(b"abc");
    assert_eq!(decoder.next_frame(), Ok(None));
    let error = decoder.finish().expect_err("inside a frame");
    let kind = DecodeErrorKind::Truncated { phase: Phase::Payload, have: 11, need: u64::MAX };
    assert_eq!((error.offset(), error.kind()), (0, kind));
}
