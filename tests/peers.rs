//! Other people's decoders under the suite. Each test states one divergence precisely, and fails when the peer mends
//! it.

#[path = "support/tokio_codec.rs"]
mod tokio_codec;

use std::panic::{AssertUnwindSafe, catch_unwind};

use asynchronous_codec::{Decoder as _, FramedRead, LengthCodec};
use bytes::BytesMut;
use futures_lite::{StreamExt, future, io::Cursor};
use tokio_codec::TokioCodec;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};
use unstick::framing::{DecodeErrorKind, Endian, Format, Header, Layout, Phase};
use unstick::testing::own::{OwnDecoder, Way};
use unstick::testing::{self, Case, End, Subject, Violation};

/// This crate's decoder, in every way of using it, under what the others are put under.
#[test]
fn our_own_decoder_passes_the_suite() {
    let odd = Layout::fixed(2, Endian::Little).offset(3).adjustment(-5);
    let late = Layout::varint(3).adjustment(7);
    let formats = [
        Format::U32_LE.with_max_payload_len(300),
        Format::U8.with_max_payload_len(20),
        Format::new(odd, 40),
        Format::new(late, 200),
        Format::new(odd.trailer(3), 40),
        Format::new(late.trailer(9), 200),
    ];
    for (format, way) in formats.into_iter().zip(Way::ALL.iter().copied().cycle().skip(1)) {
        let format = format.expect("a format");
        let cases = testing::suite(format, || OwnDecoder::new(&Case::new(format, []), way));
        assert!(cases > 900, "{cases} cases");
    }
}

fn tokio(format: Format) -> TokioCodec {
    TokioCodec::new(&format).expect("a format that the codec can express").without_memory()
}

/// tokio-util 0.7.20: an end right after a header is clean.
#[test]
fn tokio_calls_an_end_after_a_header_clean() {
    let case = Case::new(Format::U32_BE, b"\0\0\0\x09");
    let expected = End::Truncated { start: 0, phase: Phase::Payload, have: 4, need: 13 };
    let found = testing::try_case(&case, || tokio(Format::U32_BE));
    assert_eq!(found, Err(Violation::End { received: 4, expected, found: None }));
    // Inside the header and inside the payload it tells the truth.
    for stream in [&b"\0\0\0"[..], b"\0\0\0\x09a"] {
        testing::check_case(&Case::new(Format::U32_BE, stream), || tokio(Format::U32_BE));
    }
}

/// And the suite finds that by itself.
#[test]
fn the_suite_finds_it_in_tokio() {
    let format = Format::U32_BE.with_max_payload_len(300).expect("a format");
    let failure = testing::try_suite(format, || tokio(format)).expect_err("the peer was mended");
    assert!(matches!(failure.violation, Violation::End { found: None, .. }), "{failure}");
}

/// tokio-util 0.7.20: the limit is on the field as it stands, so that an adjustment of 4 lets 14 bytes through a limit
/// of 10.
#[test]
fn tokio_limits_the_raw_field() {
    let layout = Layout::fixed(4, Endian::Big).adjustment(4);
    let format = Format::new(layout, 10).expect("a format");
    let codec = || {
        let mut builder = LengthDelimitedCodec::builder();
        TokioCodec::of(builder.length_adjustment(4).max_frame_length(10).new_codec())
    };
    let payload = vec![b'.'; 14];
    let case = Case::new(format, [b"\0\0\0\x0A", &payload[..]].concat());
    let found = Some(payload);
    let violation = Violation::Frame { received: 18, index: 0, expected: None, found };
    assert_eq!(testing::try_case(&case, codec), Err(violation));
}

/// tokio-util 0.7.20: with a negative adjustment the limit on the field is lowered to the longest payload that it can
/// say, so that a field of one byte that counts itself refuses a payload of 254 bytes.
#[test]
fn tokio_refuses_the_longest_payload_that_the_field_can_say() {
    let layout = Layout::fixed(1, Endian::Big).inclusive();
    let format = Format::new(layout, 254).expect("a format");
    let case = Case::new(format, [vec![255], vec![b'.'; 254]].concat());
    let found = testing::try_case(&case, || tokio(format));
    assert!(matches!(found, Err(Violation::Error { received: 255, expected: None, found: Some(_) })), "{found:?}");
    testing::check_case(&Case::new(format, [vec![254], vec![b'.'; 253]].concat()), || tokio(format));
}

/// tokio-util 0.7.20: a field that counts the whole frame, and says 0, yields empty frames for ever and takes nothing.
#[test]
fn tokio_yields_empty_frames_without_end() {
    let codec = || LengthDelimitedCodec::builder().length_field_length(2).num_skip(0).new_codec();
    let format = Format::U16_BE_INCLUSIVE;
    let found = testing::try_case(&Case::new(format, b"\0\0"), || TokioCodec::of(codec()));
    assert_eq!(found, Err(Violation::Frame { received: 2, index: 0, expected: None, found: Some(vec![]) }));

    let (mut codec, mut buffer) = (codec(), BytesMut::from(&b"\0\0"[..]));
    for _ in 0..10_000 {
        let frame = codec.decode(&mut buffer).expect("no error").expect("yet another frame");
        assert_eq!((frame.len(), buffer.len()), (0, 2));
    }
}

/// tokio-util 0.7.20: four bytes that declare 8 MiB are believed, and 8 MiB reserved.
#[test]
fn tokio_reserves_what_a_header_declares() {
    let format = Format::U32_BE.with_max_payload_len(8 << 20).expect("a format");
    let case = Case::new(format, b"\0\x80\0\0");
    let found = testing::try_case(&case, || TokioCodec::new(&format).expect("a codec"));
    let Err(Violation::Memory { received: 4, held, bound }) = found else { panic!("the peer was mended: {found:?}") };
    assert!(held >= 8 << 20 && bound < 64 << 10, "{held} bytes are held, and {bound} may be");
}

/// tokio-util 0.7.20: a length near 2^63 under no limit panics.
#[test]
fn tokio_panics_at_a_length_near_2_63_under_no_limit() {
    let mut builder = LengthDelimitedCodec::builder();
    let mut codec = builder.length_field_length(8).max_frame_length(usize::MAX).new_codec();
    let mut buffer = BytesMut::from(&b"\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"[..]);
    assert!(catch_unwind(AssertUnwindSafe(|| codec.decode(&mut buffer))).is_err());
}

/// asynchronous-codec's `LengthCodec`: a big-endian u64, no limit.
#[derive(Default)]
struct AsynchronousCodec {
    buffer: BytesMut,
}

impl Subject for AsynchronousCodec {
    type Error = String;

    fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        let frame = LengthCodec.decode(&mut self.buffer).map_err(|error| error.to_string())?;
        Ok(frame.map(|frame| frame.to_vec()))
    }

    fn finish(&mut self) -> Result<(), String> {
        match LengthCodec.decode_eof(&mut self.buffer) {
            Ok(None) if self.buffer.is_empty() => Ok(()),
            other => Err(format!("{other:?} with {} bytes left", self.buffer.len())),
        }
    }

    fn memory(&self) -> Option<usize> {
        Some(self.buffer.capacity())
    }
}

/// asynchronous-codec 0.7.0: there is no limit, so that a length that no buffer can hold is waited for.
#[test]
fn asynchronous_codec_waits_for_any_length() {
    let case = Case::new(Format::U64_BE, [0xFF; 8]);
    let found = testing::try_case(&case, AsynchronousCodec::default);
    let expected = DecodeErrorKind::Oversize {
        field: u64::MAX,
        payload_len: u64::MAX,
        max_payload_len: Format::U64_BE.max_payload_len(),
    };
    assert_eq!(found, Err(Violation::Error { received: 8, expected: Some(expected), found: None }));

    let failure = testing::try_suite(Format::U64_BE, AsynchronousCodec::default).expect_err("the peer was mended");
    assert!(matches!(failure.violation, Violation::Error { found: None, .. }), "{failure}");
}

/// But for that, its frames, its memory and its end are right.
#[test]
fn asynchronous_codec_tells_the_end_truthfully() {
    for stream in [&b"\0\0\0\0\0\0\0\x02hi"[..], b"\0\0\0\0\0\0\0\x02", b"\0\0\0\0\0\0\0\x02h", b"\0"] {
        testing::check_case(&Case::new(Format::U64_BE, stream), AsynchronousCodec::default);
    }
}

/// asynchronous-codec 0.7.0: a stream that ends inside a frame gives its error at every poll, so that
/// `while let Some(frame) = stream.next().await` never comes to an end.
#[test]
fn asynchronous_codec_repeats_its_error_for_ever() {
    let mut stream = FramedRead::new(Cursor::new(b"\0\0\0\0\0\0\0\x03ab".to_vec()), LengthCodec);
    for _ in 0..1000 {
        let item = future::block_on(stream.next()).expect("yet another item");
        assert_eq!(item.expect_err("the stream ends inside a frame").kind(), std::io::ErrorKind::UnexpectedEof);
    }
}
