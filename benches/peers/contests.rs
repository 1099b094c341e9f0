//! Who is measured beside whom. Criterion runs these loops for people (`cargo bench --bench framing`), `cargo xtask bench` in
//! turn for its ratios, and callgrind counts the instructions of some.

use std::hint::black_box;

use asynchronous_codec::{Encoder as _, LengthCodec};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use smol::future::block_on;
use tokio_util::codec::Encoder as _;
use unstick::FramedRead;
use unstick::framing::{Decoder, Encoder, Endian, Format, Layout};

use super::{CHUNK_LEN, PAYLOADS, Visit, bytes, contestant, framed};

pub(crate) const HAND: &str = "hand loop";
pub(crate) const TOKIO: &str = "tokio-util";
pub(crate) const ASYNCHRONOUS: &str = "asynchronous-codec";
/// The peers' streams of owned frames.
pub(crate) const TOKIO_STREAM: &str = "tokio-util, stream";
pub(crate) const ASYNCHRONOUS_STREAM: &str = "asynchronous-codec, stream";
/// What other formats are measured beside.
pub(crate) const PLAIN_FORMAT: &str = "u32le";

/// Bytes that are encoded before the buffer is used again, where a frame is not longer: the replies to one read.
const BATCH_LEN: usize = 16 << 10;
/// Bytes of a stream that is all there, as a file is, about; more than any cache holds.
const SLICE_LEN: usize = 256 << 20;
/// Bytes of the frame that comes in small chunks.
const LARGE: usize = 64 << 20;

/// The contests of a group, one after the other; with `true`, streams of at most some MiB.
pub(crate) type Contests = fn(bool, Visit<'_>);

/// All groups by name.
pub(crate) const GROUPS: [(&str, Contests); 6] = [
    ("decode", decode),
    ("owned", owned),
    ("encode", encode),
    ("formats", formats),
    ("splits", splits),
    ("codec", framed::codec),
];

/// Frames that are lent.
fn decode(small: bool, visit: Visit<'_>) {
    for payload_len in PAYLOADS {
        decode_stream(payload_len, visit);
    }
    for payload_len in PAYLOADS.into_iter().filter(|len| *len <= 16 << 10) {
        decode_buffered(payload_len, visit);
    }
    for payload_len in [0, 16, 64, 1 << 10] {
        let slice_len = if small { 1 << 20 } else { SLICE_LEN };
        let wire = super::wire(Format::U32_LE, payload_len, slice_len / (payload_len + 4));
        let (format, limit) = (black_box(Format::U32_LE), black_box(1 << 20));
        let contestants = vec![
            contestant("slice", || super::frames_of_slice(format, black_box(&wire))),
            contestant(HAND, || super::hand_slice(black_box(&wire), limit)),
        ];
        visit(&format!("{}, a slice of {}", bytes(payload_len), bytes(slice_len)), contestants);
    }
}

fn decode_stream(payload_len: usize, visit: Visit<'_>) {
    let count = super::frame_count(payload_len);
    let wire = &super::wire(Format::U32_LE, payload_len, count)[..];
    let wide = &super::wire(Format::U64_BE, payload_len, count)[..];
    let decoder = || Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
    let (mut of_feed, mut of_cursor, mut in_place) = (decoder(), decoder(), decoder());
    let (mut of_hand, limit) = (Vec::new(), black_box(1 << 20));
    let (mut codec, mut of_tokio, mut of_asynchronous) = (super::tokio_codec(), BytesMut::new(), BytesMut::new());
    let contestants = vec![
        contestant("feed", || super::feed(&mut of_feed, black_box(wire), CHUNK_LEN)),
        contestant("cursor", || super::cursor(&mut of_cursor, black_box(wire), CHUNK_LEN)),
        contestant("in place", || super::in_place(&mut in_place, black_box(wire), CHUNK_LEN)),
        contestant(HAND, || super::hand(&mut of_hand, black_box(wire), CHUNK_LEN, limit)),
        contestant(TOKIO, || {
            let show = |frame: BytesMut| _ = black_box(&frame[..]);
            super::tokio(&mut codec, &mut of_tokio, black_box(wire), CHUNK_LEN, show)
        }),
        contestant(ASYNCHRONOUS, || super::asynchronous(&mut of_asynchronous, black_box(wide), CHUNK_LEN)),
    ];
    visit(&bytes(payload_len), contestants);
}

/// The bytes are in the buffer already. A space shows what was received before, so the same bytes are declared received
/// again and again.
fn decode_buffered(payload_len: usize, visit: Visit<'_>) {
    let wire = super::wire(Format::U32_LE, payload_len, CHUNK_LEN / (payload_len + 4));
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
    let hand = || super::hand_slice(black_box(&wire), limit);
    visit(&format!("{}, no copy", bytes(payload_len)), vec![contestant("in place", ours), contestant(HAND, hand)]);
}

/// A `Bytes` for each frame: by the decoders alone, and by the streams over a slice, a reader that is never waited for.
fn owned(_: bool, visit: Visit<'_>) {
    for payload_len in PAYLOADS {
        let count = super::frame_count(payload_len);
        let wire = &super::wire(Format::U32_LE, payload_len, count)[..];
        let wide = &super::wire(Format::U64_BE, payload_len, count)[..];
        let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
        let (mut codec, mut of_tokio, mut of_asynchronous) = (super::tokio_codec(), BytesMut::new(), BytesMut::new());
        let contestants = vec![
            contestant("decoder", || own(&mut decoder, black_box(wire))),
            contestant(TOKIO, || {
                let show = |frame: BytesMut| drop(black_box(frame.freeze()));
                super::tokio(&mut codec, &mut of_tokio, black_box(wire), CHUNK_LEN, show)
            }),
            contestant(ASYNCHRONOUS, || super::asynchronous(&mut of_asynchronous, black_box(wide), CHUNK_LEN)),
            contestant("stream", || {
                frames_of(FramedRead::new(black_box(wire), black_box(Format::U32_LE)).into_stream())
            }),
            contestant(TOKIO_STREAM, || {
                let frames = tokio_util::codec::FramedRead::new(black_box(wire), super::tokio_codec());
                frames_of(frames.map(|frame| frame.map(BytesMut::freeze)))
            }),
            contestant(ASYNCHRONOUS_STREAM, || {
                frames_of(asynchronous_codec::FramedRead::new(black_box(wide), LengthCodec))
            }),
        ];
        visit(&bytes(payload_len), contestants);
    }
}

fn own(decoder: &mut Decoder, wire: &[u8]) -> usize {
    let mut frames = 0;
    for mut chunk in wire.chunks(CHUNK_LEN) {
        while let Some(frame) = decoder.next_frame_from(&mut chunk).expect("a valid stream") {
            black_box(Bytes::copy_from_slice(frame.payload()));
            frames += 1;
        }
    }
    frames
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

/// Frames into a buffer that is cleared and used again after each batch.
fn encode(_: bool, visit: Visit<'_>) {
    for payload_len in PAYLOADS {
        let count = (BATCH_LEN / (payload_len + 4)).max(1);
        let payload = super::payload(payload_len);
        let (encoder, mut of_ours) = (Encoder::new(black_box(Format::U32_LE)), Vec::new());
        let (limit, mut of_hand) = (black_box(1 << 20), Vec::new());
        let (mut codec, mut of_tokio) = (super::tokio_codec(), BytesMut::new());
        let (owned, mut of_asynchronous) = (Bytes::from(payload.clone()), BytesMut::new());
        let contestants = vec![
            contestant("encoder", || {
                of_ours.clear();
                (0..count).for_each(|_| encoder.encode(black_box(&payload), &mut of_ours).expect("within the limit"));
                black_box(&of_ours);
                count
            }),
            contestant(HAND, || {
                of_hand.clear();
                (0..count).for_each(|_| super::hand_encode(black_box(&payload), limit, &mut of_hand));
                black_box(&of_hand);
                count
            }),
            contestant(TOKIO, || {
                of_tokio.clear();
                let payload = || &black_box(&payload)[..];
                (0..count).for_each(|_| codec.encode(payload(), &mut of_tokio).expect("within the limit"));
                black_box(&of_tokio);
                count
            }),
            contestant(ASYNCHRONOUS, || {
                of_asynchronous.clear();
                let shared = || black_box(&owned).clone();
                (0..count).for_each(|_| LengthCodec.encode(shared(), &mut of_asynchronous).expect("never refused"));
                black_box(&of_asynchronous);
                count
            }),
        ];
        visit(&bytes(payload_len), contestants);
    }
}

/// Every format, by `feed` and by `encode_with`, beside [`PLAIN_FORMAT`].
fn formats(_: bool, visit: Visit<'_>) {
    for payload_len in [16, 300] {
        let count = super::frame_count(payload_len);
        let wire_of = |(name, format)| (name, format, super::wire(format, payload_len, count));
        let mut cases: Vec<_> = formats_for(payload_len).into_iter().map(wire_of).collect();
        // No small payload needs five bytes of varint; a writer may pad it.
        cases.push(("varint-5", Format::VARINT, padded_varints(payload_len, count)));
        let decoding = cases.iter().map(|(name, format, wire)| {
            let mut decoder = Decoder::with_read_len(black_box(*format), CHUNK_LEN);
            contestant(name, move || super::feed(&mut decoder, black_box(wire), CHUNK_LEN))
        });
        visit(&format!("decode, {}", bytes(payload_len)), decoding.collect());

        let (count, payload) = (BATCH_LEN / (payload_len + 4), super::payload(payload_len));
        let encoding = formats_for(payload_len).into_iter().map(|(name, format)| {
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
        visit(&format!("encode, {}", bytes(payload_len)), encoding.collect());
    }
}

/// The formats by name.
fn formats_for(payload_len: usize) -> Vec<(&'static str, Format)> {
    let with = |layout| Format::new(layout, 60_000).expect("a valid format");
    let mut formats = vec![
        (PLAIN_FORMAT, Format::U32_LE),
        ("u32be", Format::U32_BE),
        ("u16be", Format::U16_BE),
        ("u24be", Format::U24_BE),
        ("u64be", Format::U64_BE),
        ("u32be-inclusive", Format::U32_BE_INCLUSIVE),
        ("offset-2-u16be-adjusted", with(Layout::fixed(2, Endian::Big).offset(2).adjustment(-4))),
        ("offset-8-u32le", with(Layout::fixed(4, Endian::Little).offset(8))),
        ("varint", Format::VARINT),
    ];
    if payload_len <= 255 {
        formats.push(("u8", Format::U8));
    }
    formats
}

/// Frames whose varint is padded to five bytes.
fn padded_varints(payload_len: usize, count: usize) -> Vec<u8> {
    let payload = super::payload(payload_len);
    let mut wire = Vec::new();
    for _ in 0..count {
        wire.extend((0..4).map(|at| (payload_len >> (7 * at)) as u8 & 0x7F | 0x80));
        wire.push((payload_len >> 28) as u8);
        wire.extend_from_slice(&payload);
    }
    wire
}

/// Feeds a stream in chunks of a length; the frames.
type Way = fn(&mut Decoder, &[u8], usize) -> usize;

const WAYS: [(&str, Way); 3] = [("feed", super::feed), ("cursor", super::cursor), ("in place", super::in_place)];

/// A frame twice as long is twice the work, in chunks of any length, and so are ten times as many small frames that are all
/// fed before the first is taken. A large frame in small chunks beside one copy of it.
fn splits(small: bool, visit: Visit<'_>) {
    for chunk_len in [1, 7, 64, 1460, 65_536] {
        // Large chunks cost little beside the memory: there both frames are longer than any cache and than any memory that
        // the allocator keeps, so that what is compared is not the one with the other.
        let len = [1 << 20, 8 << 20, LARGE][usize::from(chunk_len >= 64) + usize::from(chunk_len > 64)];
        let len = if small { len / 16 } else { len };
        let format = Format::U32_LE.with_max_payload_len(2 * LARGE).expect("a valid limit");
        let wires = [len, 2 * len].map(|len| super::wire(format, len, 1));
        for (way, feed) in WAYS {
            let contestants = wires.iter().zip(["once", "twice"]).map(|(wire, name)| {
                let mut decoder = Decoder::new(black_box(format));
                contestant(name, move || feed(&mut decoder, black_box(wire), chunk_len) * wire.len())
            });
            visit(&format!("{way}, chunks of {chunk_len} B, frames of {}", bytes(len)), contestants.collect());
        }
    }
    let count = if small { 10_000 } else { 100_000 };
    let wires = [count, 10 * count].map(|count| super::wire(Format::U32_LE, 8, count));
    let contestants = wires.iter().zip(["once", "ten times"]).map(|(wire, name)| {
        contestant(name, || super::feed(&mut Decoder::new(black_box(Format::U32_LE)), black_box(wire), wire.len()))
    });
    visit(&format!("feed, {count} frames of 8 B at once"), contestants.collect());
    large(if small { LARGE / 16 } else { LARGE }, visit);
}

/// A decoder that is new or has just yielded such a frame has no memory for it; so beside it stands a copy into new memory.
fn large(len: usize, visit: Visit<'_>) {
    let format = Format::U32_LE.with_max_payload_len(LARGE).expect("a valid limit");
    let wire = &super::wire(format, len, 1)[..];
    let mut contestants = vec![contestant("memcpy", || {
        black_box(black_box(wire).to_vec());
        wire.len()
    })];
    contestants.extend(WAYS.map(|(name, feed)| {
        let run = move || feed(&mut Decoder::new(black_box(format)), black_box(wire), 1460) * wire.len();
        contestant(name, run)
    }));
    visit(&format!("{} in chunks of 1460 B", bytes(len)), contestants);
}
