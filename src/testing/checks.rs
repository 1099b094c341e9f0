//! The properties, each as a function of one case.

use alloc::vec::Vec;

use super::bodies::check_streamed_body;
use super::case::{Case, Cuts};
use super::oracle::{End, Expected, Located, Oracle, Seen};
use super::plan::{Plan, frame_of};
use super::slices::check_slice;
use super::subject::follow;
use super::ways::{OwnDecoder, Way};
use crate::framing::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Envelope, Frame, Head, Header, Oversize, Skipped,
};

/// Runs every check on a plan.
///
/// # Panics
/// If anything does not hold.
#[track_caller]
pub fn check_plan(plan: &Plan) {
    check_round_trip(plan);
    check_refused_encode(plan);
    check_stream(&plan.case());
}

/// Runs every check on a byte stream.
///
/// # Panics
/// If anything does not hold.
#[track_caller]
pub fn check_stream<H: Oracle>(case: &Case<H>) {
    check_oracle(case);
    check_chunking(case);
    check_final_error(case);
    check_end(case);
    check_slice(case);
    check_need(case);
    check_streamed_body(case);
    check_skip(case);
}

/// What is encoded decodes to itself, and the bytes are those that the plan's own arithmetic writes. The plan's fault
/// is ignored.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_round_trip(plan: &Plan) {
    let (encoder, layout) = (Encoder::new(plan.format), plan.format.layout());
    let mut wire = Vec::new();
    let mut frames = Vec::new();
    for (prefix, payload, trailer) in payloads(plan) {
        let expected = frame_of(&layout, &prefix, &payload, &trailer);
        let envelope = Envelope { prefix: &prefix, trailer: &trailer };
        let before = wire.len();
        if encoder.encode_with(envelope, &payload, &mut wire).is_err() {
            continue;
        }
        assert_eq!(expected.as_deref(), Some(&wire[before..]), "the encoder writes the frame as the layout has it");
        let mut parts = Vec::new();
        encoder.header(envelope, payload.len(), &mut parts).expect("the header of a frame that was encoded");
        parts.extend_from_slice(&payload);
        encoder.trailer(&(), envelope, &mut parts);
        assert_eq!(parts, wire[before..], "header, payload and trailer are the frame");
        frames.push((prefix, payload, trailer));
    }
    let mut decoder = plan.case().decoder();
    let mut decoded = frames.iter();
    for chunk in plan.cuts.chunks(&wire) {
        decoder.feed(chunk);
        while let Some(frame) = decoder.next_frame().expect("what was encoded decodes") {
            let (prefix, payload, trailer) = decoded.next().expect("no more frames than were encoded");
            assert_eq!((frame.prefix(), frame.payload()), (&prefix[..], &payload[..]), "a frame is as it was encoded");
            assert_eq!(frame.trailer(), trailer, "and its trailer, too");
        }
    }
    assert_eq!(decoded.len(), 0, "as many frames as were encoded");
    assert_eq!(decoder.finish(), Ok(()), "an encoded stream ends after a frame");
}

/// A frame is refused exactly if it is over the limit, or the layout cannot express it, or its prefix or trailer has
/// the wrong length; and a refused frame leaves the output unchanged.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_refused_encode(plan: &Plan) {
    let (encoder, layout) = (Encoder::new(plan.format), plan.format.layout());
    let max_payload_len = plan.format.max_payload_len();
    let mut out = b"before".to_vec();
    for (prefix, payload, trailer) in payloads(plan) {
        let envelope = Envelope { prefix: &prefix, trailer: &trailer };
        let before = out.clone();
        let payload_len = payload.len();
        let expected = if payload_len > max_payload_len {
            Err(EncodeError::Oversize { payload_len, max_payload_len })
        } else if frame_of(&layout, &prefix, &payload, &trailer).is_none() {
            Err(EncodeError::Undersize { payload_len, least: layout.min_payload_len() })
        } else {
            Ok(())
        };
        assert_eq!(encoder.encode_with(envelope, &payload, &mut out), expected);
        if expected.is_err() {
            assert_eq!(out, before, "a refused frame leaves the output unchanged");
        }
        out.clone_from(&before);
        assert_eq!(encoder.header(envelope, payload_len, &mut out), expected);
        assert_eq!(expected.is_err(), out == before, "a refused header leaves the output unchanged");
        out = before;

        let longer = [&prefix[..], b"+"].concat();
        let offset = usize::from(layout.offset);
        let wrong_prefix = expected.and(Err(EncodeError::Prefix { prefix_len: longer.len(), offset }));
        assert_eq!(encoder.encode_with(Envelope { prefix: &longer, ..envelope }, &payload, &mut out), wrong_prefix);
        assert_eq!(out, b"before", "a refused prefix leaves the output unchanged");

        let longer = [&trailer[..], b"+"].concat();
        let trailer_len = usize::from(layout.trailer);
        let wrong = expected.and(Err(EncodeError::Trailer { trailer_len: longer.len(), expected: trailer_len }));
        assert_eq!(encoder.encode_with(Envelope { trailer: &longer, ..envelope }, &payload, &mut out), wrong);
        assert_eq!(out, b"before", "a refused trailer leaves the output unchanged");
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
    assert_ends(error.as_ref(), &expected.end, &case.stream);
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
        match follow(case, cuts, expected, &mut OwnDecoder::new(case, way)) {
            Ok(error) => assert_ends(error.as_ref(), &expected.end, &case.stream),
            Err(violation) => panic!("{violation}\nby {way:?}, in {cuts:?}, in {case:02x?}"),
        }
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
                Ok(false) => return,
                Err(error) => break error,
            }
        };
        assert_is_final(&mut decoder, &error, &case.stream);
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
            assert_ends(end.as_ref(), &expected.end, stream);
        }
        assert_eq!(ends[0], ends[1], "what waits changes nothing about the end");
        assert_eq!(waiting.buffered(), received, "and nothing is taken by asking");
    }
}

/// `need` is 0 exactly if a frame or an error is ready, and never more than the missing bytes of a frame; and reading
/// exactly that many bytes, repeatedly, leads from frame to frame without one byte too many.
///
/// # Panics
/// If that does not hold.
#[track_caller]
pub fn check_need<H: Oracle>(case: &Case<H>) {
    let expected = Expected::of(&case.format, case.oversize, &case.stream);
    let mut events = expected.yielded().map(|frame| (frame.end(), 0)).collect::<Vec<_>>();
    if let End::Refused { start, decided, .. } = expected.end {
        // Before a header is refused, all bytes that a good header has may be asked for.
        events.push(((start + decided) as u64, case.format.max_header_len() as u64));
    }
    let mut decoder = case.decoder();
    let mut received = 0;
    for (event, beyond) in events {
        while received < event {
            let (need, missing) = (decoder.need() as u64, event - received);
            assert!(0 < need && need <= missing + beyond, "{need} is needed, and {missing} is missing");
            let need = need.min(missing);
            // One byte less than needed is never enough: read that many first, and then the last byte.
            for len in [need - 1, 1] {
                assert_eq!(decoder.has_frame(), Ok(false), "no frame before all that it needs");
                let end = received + len;
                decoder.feed(&case.stream[received as usize..end as usize]);
                received = end;
            }
        }
        assert_eq!(decoder.need(), 0, "nothing is needed where a frame or an error is ready");
        let ready = decoder.next_frame().map(|frame| frame.is_some());
        assert_ne!(ready, Ok(false), "a frame or an error is ready where nothing is needed");
        assert_eq!(decoder.buffered(), 0, "what is needed never goes beyond the frame");
        if ready.is_err() {
            return;
        }
    }
    decoder.feed(&case.stream[received as usize..]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.need() > 0, "something is needed where no frame is ready");
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
    let Err(error) = error else { return };
    let DecodeErrorKind::Oversize { payload_len, .. } = error.kind() else { return };
    let skip = case.clone().on_oversize(Oversize::Skip { max_discard: payload_len });
    let (frames, end) = take_all(&skip);
    assert_eq!(before, frames[..before.len()], "the same frames up to the one over the limit");

    let start = error.offset() as usize;
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
        return;
    };
    let (after, tail_end) = take_all(&Case { stream: tail.to_vec(), ..skip.clone() });
    assert_eq!(after, frames[before.len()..], "after it, the same frames as if the stream began there");
    let kind = |end: Result<(), DecodeError>| end.map_err(|error| error.kind());
    assert_eq!(kind(end), kind(tail_end), "and the same end as if the stream began there");
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

/// Prefix, payload and trailer of each of a plan's frames, those that cannot be encoded included.
fn payloads(plan: &Plan) -> impl Iterator<Item = (Vec<u8>, Vec<u8>, Vec<u8>)> {
    let layout = plan.format.layout();
    let mut offset = 0;
    let mut bytes = move |len: usize| -> Vec<u8> {
        offset += len as u64;
        (offset - len as u64..offset).map(super::byte_at).collect()
    };
    plan.frames.iter().map(move |frame| {
        let (prefix, payload) = (bytes(usize::from(layout.offset)), bytes(frame.payload_len(&plan.format)));
        (prefix, payload, bytes(usize::from(layout.trailer)))
    })
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
pub(super) fn assert_ends(error: Option<&DecodeError>, end: &End, stream: &[u8]) {
    let found = error.map(|error| (error.offset(), error.kind(), error.header()));
    let expected = match *end {
        End::Clean => None,
        End::Truncated { start, phase, have, need } => {
            // Inside the first frame the error may say what the stream looks like, and then shows the bytes that it
            // judged by.
            let looks = error.filter(|error| start == 0 && error.diagnosis().is_some());
            let shown = looks.map_or(0, |error| error.header().len());
            Some((start as u64, DecodeErrorKind::Truncated { phase, have, need }, &stream[..shown]))
        }
        End::Refused { start, shown, kind, .. } => Some((start as u64, kind, &stream[start..start + shown])),
    };
    assert_eq!(found, expected, "the stream ends as it does");
}
