//! The property kit over the codec, read into as a `Framed` reads.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::Decoder as _;
use unstick::codec::FrameCodec;
use unstick::framing::{DecodeError, Decoder, Encoder, Endian, Envelope, Format, Header, Layout, Oversize};
use unstick::testing::{self, Case, Cuts, Oracle, Plan, Subject};

use super::as_framed::{AsFramed, decode_error};
use super::{Summed, with_envelope};

impl Oracle for Summed {}

#[test]
fn the_codec_passes_the_suite() {
    let late = Layout::varint(3).adjustment(7);
    let formats = [
        Format::U32_LE.with_max_payload_len(300),
        Format::U32_BE.with_max_payload_len(40_000),
        Format::U8.with_max_payload_len(20),
        Format::VARINT.with_max_payload_len(200),
        Format::new(Layout::fixed(2, Endian::Little).offset(3).adjustment(-5), 40),
        Format::new(late, 200),
        Format::new(Layout::fixed(3, Endian::Big).trailer(4), 60),
        Ok(with_envelope()),
    ];
    for format in formats {
        let format = format.expect("a format");
        let cases = testing::suite(format, || AsFramed::new(format));
        assert!(cases > 900, "{cases} cases");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_format(data in vec(any::<u8>(), 0..300)) {
        check(&Case::from_bytes(&data));
    }

    #[test]
    fn any_plan(data in vec(any::<u8>(), 0..200)) {
        check(&Plan::from_bytes(&data).case());
    }

    #[test]
    fn a_header_of_ones_own(lens in vec(0..=200usize, 0..6), flip in any::<(u16, u8)>(), cuts in vec(0..40usize, 0..6)) {
        let mut stream = Vec::new();
        for len in lens {
            Encoder::new(Summed).encode(&vec![7; len], &mut stream).expect("within the limit");
        }
        let cuts = Cuts::of_lens(cuts);
        check(&Case::new(Summed, stream.clone()).cut(cuts.clone()));
        if !stream.is_empty() {
            let at = usize::from(flip.0) % stream.len();
            stream[at] ^= flip.1;
            check(&Case::new(Summed, stream).cut(cuts));
        }
    }
}

/// What holds of every decoder, and the same as the decoder: each frame with prefix and trailer, and the error with its
/// offset, its header and what that looks like.
fn check<H: Oracle>(case: &Case<H>) {
    let case = case.clone().on_oversize(Oversize::Reject);
    testing::check_case(&case, || AsFramed::new(case.format.clone()));
    let expected = by_decoder(&case);
    for cuts in [Cuts::whole(), case.cuts.clone(), Cuts::every(case.stream.len().div_ceil(300))] {
        assert_eq!(by_codec(&case, &cuts), expected, "in {cuts:?}");
    }
}

/// A frame: prefix, header, payload, trailer.
type Seen = [Vec<u8>; 4];

fn by_decoder<H: Header + Clone>(case: &Case<H>) -> (Vec<Seen>, Option<DecodeError>) {
    let mut decoder = Decoder::new(case.format.clone());
    decoder.feed(&case.stream);
    let mut frames = Vec::new();
    loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => {
                frames.push([frame.prefix(), frame.header(), frame.payload(), frame.trailer()].map(<[u8]>::to_vec));
            }
            Ok(None) => return (frames, decoder.finish().err()),
            Err(error) => return (frames, Some(error)),
        }
    }
}

fn by_codec<H: Header + Clone>(case: &Case<H>, cuts: &Cuts) -> (Vec<Seen>, Option<DecodeError>) {
    let mut framed = AsFramed::new(case.format.clone());
    let mut frames = Vec::new();
    for chunk in cuts.chunks(&case.stream) {
        framed.feed(chunk);
    }
    loop {
        match framed.next() {
            Ok(Some(frame)) => {
                let Envelope { prefix, trailer } = frame.envelope();
                assert_eq!((prefix, trailer), (frame.prefix(), frame.trailer()));
                let whole = [frame.header(), frame.payload(), frame.trailer()].concat();
                assert_eq!(frame.as_bytes(), whole);
                frames.push([frame.prefix(), frame.header(), frame.payload(), frame.trailer()].map(<[u8]>::to_vec));
            }
            Ok(None) => return (frames, framed.finish().err()),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// Whole frames that wait come first, then the error, once, then nothing.
#[test]
fn the_end_is_told_once_and_truthfully() {
    for (stream, whole) in [(&b"\x01a\x02hi\x03wo"[..], 2), (b"\x01a\x01", 1), (b"\x05", 0)] {
        let (mut codec, mut src) = (FrameCodec::new(Format::U8), BytesMut::from(stream));
        for _ in 0..whole {
            assert!(codec.decode_eof(&mut src).expect("frames come first").is_some());
        }
        let error = decode_error(codec.decode_eof(&mut src).expect_err("a frame is cut"));
        let mut decoder = Decoder::new(Format::U8);
        decoder.feed(stream);
        assert_eq!(decoder.finish(), Err(error.clone()));
        for _ in 0..3 {
            assert!(src.is_empty() && codec.decode_eof(&mut src).expect("the end").is_none());
        }
        // A reader may have more after its end. A stream that failed has not.
        src.extend_from_slice(b"\x01b");
        assert_eq!(decode_error(codec.decode(&mut src).expect_err("it failed")), error);
        assert!(src.is_empty());
    }
}

#[test]
fn a_reader_may_continue_after_its_end_between_frames() {
    let mut framed = AsFramed::new(Format::U8);
    for payload in [&b"hi"[..], b"", b"there"] {
        framed.feed(&[payload.len() as u8]);
        framed.feed(payload);
        assert_eq!(framed.next_frame(), Ok(Some(payload.to_vec())));
        assert_eq!(framed.end(), Ok(None));
    }
    framed.feed(b"\x05wo");
    assert!(framed.end().is_err());
}
