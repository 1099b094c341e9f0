//! Goals 1 to 5: the framing core beside a hand loop, tokio-util and asynchronous-codec, on the streams of `benches/`.

use std::hint::black_box;
use std::iter;

use asynchronous_codec::{Encoder as _, LengthCodec};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use smol::future::block_on;
use tokio_util::codec::{Decoder as _, Encoder as _};
use unstick::FramedRead;
use unstick::framing::{Decoder, Encoder, Format};

use super::contest::{Times, contest, contestant};
use super::shared::formats::{formats, padded_varints};
use super::shared::{self, CHUNK_LEN, PAYLOADS};
use super::table::{Row, Table, Wanted, bytes, median, number, ratios};
use super::{Findings, Pace};

const HAND: &str = "hand loop";
const TOKIO: &str = "tokio-util";
const ASYNCHRONOUS: &str = "asynchronous-codec";

/// Bytes that are encoded before the buffer is used again, where a frame is not longer: the replies to one read.
const BATCH_LEN: usize = 16 << 10;
/// Up to this payload a frame is a small one in the goals.
const SMALL: usize = 64;
/// Bytes of the frame that comes in small chunks.
const LARGE: usize = 64 << 20;

/// Goal 1, and the figures of the plot: for each payload the contestants' nanoseconds a frame.
pub(super) fn decode(pace: &Pace, findings: &mut Findings) {
    let mut figures = Table { header: vec!["payload"], text_columns: 1, rows: Vec::new() };
    for payload_len in PAYLOADS {
        pace.say(&format!("decode, {}", bytes(payload_len)));
        let times = decode_times(pace, payload_len);
        let (hand, tokio) = if payload_len <= SMALL { (1.3, 8.0) } else { (1.15, 1.0) };
        for ours in ["feed", "cursor", "in place"] {
            let what = || format!("{ours}, {}", bytes(payload_len));
            findings.rows.push(times.time(1, what(), ours, HAND, hand));
            findings.rows.push(times.speed(1, what(), ours, TOKIO, tokio));
        }
        if payload_len <= 16 << 10 {
            let times = chase_times(pace, payload_len);
            let what = format!("in place, no copy, {}", bytes(payload_len));
            findings.rows.push(times.time(1, what, "in place", HAND, hand));
        }
        let names = ["feed", "cursor", "in place", HAND, TOKIO, ASYNCHRONOUS];
        figures.header.splice(1.., names);
        let medians = names.map(|name| median(times.of(name)));
        findings.decode.push((payload_len, names.into_iter().zip(medians).collect()));
        figures.rows.push(iter::once(bytes(payload_len)).chain(medians.map(number)).collect());
    }
    findings.figures.push(("Decode: nanoseconds a frame, medians".into(), figures));
    for payload_len in shared::SLICE_PAYLOADS {
        pace.say(&format!("frames of a slice, {}", bytes(payload_len)));
        let what = format!("frames of a slice of 256 MiB, {}", bytes(payload_len));
        findings.rows.push(slice_times(pace, payload_len).time(1, what, "slice", HAND, 1.3));
    }
}

fn decode_times(pace: &Pace, payload_len: usize) -> Times {
    let count = shared::frame_count(payload_len);
    let wire = shared::wire(Format::U32_LE, payload_len, count);
    let wide = shared::wire(Format::U64_BE, payload_len, count);
    let (wire, wide) = (&wire[..], &wide[..]);
    let decoder = || Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
    let (mut of_feed, mut of_cursor, mut in_place) = (decoder(), decoder(), decoder());
    let (mut of_hand, limit) = (Vec::new(), black_box(1 << 20));
    let (mut codec, mut of_tokio, mut of_asynchronous) = (shared::tokio_codec(), BytesMut::new(), BytesMut::new());
    contest(
        pace,
        vec![
            contestant("feed", || shared::feed(&mut of_feed, black_box(wire), CHUNK_LEN)),
            contestant("cursor", || shared::cursor(&mut of_cursor, black_box(wire), CHUNK_LEN)),
            contestant("in place", || shared::in_place(&mut in_place, black_box(wire), CHUNK_LEN)),
            contestant(HAND, || shared::hand(&mut of_hand, black_box(wire), CHUNK_LEN, limit)),
            contestant(TOKIO, || shared::tokio(&mut codec, &mut of_tokio, black_box(wire), CHUNK_LEN)),
            contestant(ASYNCHRONOUS, || shared::asynchronous(&mut of_asynchronous, black_box(wide), CHUNK_LEN)),
        ],
    )
}

/// The bytes are in the buffer already. A space shows what was received before, so the same bytes are declared received
/// again and again.
fn chase_times(pace: &Pace, payload_len: usize) -> Times {
    let count = CHUNK_LEN / (payload_len + 4);
    let wire = shared::wire(Format::U32_LE, payload_len, count);
    let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
    decoder.space()[..wire.len()].copy_from_slice(&wire);
    let limit = black_box(1 << 20);
    let ours = || {
        decoder.space();
        decoder.filled(wire.len());
        let mut frames = 0;
        while let Some(frame) = decoder.next_frame().expect("a valid stream") {
            black_box(frame.payload());
            frames += 1;
        }
        frames
    };
    let hand = || shared::hand_slice(black_box(&wire), limit);
    contest(pace, vec![contestant("in place", ours), contestant(HAND, hand)])
}

/// Frames of a slice of 256 MiB.
fn slice_times(pace: &Pace, payload_len: usize) -> Times {
    let wire = shared::wire(Format::U32_LE, payload_len, shared::SLICE_LEN / (payload_len + 4));
    let (format, limit) = (black_box(Format::U32_LE), black_box(1 << 20));
    let ours = || shared::frames_of_slice(format, black_box(&wire));
    let hand = || shared::hand_slice(black_box(&wire), limit);
    contest(pace, vec![contestant("slice", ours), contestant(HAND, hand)])
}

/// Goal 2: a `Bytes` for each frame, by the decoders alone, and by the streams over a reader that is always ready.
pub(super) fn owned(pace: &Pace, findings: &mut Findings) {
    let mut figures = Table { header: vec!["payload"], text_columns: 1, rows: Vec::new() };
    for payload_len in PAYLOADS {
        pace.say(&format!("owned, {}", bytes(payload_len)));
        let mut line = vec![bytes(payload_len)];
        for (way, times) in [("decoder", owned_times(pace, payload_len)), ("stream", stream_times(pace, payload_len))] {
            let what = || format!("{way}, {}", bytes(payload_len));
            if payload_len <= SMALL {
                findings.rows.push(times.speed(2, what(), "ours", TOKIO, 2.5));
            }
            findings.rows.push(times.speed(2, what(), "ours", ASYNCHRONOUS, 1.0));
            line.extend(["ours", TOKIO, ASYNCHRONOUS].map(|name| number(median(times.of(name)))));
        }
        figures.rows.push(line);
    }
    figures.header.extend(["decoder: ours", TOKIO, ASYNCHRONOUS, "stream: ours", TOKIO, ASYNCHRONOUS]);
    findings.figures.push(("Owned: nanoseconds a frame, medians".into(), figures));
}

fn owned_times(pace: &Pace, payload_len: usize) -> Times {
    let count = shared::frame_count(payload_len);
    let wire = shared::wire(Format::U32_LE, payload_len, count);
    let wide = shared::wire(Format::U64_BE, payload_len, count);
    let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
    let (mut codec, mut of_tokio, mut of_asynchronous) = (shared::tokio_codec(), BytesMut::new(), BytesMut::new());
    let ours = || {
        let mut frames = 0;
        for mut chunk in black_box(&wire[..]).chunks(CHUNK_LEN) {
            while let Some(frame) = decoder.next_frame_from(&mut chunk).expect("a valid stream") {
                black_box(Bytes::copy_from_slice(frame.payload()));
                frames += 1;
            }
        }
        frames
    };
    let tokio = || {
        let mut frames = 0;
        for chunk in black_box(&wire[..]).chunks(CHUNK_LEN) {
            of_tokio.extend_from_slice(chunk);
            while let Some(frame) = codec.decode(&mut of_tokio).expect("a valid stream") {
                black_box(frame.freeze());
                frames += 1;
            }
        }
        frames
    };
    let asynchronous = || shared::asynchronous(&mut of_asynchronous, black_box(&wide), CHUNK_LEN);
    contest(pace, vec![contestant("ours", ours), contestant(TOKIO, tokio), contestant(ASYNCHRONOUS, asynchronous)])
}

/// The adapters, each over a slice: a reader that is never waited for, and fills whatever room it is shown.
fn stream_times(pace: &Pace, payload_len: usize) -> Times {
    let count = shared::frame_count(payload_len);
    let wire = shared::wire(Format::U32_LE, payload_len, count);
    let wide = shared::wire(Format::U64_BE, payload_len, count);
    let ours = || frames_of(FramedRead::new(black_box(&wire[..]), black_box(Format::U32_LE)).into_stream());
    let tokio = || {
        let frames = tokio_util::codec::FramedRead::new(black_box(&wire[..]), shared::tokio_codec());
        frames_of(frames.map(|frame| frame.map(BytesMut::freeze)))
    };
    let asynchronous = || frames_of(asynchronous_codec::FramedRead::new(black_box(&wide[..]), LengthCodec));
    contest(pace, vec![contestant("ours", ours), contestant(TOKIO, tokio), contestant(ASYNCHRONOUS, asynchronous)])
}

fn frames_of<E>(mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin) -> usize {
    block_on(async {
        let mut frames = 0;
        while let Some(frame) = stream.next().await {
            black_box(frame.is_ok_and(|frame| !black_box(frame).is_empty()));
            frames += 1;
        }
        frames
    })
}

/// Goal 3.
pub(super) fn encode(pace: &Pace, findings: &mut Findings) {
    for payload_len in PAYLOADS {
        pace.say(&format!("encode, {}", bytes(payload_len)));
        let times = encode_times(pace, payload_len);
        let what = || format!("encode, {}", bytes(payload_len));
        findings.rows.push(times.time(3, what(), "ours", HAND, 1.2));
        if payload_len <= SMALL {
            findings.rows.push(times.speed(3, what(), "ours", TOKIO, 2.5));
        }
    }
}

fn encode_times(pace: &Pace, payload_len: usize) -> Times {
    let count = (BATCH_LEN / (payload_len + 4)).max(1);
    let payload = shared::payload(payload_len);
    let (encoder, mut of_ours) = (Encoder::new(black_box(Format::U32_LE)), Vec::new());
    let (limit, mut of_hand) = (black_box(1 << 20), Vec::new());
    let (mut codec, mut of_tokio) = (shared::tokio_codec(), BytesMut::new());
    let (bytes, mut of_asynchronous) = (Bytes::from(payload.clone()), BytesMut::new());
    let ours = || {
        of_ours.clear();
        (0..count).for_each(|_| encoder.encode(black_box(&payload), &mut of_ours).expect("within the limit"));
        black_box(&of_ours);
        count
    };
    let hand = || {
        of_hand.clear();
        (0..count).for_each(|_| shared::hand_encode(black_box(&payload), limit, &mut of_hand));
        black_box(&of_hand);
        count
    };
    let tokio = || {
        of_tokio.clear();
        (0..count).for_each(|_| codec.encode(&black_box(&payload)[..], &mut of_tokio).expect("within the limit"));
        black_box(&of_tokio);
        count
    };
    let asynchronous = || {
        of_asynchronous.clear();
        let shared = || black_box(&bytes).clone();
        (0..count).for_each(|_| LengthCodec.encode(shared(), &mut of_asynchronous).expect("never refused"));
        black_box(&of_asynchronous);
        count
    };
    let contestants = [contestant("ours", ours), contestant(HAND, hand), contestant(TOKIO, tokio)];
    contest(pace, contestants.into_iter().chain([contestant(ASYNCHRONOUS, asynchronous)]).collect())
}

/// Goal 4: each format's time over that of u32 little-endian.
pub(super) fn any_format(pace: &Pace, findings: &mut Findings) {
    for payload_len in [16, 300] {
        pace.say(&format!("formats, {}", bytes(payload_len)));
        let decoding = formats_decode_times(pace, payload_len);
        let encoding = formats_encode_times(pace, payload_len);
        let named = || formats(payload_len).into_iter().skip(1).map(|(name, _)| name);
        for name in named().chain(["varint-5"]) {
            let what = format!("decode, {name}, {}", bytes(payload_len));
            findings.rows.push(decoding.time(4, what, name, "u32le", 1.5));
        }
        for name in named() {
            let what = format!("encode, {name}, {}", bytes(payload_len));
            findings.rows.push(encoding.time(4, what, name, "u32le", 1.5));
        }
    }
}

fn formats_decode_times(pace: &Pace, payload_len: usize) -> Times {
    let count = shared::frame_count(payload_len);
    let wire_of = |(name, format)| (name, format, shared::wire(format, payload_len, count));
    let mut cases: Vec<_> = formats(payload_len).into_iter().map(wire_of).collect();
    // No small payload needs five bytes of varint; a writer may pad it.
    cases.push(("varint-5", Format::VARINT, padded_varints(payload_len, count)));
    let contestants = cases.iter().map(|(name, format, wire)| {
        let mut decoder = Decoder::with_read_len(black_box(*format), CHUNK_LEN);
        contestant(name, move || shared::feed(&mut decoder, black_box(wire), CHUNK_LEN))
    });
    contest(pace, contestants.collect())
}

fn formats_encode_times(pace: &Pace, payload_len: usize) -> Times {
    let (count, payload) = (BATCH_LEN / (payload_len + 4), shared::payload(payload_len));
    let contestants = formats(payload_len).into_iter().map(|(name, format)| {
        let (encoder, mut out) = (Encoder::new(black_box(format)), Vec::new());
        let (prefix, payload) = (vec![0xA5; usize::from(format.layout().offset)], &payload);
        contestant(name, move || {
            out.clear();
            for _ in 0..count {
                encoder.encode_with(black_box(&prefix), black_box(payload), &mut out).expect("within the limit");
            }
            black_box(&out);
            count
        })
    });
    contest(pace, contestants.collect())
}

/// Goal 5: a frame twice as long, in chunks of any length, is twice the work; 64 MiB in small chunks are one copy.
pub(super) fn splits(pace: &Pace, findings: &mut Findings) {
    for chunk_len in [1, 7, 64, 1460, 65_536] {
        pace.say(&format!("splits, chunks of {chunk_len} B"));
        // Large chunks cost little beside the memory: there both frames are longer than any cache and than any memory that
        // the allocator keeps, so that what is compared is not the one with the other.
        let len = [1 << 20, 8 << 20, LARGE][usize::from(chunk_len >= 64) + usize::from(chunk_len > 64)];
        let len = if pace.quick { len / 16 } else { len };
        let format = Format::U32_LE.with_max_payload_len(2 * LARGE).expect("a valid limit");
        let wires = [len, 2 * len].map(|len| shared::wire(format, len, 1));
        for (way, feed) in WAYS {
            let contestants = wires.iter().zip(["once", "twice"]).map(|(wire, name)| {
                let mut decoder = Decoder::new(black_box(format));
                contestant(name, move || feed(&mut decoder, black_box(wire), chunk_len))
            });
            let times = contest(pace, contestants.collect());
            findings.rows.push(Row {
                goal: 5,
                what: format!("{way}, chunks of {chunk_len} B"),
                measure: format!("time a byte, frame of {} ÷ {}", bytes(2 * len), bytes(len)),
                // Linear is 1, quadratic would be 2.
                wanted: Wanted::AtMost(1.2),
                samples: ratios(times.of("twice"), times.of("once")).into_iter().map(|ratio| ratio / 2.0).collect(),
            });
        }
    }
    large(pace, findings);
}

/// Feeds a stream in chunks of a length; the frames.
type Way = fn(&mut Decoder, &[u8], usize) -> usize;

const WAYS: [(&str, Way); 3] = [("feed", shared::feed), ("cursor", shared::cursor), ("in place", shared::in_place)];

/// A decoder that is new or has just yielded such a frame has no memory for it; so beside it stands a copy into new memory.
fn large(pace: &Pace, findings: &mut Findings) {
    pace.say("splits, a frame of 64 MiB");
    let format = Format::U32_LE.with_max_payload_len(LARGE).expect("a valid limit");
    let wire = shared::wire(format, if pace.quick { LARGE / 16 } else { LARGE }, 1);
    let wire = &wire[..];
    let mut contestants = vec![contestant("memcpy", || {
        black_box(black_box(wire).to_vec());
        1
    })];
    contestants.extend(WAYS.map(|(name, feed)| {
        contestant(name, move || feed(&mut Decoder::new(black_box(format)), black_box(wire), 1460))
    }));
    let times = contest(pace, contestants);
    for (name, _) in WAYS {
        let what = format!("{name}, {} in chunks of 1460 B", bytes(wire.len() - 4));
        findings.rows.push(times.time(5, what, name, "memcpy", 2.0));
    }
}
