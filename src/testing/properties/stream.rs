//! The properties of a decoder of any header, each as a function of one case.

use alloc::vec::Vec;

use super::bodies::check_streamed_body;
use super::slices::check_slice;
use super::ways::{OwnDecoder, Way};
use crate::framing::{DecodeError, DecodeErrorKind, Decoder, Frame, Head, Header, Oversize, Skipped};
use crate::testing::case::{Case, Cuts};
use crate::testing::census::{self, Met};
use crate::testing::oracle::{End, Expected, Located, MOST_SHOWN, Oracle, Seen};
use crate::testing::subject::follow;

/// Runs every check on a byte stream.
///
/// # Panics
/// If anything does not hold.
#[track_caller]
pub fn check_stream<H: Oracle>(case: &Case<H>) {
    census::case(case);
    check_oracle(case);
    check_chunking(case);
    check_final_error(case);
    check_end(case);
    check_slice(case);
    check_need(case);
    check_streamed_body(case);
    check_skip(case);
}

/// Runs one of these checks, which `choice` chooses, on a byte stream.
///
/// # Panics
/// If it does not hold.
#[track_caller]
pub(crate) fn check_one<H: Oracle>(case: &Case<H>, choice: u8) {
    census::case(case);
    let variant = usize::from(choice / 8);
    match choice % 8 {
        0 => check_oracle(case),
        1 => {
            let expected = Expected::of(&case.format, case.oversize, &case.stream);
            let cuts = match variant / Way::ALL.len() % 3 {
                0 => Cuts::whole(),
                1 => case.cuts.clone(),
                _ => case.finest(),
            };
            check_way(case, &expected, &cuts, Way::ALL[variant % Way::ALL.len()]);
        }
        2 => check_final_error(case),
        3 => check_end(case),
        4 => check_slice(case),
        5 => check_need(case),
        6 => check_streamed_body(case),
        _ => check_skip(case),
    }
}

/// The frames, with prefix and header, and the end, with all its numbers, are those that the naive oracle finds.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_oracle<H: Oracle>(case: &Case<H>) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let mut decoder = case.decoder();
    decoder.feed(&case.stream);
    for located in expected.yielded() {
        let frame = decoder.next_frame().expect("a frame is no error").expect("a whole frame is yielded");
        assert_is(&frame, located, &case.stream);
        assert_eq!(decoder.offset(), located.end(), "the offset is the end of the frame");
    }
    let last = decoder.next_frame().map(|frame| frame.is_some());
    assert_ne!(last, Ok(true), "no more frames than there are: {case:02x?}");
    let error = last.and_then(|_| decoder.finish()).err();
    assert_ends(error.as_ref(), &expected, &case.stream);
    assert_eq!(decoder.skipped(), skipped(&expected), "what was skipped is counted");
}

/// However the stream is cut, and in whichever [`Way`] it is decoded: the same frames, each as soon as it is whole, and
/// the same error, which is final; and memory follows what was received.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_chunking<H: Oracle>(case: &Case<H>) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    for cuts in [&Cuts::whole(), &case.cuts, &case.finest()] {
        check_cuts(case, &expected, cuts);
    }
}

/// As [`check_chunking`], in these cuts only. `expected` is the oracle's result for the case.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_cuts<H: Oracle>(case: &Case<H>, expected: &Expected, cuts: &Cuts) {
    for &way in Way::ALL {
        check_way(case, expected, cuts, way);
    }
}

#[track_caller]
fn check_way<H: Oracle>(case: &Case<H>, expected: &Expected, cuts: &Cuts, way: Way) {
    match follow(case, cuts, expected, &mut OwnDecoder::new(case, way)) {
        Ok(error) => assert_ends(error.as_ref(), expected, &case.stream),
        Err(violation) => panic!("{violation}\nby {way:?}, in {cuts:?}, in {case:02x?}"),
    }
}

/// After an error every call returns this error: no frame, no part, nothing needed, no buffered byte, no memory.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_final_error<H: Oracle>(case: &Case<H>) {
    for in_parts in [false, true] {
        let mut decoder = case.decoder();
        decoder.feed(&case.stream);
        let error = loop {
            let taken = match in_parts {
                false => decoder.next_frame().map(|frame| frame.is_some()),
                true => decoder.next_part().map(|part| part.is_some()),
            };
            match taken {
                Ok(true) => {}
                Ok(false) => return Met::NoError.count(),
                Err(error) => break error,
            }
        };
        assert_is_final(&mut decoder, &error, &case.stream);
        Met::FinalError.count();
    }
}

#[track_caller]
fn assert_is_final<H: Header>(decoder: &mut Decoder<H>, error: &DecodeError, stream: &[u8]) {
    let offset = decoder.offset();
    for more in [&b""[..], b"\0", stream] {
        decoder.feed(more);
        assert_eq!(decoder.next_frame(), Err(error.clone()));
        assert_eq!(decoder.next_part(), Err(error.clone()));
        assert_eq!((decoder.has_frame(), decoder.has_part()), (Err(error.clone()), true));
        assert_eq!(decoder.next_frame_from(&mut &*more), Err(error.clone()));
        let space = decoder.space();
        let len = space.len().min(more.len());
        decoder.filled(len);
        assert_eq!(decoder.finish(), Err(error.clone()));
        assert_eq!(
            (decoder.need(), decoder.buffered(), decoder.capacity()),
            (0, 0, 0),
            "nothing is kept after {error}"
        );
        assert_eq!(decoder.offset(), offset, "the offset stays where the stream failed");
    }
}

/// The stream, ended at any byte, ends as the oracle says: clean between frames; truncated inside one, with the bytes
/// it has and the bytes it needs; and refused in a bad frame. `finish` says the same whether all frames were taken,
/// none, or only some parts of the first one. Calling it changes nothing.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_end<H: Oracle>(case: &Case<H>) {
    let [mut taken, mut waiting, mut begun] = [(); 3].map(|()| case.decoder());
    let mut received = 0;
    // A long stream is ended at 60 offsets only, as the oracle reads it again for each.
    let step = case.stream.len().div_ceil(60).max(1);
    for chunk in [&[][..]].into_iter().chain(case.stream.chunks(step)) {
        received += chunk.len();
        for decoder in [&mut taken, &mut waiting, &mut begun] {
            decoder.feed(chunk);
        }
        while let Ok(Some(_)) = taken.next_frame() {}
        if begun.offset() == 0 {
            _ = begun.next_part();
        }
        let stream = &case.stream[..received];
        let expected = Expected::of(&case.format, case.oversize, stream);
        let ends = [&taken, &waiting, &begun].map(|decoder| decoder.finish().err());
        for end in &ends {
            assert_ends(end.as_ref(), &expected, stream);
        }
        assert_eq!(ends[0], ends[1], "what waits changes nothing about the end");
        assert_eq!(waiting.buffered(), received, "and nothing is taken by asking");
    }
}

/// `need` is 0 exactly if a frame or an error is ready, and what is missing of a frame whose header is whole; inside a
/// header it is never more than that. So reading exactly that many bytes, repeatedly, leads from frame to frame without
/// one byte too many.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_need<H: Oracle>(case: &Case<H>) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let mut decoder = case.decoder();
    let mut received = 0;
    for frame in &expected.frames {
        let (start, header_end) = (frame.start as u64, (frame.start + frame.header_len) as u64);
        while received < header_end.max(start) {
            read_needed(&mut decoder, case, &mut received, header_end, header_end);
        }
        let end = frame.end().min(case.stream.len() as u64);
        while received < end {
            let (need, missing) = (decoder.need() as u64, frame.end() - received);
            // A frame may end beyond the last offset that a number of 64 bits can say.
            if frame.end() < u64::MAX {
                assert_eq!(need, missing, "what is needed is what is missing of the frame at {start}");
            }
            Met::NeedExact.count();
            read_needed(&mut decoder, case, &mut received, end, frame.end());
        }
        if !frame.whole {
            break;
        }
        if frame.skipped {
            assert_eq!(decoder.has_frame(), Ok(false), "no frame of what is skipped");
        } else {
            assert_eq!(decoder.need(), 0, "nothing is needed where a frame is ready");
            assert!(
                decoder.next_frame().is_ok_and(|frame| frame.is_some()),
                "a frame is ready where nothing is needed"
            );
        }
        assert_eq!(decoder.buffered(), 0, "what is needed never goes beyond the frame");
    }
    match expected.end {
        End::Refused { start, decided, shown, .. } => {
            let decided = (start + decided) as u64;
            while shown > 0 && received < decided {
                // Before a header is refused, all bytes that a good header has may be asked for.
                let most = (start + case.format.max_header_len()) as u64;
                read_needed(&mut decoder, case, &mut received, decided, most);
            }
            assert_eq!(decoder.need(), 0, "nothing is needed where an error is ready");
            assert!(decoder.next_frame().is_err(), "an error is ready where nothing is needed");
            Met::NeedRefused.count();
        }
        _ => {
            decoder.feed(&case.stream[received as usize..]);
            assert_eq!(decoder.next_frame(), Ok(None));
            assert!(decoder.need() > 0, "something is needed where no frame is ready");
        }
    }
}

/// Reads as much as is needed, at most up to `end`: that many bytes but one, and then the last one. It may not be
/// needed what is after `most`.
#[track_caller]
fn read_needed<H: Oracle>(decoder: &mut Decoder<H>, case: &Case<H>, received: &mut u64, end: u64, most: u64) {
    let (need, missing) = (decoder.need() as u64, most - *received);
    assert!(0 < need && (need <= missing || most == u64::MAX), "{need} is needed, and {missing} is missing");
    Met::NeedHeader.count();
    let need = need.min(end - *received);
    // One byte less than needed is never enough.
    for len in [need - 1, 1] {
        assert_eq!(decoder.has_frame(), Ok(false), "no frame before all that it needs");
        let to = *received + len;
        decoder.feed(&case.stream[*received as usize..to as usize]);
        *received = to;
    }
}

/// The skip policy gives the same as the reject policy up to the frame over the limit, and then the same as if the
/// stream began after that frame.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_skip<H: Oracle>(case: &Case<H>) {
    let reject = case.clone().on_oversize(Oversize::Reject);
    let (before, error) = take_all(&reject);
    let refused = error.err().map(|error| (error.offset(), error.kind()));
    let Some((offset, DecodeErrorKind::Oversize { payload_len, .. })) = refused else {
        return Met::NothingToSkip.count();
    };
    let skip = case.clone().on_oversize(Oversize::Skip { max_discard: payload_len });
    let (frames, end) = take_all(&skip);
    assert_eq!(before, frames[..before.len()], "the same frames up to the one over the limit");

    let start = offset as usize;
    let refused = Expected::of(&case.format, Oversize::Reject, &case.stream[start..]).end;
    let End::Refused { decided, .. } = refused else { panic!("the frame at {start} is refused: {refused:?}") };
    let Seen::Whole(Head { trailer_len, .. }) = case.format.seen(&case.stream[start..]) else {
        panic!("the header at {start} is whole")
    };
    let behind = ((start + decided + trailer_len) as u64).saturating_add(payload_len);
    let Some(tail) = usize::try_from(behind).ok().and_then(|behind| case.stream.get(behind..)) else {
        assert_eq!(frames.len(), before.len(), "no frame after an incomplete one");
        let kind = end.map_err(|error| error.kind());
        assert!(matches!(kind, Err(DecodeErrorKind::Truncated { .. })), "cut short while it is skipped: {kind:?}");
        return Met::SkipCutShort.count();
    };
    let (after, tail_end) = take_all(&Case { stream: tail.to_vec(), ..skip.clone() });
    assert_eq!(after, frames[before.len()..], "after it, the same frames as if the stream began there");
    let kind = |end: Result<(), DecodeError>| end.map_err(|error| error.kind());
    assert_eq!(kind(end), kind(tail_end), "and the same end as if the stream began there");
    Met::Skipped.count();
}

/// The payloads in order, and how the stream ends.
fn take_all<H: Oracle>(case: &Case<H>) -> (Vec<Vec<u8>>, Result<(), DecodeError>) {
    let mut decoder = case.decoder();
    let mut frames = Vec::new();
    for mut chunk in case.chunks() {
        loop {
            match decoder.next_frame_from(&mut chunk) {
                Ok(Some(frame)) => frames.push(frame.payload().to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, decoder.finish())
}

/// What was skipped, by the oracle's frames.
fn skipped(expected: &Expected) -> Skipped {
    let mut skipped = Skipped::default();
    for frame in expected.frames.iter().filter(|frame| frame.skipped) {
        skipped.frames += 1;
        skipped.bytes = skipped.bytes.saturating_add(frame.payload_len);
        skipped.last_offset = frame.start as u64;
    }
    skipped
}

#[track_caller]
pub(super) fn assert_is(frame: &Frame<'_>, located: &Located, stream: &[u8]) {
    let bytes = &stream[located.start..located.end() as usize];
    assert_eq!(frame.as_bytes(), bytes, "the frame is its bytes of the stream");
    assert_eq!(frame.header(), &bytes[..located.header_len]);
    assert_eq!(frame.prefix(), &bytes[..located.prefix_len]);
    assert_eq!(frame.payload(), located.payload(stream));
    assert_eq!(frame.trailer(), &bytes[bytes.len() - located.trailer_len..]);
    assert_eq!(frame.text(), core::str::from_utf8(frame.payload()));
}

/// The error has every number that the oracle finds.
#[track_caller]
pub(super) fn assert_ends(error: Option<&DecodeError>, expected: &Expected, stream: &[u8]) {
    let found = error.map(|error| (error.offset(), error.kind(), error.header()));
    let expected = match expected.end {
        End::Clean => None,
        End::Truncated { start, phase, have, need } => {
            // Inside the first frame the error may say what the stream looks like, and then shows the header, as far as
            // it came.
            let looks = start == 0 && error.is_some_and(|error| error.diagnosis().is_some());
            let header_len = expected.frames.first().map_or(have as usize, |frame| frame.header_len);
            let shown = if looks { header_len.min(MOST_SHOWN) } else { 0 };
            Some((start as u64, DecodeErrorKind::Truncated { phase, have, need }, &stream[..shown]))
        }
        End::Refused { start, shown, kind, .. } => Some((start as u64, kind, &stream[start..start + shown])),
    };
    assert_eq!(found, expected, "the stream ends as it does");
}
