//! What was found once stays found: each test has the name of the mistake.

use futures_lite::future::block_on;
use unstick::framing::{
    DecodeErrorKind, Decoder, Diagnosis, EncodeError, Encoder, Envelope, Format, Frame, Head, Header, Oversize, Parsed,
    Phase,
};
use unstick::testing::choppy::{ChoppyRead, Step};
use unstick::testing::{self, Case, Cuts, Oracle};
use unstick::{Halves, PeerName, Responder, ServerConfig, serve_connection};

/// `need` called itself for each skipped frame, and a read full of them overflowed the stack.
#[test]
fn need_after_many_skipped_frames_ends() {
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
    // The same if the stream is read into the decoder's buffer.
    assert!(decoder.space().len() <= 16 * 1024);
}

/// A custom header that writes first and refuses then leaves no trace all the same.
#[test]
fn a_custom_header_that_refuses_late_leaves_no_trace() {
    struct Late;

    impl Header for Late {
        type Check = ();

        fn max_header_len(&self) -> usize {
            1
        }

        fn max_payload_len(&self) -> usize {
            255
        }

        fn parse(&self, _bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            Err(DecodeErrorKind::Custom("encoded only"))
        }

        fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.push(payload_len as u8);
            if payload_len > 3 { Err(EncodeError::Custom("three at most")) } else { Ok(()) }
        }
    }

    let mut out = b"before".to_vec();
    assert_eq!(Encoder::new(Late).encode_with(b"", b"four", &mut out), Err(EncodeError::Custom("three at most")));
    assert_eq!(Encoder::new(Late).header(b"", 4, &mut out), Err(EncodeError::Custom("three at most")));
    assert_eq!(out, b"before");
    Encoder::new(Late).encode_with(b"", b"two", &mut out).expect("three bytes");
    assert_eq!(out, b"before\x03two");
}

/// Header and payload together are beyond all numbers: the end of the stream inside such a frame, while it was skipped,
/// was told at another offset, and with fewer bytes, than the frame has. (Found by the fuzz target `decode`.)
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

/// A TLS hello can declare a length within the limit (66,326 bytes as a little-endian u32), and nothing told that it
/// was TLS. The kit, in turn, took the bytes that such an end shows for a mistake: it wants none of other ends.
#[test]
fn a_hello_within_the_limit_is_told_at_its_end_and_the_kit_lets_it_be() {
    let hello = b"\x16\x03\x01\x00\xF5\x01\x00\x00\xF1\x03\x03";
    let mut decoder = Decoder::new(Format::U32_LE);
    for byte in hello {
        decoder.feed(&[*byte]);
        assert_eq!(decoder.next_frame(), Ok(None));
    }
    let error = decoder.finish().expect_err("inside a frame");
    let kind = DecodeErrorKind::Truncated { phase: Phase::Payload, have: 11, need: 4 + 66_326 };
    assert_eq!((error.kind(), error.diagnosis(), error.header()), (kind, Some(Diagnosis::Tls), &hello[..4]));
    for len in 0..=hello.len() {
        testing::check_stream(&Case::new(Format::U32_LE, &hello[..len]).cut(Cuts::every(3)));
    }
}

/// The quick way to a frame looks at eight bytes, and leaves a frame that ends sooner to the thorough one. A chunk's
/// last short frame was passed over until more came, and then it was not lent from the chunk.
#[test]
fn a_short_frame_that_ends_a_chunk_is_lent_from_it() {
    for payload in [&b""[..], b"a", b"ab", b"abc", b"abcd"] {
        let wire = [&(payload.len() as u32).to_le_bytes()[..], payload].concat();
        let mut decoder = Decoder::new(Format::U32_LE);
        let mut chunk = &wire[..];
        let frame = decoder.next_frame_from(&mut chunk).expect("no error").expect("a whole frame");
        assert_eq!(frame.as_bytes().as_ptr_range(), wire.as_ptr_range(), "not a copy");
        assert_eq!(decoder.next_frame_from(&mut chunk), Ok(None));
    }
}

/// The server took such a frame from the decoder to look for an error, and dropped it: it was neither handled nor
/// answered.
#[test]
fn a_short_frame_that_ends_a_read_is_served() {
    for payload in [&b""[..], b"a", b"ab", b"abc", b"abcd"] {
        let wire = [&(payload.len() as u32).to_le_bytes()[..], payload].concat();
        let stream = wire.repeat(3);
        let reader = ChoppyRead::new(&stream, [Step::Pass(wire.len()); 3]);
        let mut handled = 0;
        let handler = async |frame: Frame<'_>, responder: &mut Responder| {
            handled += 1;
            responder.send(frame.payload()).await
        };
        let (peer, memory) = (PeerName::Other("memory".into()), Halves { reader, writer: futures_lite::io::sink() });
        let closed = block_on(serve_connection(peer, memory, ServerConfig::default(), |_| handler));
        let closed = closed.expect("a configuration to serve with");
        assert_eq!((handled, closed.reason.name()), (3, "clean"));
        let answered = (closed.traffic.frames_out, closed.traffic.bytes_out);
        assert_eq!(answered, (3, stream.len() as u64), "all are answered");
    }
}

/// The kit wanted a header that is refused at its first byte to have asked for just that byte.
#[test]
fn a_header_may_ask_for_a_whole_one_and_be_refused_sooner() {
    #[derive(Clone, Debug)]
    struct Star;

    impl Oracle for Star {}

    impl Header for Star {
        type Check = ();

        fn max_header_len(&self) -> usize {
            2
        }

        fn max_payload_len(&self) -> usize {
            255
        }

        fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
            match *bytes {
                [] => Ok(Parsed::Need(2)),
                [b'*'] => Ok(Parsed::Need(1)),
                [b'*', len, ..] => Ok(Parsed::Head(Head::new(2, u64::from(len)))),
                _ => Err(DecodeErrorKind::Custom("no star")),
            }
        }

        fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.extend([b'*', payload_len as u8]);
            Ok(())
        }
    }

    for stream in [&b"*\x01a*\x00"[..], b"*\x01a+\x00", b"+"] {
        testing::check_stream(&Case::new(Star, stream));
    }
}
