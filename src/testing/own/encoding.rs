//! The properties of encoded frames.

use alloc::vec::Vec;

use crate::framing::{EncodeError, Encoder, Envelope, Header};
use crate::testing::census::Met;
use crate::testing::plan::{Plan, byte_at, frame_of};
use crate::testing::properties::check_stream;

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

/// What is encoded decodes to itself, and the bytes are those that the plan's own arithmetic writes. The plan's faults
/// are ignored.
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
        Met::RoundTrip.count();
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
            Met::EncodeOversize.count();
            Err(EncodeError::Oversize { payload_len, max_payload_len })
        } else if frame_of(&layout, &prefix, &payload, &trailer).is_none() {
            Met::EncodeUndersize.count();
            Err(EncodeError::Undersize { payload_len, least: layout.min_payload_len() })
        } else {
            Met::EncodeFits.count();
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

/// Prefix, payload and trailer of each of a plan's frames, those that cannot be encoded included.
fn payloads(plan: &Plan) -> impl Iterator<Item = (Vec<u8>, Vec<u8>, Vec<u8>)> {
    let layout = plan.format.layout();
    let mut offset = 0;
    let mut bytes = move |len: usize| -> Vec<u8> {
        offset += len as u64;
        (offset - len as u64..offset).map(byte_at).collect()
    };
    plan.frames.iter().map(move |frame| {
        let (prefix, payload) = (bytes(usize::from(layout.offset)), bytes(frame.payload_len(&plan.format)));
        (prefix, payload, bytes(usize::from(layout.trailer)))
    })
}
