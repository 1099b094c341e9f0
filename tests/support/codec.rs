//! The conformance corpus through the codec for tokio.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder as _;
use unstick::WriteError;
use unstick::codec::FrameCodec;
use unstick::framing::{Envelope, Oversize};
use unstick::testing::{Cuts, Subject};

use self::as_framed::AsFramed;
use super::{IN_TWO, Replay, all_replays, by_lot, cases, format, is_replayed, list, name, number, refusal, text};

#[allow(clippy::duplicate_mod, reason = "in tests/fast it is one of two")]
#[path = "as_framed.rs"]
mod as_framed;

/// Every stream but those with a frame that is skipped, as the codec has no such policy: all at once, byte by byte (one
/// over 20,000 bytes in as many chunks), at random cuts, and cut in two next to everything that decides.
#[test]
fn every_stream_goes_through_the_codec() {
    let (cases, mut streams, mut count) = (cases(), 0, 0);
    for replay in all_replays(&cases).filter(|replay| replay.policy == Oversize::Reject) {
        let len = replay.stream.len();
        let finest = Cuts::every(len.div_ceil(IN_TWO));
        let in_two = replay.decisive().into_iter().map(|at| Cuts::at(&[at]));
        for cuts in [Cuts::whole(), finest].into_iter().chain(by_lot(&replay)).chain(in_two) {
            once(&replay, &cuts);
            count += 1;
        }
        streams += 1;
    }
    assert_eq!(streams, 123);
    println!("cases: {count}");
}

fn once(replay: &Replay<'_>, cuts: &Cuts) {
    let Replay { id, format, expected, stream, .. } = replay;
    let mut framed = AsFramed::new(*format);
    let mut frames = expected.frames.iter();
    let mut error = None;
    for chunk in cuts.chunks(stream) {
        framed.feed(chunk);
        while let Some(frame) = framed.next().unwrap_or_else(|found| {
            error = Some(found);
            None
        }) {
            let begins_at = expected.begins_at.unwrap_or(frame.header().len());
            let due = frames.next().unwrap_or_else(|| panic!("{id}: a frame too many in {cuts:?}"));
            assert!(frame.as_bytes()[begins_at..] == due[..], "{id}: another frame in {cuts:?}");
        }
    }
    assert_eq!(frames.len(), 0, "{id}: frames are missing in {cuts:?}");
    let found = error.map(|error| name(error.kind()));
    if expected.error.is_some() && !expected.at_end {
        assert_eq!(found, expected.error.as_deref(), "{id} in {cuts:?}");
    } else {
        assert_eq!(found, None, "{id} in {cuts:?}");
    }
    if expected.ends {
        let end = framed.finish().err().map(|error| name(error.kind()));
        assert_eq!(end, expected.error.as_deref(), "{id}: the end in {cuts:?}");
    }
}

/// The wire image of every payload, or why it has none. A refused payload leaves the output unchanged.
#[test]
fn every_payload_is_encoded_by_the_codec() {
    let (cases, mut count) = (cases(), 0);
    for case in cases.iter().filter(|case| is_replayed(case, "encode") || is_replayed(case, "write")) {
        let id = text(case, "id");
        let wire = list(case, "wire");
        let mut codec = FrameCodec::new(format(case).unwrap_or_else(|error| panic!("{id}: {error}")));
        for (index, payload) in list(case, "payloads").into_iter().enumerate() {
            if let Some(then) = case.get("limit_then").filter(|then| number(then, "after_frames") == Some(index)) {
                let limit = number(then, "limit").expect("a limit");
                *codec.format_mut() = codec.format().with_max_payload_len(limit).expect("the limit of the case");
            }
            let prefix = vec![0; usize::from(codec.format().layout().offset)];
            let mut out = BytesMut::from(&b"before"[..]);
            let encoded = codec.encode((Envelope::from(&prefix), Bytes::from(payload)), &mut out);
            match (encoded, wire.get(index)) {
                (Ok(()), Some(image)) => assert!(out[6..] == image[..], "{id}: another wire image"),
                (Err(WriteError::Encode(error)), None) => {
                    assert_eq!((refusal(error), &out[..]), (text(case, "error"), &b"before"[..]), "{id}");
                }
                (encoded, _) => panic!("{id}: {encoded:?} for payload {index}"),
            }
            count += 1;
        }
    }
    println!("cases: {count}");
}
