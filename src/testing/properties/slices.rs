//! The properties of the frames of a slice.

use super::stream::{assert_ends, assert_is};
use crate::framing::{DecodeError, Decoder, Frames, Header, Oversize, split_first};
use crate::testing::case::Case;
use crate::testing::oracle::{End, Expected, Oracle};

/// The frames of the stream as a slice are those of the oracle, each at its offset, and borrowed from the slice. After
/// the last one comes the error that a decoder has, once; the bytes that are not a frame remain. A frame over the limit
/// ends them whatever the policy, as a slice has no skip policy.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_slice<H: Oracle>(case: &Case<H>) {
    // A long stream is ended at 60 offsets only, as in `check_end`.
    let step = case.stream.len().div_ceil(60).max(1);
    for len in (0..case.stream.len()).step_by(step).chain([case.stream.len()]) {
        check_frames(&case.format, &case.stream[..len]);
    }
}

#[track_caller]
fn check_frames<H: Oracle>(header: &H, stream: &[u8]) {
    let expected = Expected::of(header, Oversize::Reject, stream);
    let mut frames = Frames::new(header, stream);
    for located in expected.yielded() {
        assert_eq!((frames.offset(), frames.rest()), (located.start, &stream[located.start..]));
        let (first, rest) = split_first(header, frames.rest()).expect("no fault").expect("a whole frame");
        assert_eq!(rest, &stream[located.end() as usize..], "the rest begins after the frame");
        let (offset, frame) = frames.next().expect("as many frames as there are").expect("a frame is no fault");
        assert_eq!(offset, located.start, "a frame comes with its offset");
        assert_is(&frame, located, stream);
        assert_eq!(first, frame, "the frames begin with the first one");
        let first_byte = stream[located.start..].as_ptr();
        assert_eq!(
            (frame.as_bytes().as_ptr(), first.as_bytes().as_ptr()),
            (first_byte, first_byte),
            "and are not copies"
        );
    }
    let (rest, start) = (frames.rest(), frames.offset());
    assert_eq!(rest, &stream[start..], "the rest begins after the last frame");
    let fault = frames.next().map(|last| last.expect_err("no more frames than there are"));
    let error = error_of(Decoder::new(header.clone()), stream);
    assert_eq!(fault.as_ref(), error.as_deref(), "the fault is the decoder's error");
    assert_ends(error.as_ref(), &expected, stream);
    for _ in 0..2 {
        assert!(frames.next().is_none(), "a fault is reported once");
        assert_eq!((frames.rest(), frames.offset()), (rest, start), "and what is no frame stays");
    }
    match (expected.end, split_first(header, rest)) {
        (End::Clean | End::Truncated { .. }, Ok(None)) => {}
        (End::Refused { .. }, Err(fault)) => {
            assert_eq!(Some(&fault), error_of(Decoder::new(header.clone()), rest).as_deref(), "it is the first one");
        }
        (end, found) => panic!("the rest ends as {end:?}, and begins with {found:?}"),
    }
}

/// The error of a stream that a decoder gets in one chunk.
fn error_of<H: Header>(mut decoder: Decoder<H>, stream: &[u8]) -> Option<DecodeError> {
    decoder.feed(stream);
    loop {
        match decoder.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => return decoder.finish().err(),
            Err(error) => return Some(error),
        }
    }
}
