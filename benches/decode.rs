//! Borrowed decode: every payload length, 64 KiB chunks, a u32 little-endian header.
//!
//! Ours three ways (`feed` copies each chunk once, `cursor` yields from the chunk, `in-place` reads into the buffer),
//! beside a hand-written loop, tokio-util and asynchronous-codec. The last two yield owned frames; they have no
//! borrowed ones. `chase` takes the copy away: the bytes are in the buffer already. `slice` takes the buffer away, too.

mod peers;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::{CHUNK_LEN, PAYLOADS};
use unstick::framing::{Decoder, Format};

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for payload_len in PAYLOADS {
        let count = peers::frame_count(payload_len);
        group.throughput(Throughput::Elements(count as u64));
        let wire = peers::wire(Format::U32_LE, payload_len, count);
        let wide = peers::wire(Format::U64_BE, payload_len, count);
        let (wire, wide) = (&wire[..], &wide[..]);
        // Fed chunks are appended to the rest of the one before: a decoder keeps memory for both only if it is told to.
        let new_decoder = || Decoder::with_read_len(black_box(Format::U32_LE), 2 * CHUNK_LEN);

        let mut decoder = new_decoder();
        group.bench_function(BenchmarkId::new("feed", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::feed(&mut decoder, black_box(wire), CHUNK_LEN), count));
        });
        let mut decoder = new_decoder();
        group.bench_function(BenchmarkId::new("cursor", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::cursor(&mut decoder, black_box(wire), CHUNK_LEN), count));
        });
        let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
        group.bench_function(BenchmarkId::new("in-place", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::in_place(&mut decoder, black_box(wire), CHUNK_LEN), count));
        });
        let (mut buffer, limit) = (Vec::new(), black_box(1 << 20));
        group.bench_function(BenchmarkId::new("hand", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::hand(&mut buffer, black_box(wire), CHUNK_LEN, limit), count));
        });
        let (mut codec, mut buffer) = (peers::tokio_codec(), BytesMut::new());
        group.bench_function(BenchmarkId::new("tokio-util", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::tokio(&mut codec, &mut buffer, black_box(wire), CHUNK_LEN), count));
        });
        let mut buffer = BytesMut::new();
        group.bench_function(BenchmarkId::new("asynchronous-codec", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::asynchronous(&mut buffer, black_box(wide), CHUNK_LEN), count));
        });
    }
    group.finish();
}

/// The decoding alone: a chunk of whole frames that stands in the buffer already. A space shows what was received
/// before, so the same bytes are declared received again and again.
fn chase(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chase");
    for payload_len in PAYLOADS.into_iter().filter(|len| *len <= 16 << 10) {
        let count = CHUNK_LEN / (payload_len + 4);
        group.throughput(Throughput::Elements(count as u64));
        let wire = peers::wire(Format::U32_LE, payload_len, count);

        let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
        decoder.space()[..wire.len()].copy_from_slice(&wire);
        group.bench_function(BenchmarkId::new("in-place", payload_len), |bencher| {
            bencher.iter(|| {
                decoder.space();
                decoder.filled(wire.len());
                let mut frames = 0;
                while let Some(frame) = decoder.next_frame().expect("a valid stream") {
                    black_box(frame.payload());
                    frames += 1;
                }
                assert_eq!(frames, count);
            });
        });
        let limit = black_box(1 << 20);
        group.bench_function(BenchmarkId::new("hand", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::hand_slice(black_box(&wire), limit), count));
        });
    }
    group.finish();
}

/// Frames of a slice of 256 MiB, beside the loop written by hand.
fn slice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slice");
    group.sample_size(10);
    for payload_len in peers::SLICE_PAYLOADS {
        let count = peers::SLICE_LEN / (payload_len + 4);
        group.throughput(Throughput::Elements(count as u64));
        let wire = peers::wire(Format::U32_LE, payload_len, count);
        let format = black_box(Format::U32_LE);
        group.bench_function(BenchmarkId::new("frames", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::frames_of_slice(format, black_box(&wire)), count));
        });
        let limit = black_box(1 << 20);
        group.bench_function(BenchmarkId::new("hand", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::hand_slice(black_box(&wire), limit), count));
        });
    }
    group.finish();
}

criterion_group!(benches, decode, chase, slice);
criterion_main!(benches);
