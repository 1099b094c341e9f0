//! What a codec writes, and what it leaves.

use bytes::{Buf, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};
use unstick::WriteError;
use unstick::codec::{FrameCodec, OwnedFrame};
use unstick::framing::{self, EncodeError, Endian, Envelope, Format, Header, Layout, PRESETS};
use unstick::testing::Plan;

use super::{Summed, with_envelope};

/// Every preset, and headers of five to twelve bytes with a prefix or a trailer.
fn formats() -> impl Iterator<Item = Format> {
    let wide = Layout::fixed(8, Endian::Little).offset(4).trailer(255);
    let odd = Layout::fixed(3, Endian::Big).offset(2).adjustment(-5);
    let others =
        [Format::new(wide, 1000).expect("a format"), Format::new(odd, 1000).expect("a format"), with_envelope()];
    PRESETS.iter().map(|(_, format, _)| *format).chain(others)
}

/// In each way of sending: the bytes are those of the core's encoder, appended to what is queued, and decode to the
/// same frame.
#[test]
fn it_writes_what_the_encoder_writes() {
    for format in formats() {
        let zeros = format.layout().zeros();
        let (encoder, mut codec) = (framing::Encoder::new(format), FrameCodec::new(format));
        for payload_len in [0, 1, 7, 127, 128, 255] {
            let payload = vec![0xA5; payload_len];
            let mut expected = b"before".to_vec();
            encoder.encode_with(zeros, &payload, &mut expected).expect("within the limit");
            let mut out = BytesMut::from(&b"before"[..]);
            codec.encode((zeros, &payload), &mut out).expect("within the limit");
            assert_eq!(out, expected, "{format:?}");
            if zeros == Envelope::default() {
                for owned in [false, true] {
                    out.truncate(6);
                    let payload = Bytes::from(payload.clone());
                    let encoded =
                        if owned { codec.encode(payload, &mut out) } else { codec.encode(&payload[..], &mut out) };
                    encoded.expect("within the limit");
                    assert_eq!(out, expected, "{format:?}");
                }
            }
            let frame = codec.decode(&mut out.split_off(6)).expect("a frame").expect("a whole frame");
            assert_eq!(frame.payload(), payload);
            sends_on(&mut codec, frame, &expected[6..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In any format, by a codec that shares it; and what is refused is refused for the same reason, and leaves no
    /// trace.
    #[test]
    fn it_writes_and_refuses_what_the_encoder_does(data in vec(any::<u8>(), 0..120)) {
        let plan = Plan::from_bytes(&data);
        let (mut codec, encoder) = (FrameCodec::new(&plan.format), framing::Encoder::new(&plan.format));
        let (mut wire, mut expected) = (BytesMut::new(), Vec::new());
        let zeros = plan.format.layout().zeros();
        for frame in &plan.frames {
            let payload = vec![7; frame.payload_len(&plan.format)];
            match (codec.encode((zeros, &payload), &mut wire), encoder.encode_with(zeros, &payload, &mut expected)) {
                (Ok(()), Ok(())) => {}
                (Err(WriteError::Encode(error)), Err(refused)) => prop_assert_eq!(error, refused),
                other => panic!("{other:?}"),
            }
            prop_assert!(wire == expected);
        }
    }
}

/// A frame that was received goes out as it came in: lent, and given.
fn sends_on<H: Header>(codec: &mut FrameCodec<H>, frame: OwnedFrame, wire: &[u8]) {
    let mut out = BytesMut::new();
    codec.encode(&frame, &mut out).expect("what was received can be sent");
    assert_eq!(out, wire);
    codec.encode(frame, &mut out).expect("what was received can be sent");
    assert_eq!(out, [wire, wire].concat());
}

#[test]
fn a_checksum_is_computed_anew() {
    let mut codec = FrameCodec::new(Summed);
    let mut out = BytesMut::new();
    codec.encode(&b"\x01\x02"[..], &mut out).expect("within the limit");
    let wire = out.clone();
    assert_eq!(wire, &b"*\x02\x01\x02\x2F"[..]);
    let frame = codec.decode(&mut out).expect("a frame").expect("a whole frame");
    assert_eq!((frame.prefix(), frame.trailer()), (&b"*"[..], &b"\x2F"[..]));
    sends_on(&mut codec, frame, &wire);
    // A frame of another format, with another trailer.
    let mut other = BytesMut::from(&b"#\x00\x04\x01\x02!"[..]);
    let frame = FrameCodec::new(with_envelope()).decode(&mut other).expect("a frame").expect("a whole frame");
    codec.encode(&frame, &mut out).expect("within the limit");
    assert_eq!(out, wire);
}

#[test]
fn what_is_refused_leaves_no_trace_and_the_next_frame_goes_out() {
    let mut codec = FrameCodec::new(with_envelope());
    let mut out = BytesMut::from(&b"before"[..]);
    let oversize = EncodeError::Oversize { payload_len: 301, max_payload_len: 300 };
    let good = Envelope { prefix: b"#", trailer: b"!" };
    refused(codec.encode((good, [0; 301]), &mut out), oversize);
    refused(codec.encode((b"##", b"hi"), &mut out), EncodeError::Prefix { prefix_len: 2, offset: 1 });
    refused(codec.encode((b"#", b"hi"), &mut out), EncodeError::Trailer { trailer_len: 0, expected: 1 });
    refused(codec.encode(Bytes::from_static(b"hi"), &mut out), EncodeError::Prefix { prefix_len: 0, offset: 1 });
    assert_eq!(out, &b"before"[..]);
    codec.encode((good, "hi"), &mut out).expect("a good frame");
    assert_eq!(out, &b"before#\x00\x04hi!"[..]);
}

fn refused(encoded: Result<(), WriteError>, expected: EncodeError) {
    match encoded {
        Err(WriteError::Encode(error)) => assert_eq!(error, expected),
        other => panic!("{other:?} where {expected} is due"),
    }
}

/// It is in the memory that it was received in.
#[test]
fn a_frame_is_not_copied() {
    let mut src = BytesMut::from(&b"#\x00\x08abcdef!#\x00\x02!"[..]);
    let start = src.as_ptr();
    let mut codec = FrameCodec::new(with_envelope());
    let frame = codec.decode(&mut src).expect("a frame").expect("a whole frame");
    assert_eq!(frame.as_bytes().as_ptr(), start);
    let payload = frame.into_payload();
    assert_eq!((&payload[..], payload.as_ptr()), (&b"abcdef"[..], start.wrapping_add(3)));
    let frame = codec.decode(&mut src).expect("a frame").expect("a whole frame");
    let whole = frame.into_bytes();
    assert_eq!((&whole[..], whole.as_ptr()), (&b"#\x00\x02!"[..], start.wrapping_add(10)));
}

/// Once all was written, the next frames take the same memory from its front.
#[test]
fn what_was_written_makes_room() {
    let mut codec = FrameCodec::new(Format::U8);
    let mut out = BytesMut::with_capacity(100);
    let start = out.as_ptr();
    for _ in 0..3 {
        for turn in 0..6 {
            codec.encode(&[7; 10][..], &mut out).expect("within the limit");
            assert_eq!((out.len(), out.as_ptr()), ((turn + 1) * 11, start));
        }
        out.advance(66);
    }
}

#[test]
fn debug_shows_lengths_and_never_the_bytes() {
    let mut codec = FrameCodec::new(with_envelope());
    let mut wire = BytesMut::new();
    codec.encode((Envelope { prefix: b"P", trailer: b"T" }, "secret"), &mut wire).expect("a good frame");
    let frame = codec.decode(&mut wire).expect("a frame").expect("a whole frame");
    let shown = "OwnedFrame { prefix_len: 1, header_len: 3, payload_len: 6, trailer_len: 1 }";
    assert_eq!(format!("{frame:?}"), shown);
    assert_eq!(frame.text(), Ok("secret"));
    let shown = format!("{codec:?}");
    assert!(
        shown.starts_with("FrameCodec { header: Format {") && shown.ends_with("offset: 10, failed: None }"),
        "{shown}"
    );
}

/// What `set_max_frame_length` is for: the next frame is read by the new limit, also if its header has been received.
#[test]
fn a_limit_may_change() {
    let small = Format::U8.with_max_payload_len(2).expect("a format");
    let mut codec = FrameCodec::new(small);
    let mut src = BytesMut::from(&b"\x02hi\x02h"[..]);
    assert!(codec.decode(&mut src).expect("within the limit").is_some());
    assert!(codec.decode(&mut src).expect("within the limit").is_none());
    *codec.format_mut() = small.with_max_payload_len(1).expect("a format");
    assert_eq!(codec.format().max_payload_len(), 1);
    assert!(codec.decode(&mut src).is_err());
}
