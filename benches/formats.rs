//! Any format against the u32 little-endian case: decode by `feed`, and encode, with the same payloads.
//!
//! `varint-5` is a varint padded to five bytes, as no small payload needs them; it is decoded only, since what we encode
//! is minimal. Payloads of 16 bytes take one byte of varint, payloads of 300 take two.

mod peers;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::CHUNK_LEN;
use unstick::framing::{Decoder, Encoder, Endian, Format, Layout};

/// The formats by name; the first is what the others are compared with.
fn formats(payload_len: usize) -> Vec<(&'static str, Format)> {
    let with = |layout| Format::new(layout, 60_000).expect("a valid format");
    let mut formats = vec![
        ("u32le", Format::U32_LE),
        ("u32be", Format::U32_BE),
        ("u16be", Format::U16_BE),
        ("u24be", Format::U24_BE),
        ("u64be", Format::U64_BE),
        ("u32be-inclusive", Format::U32_BE_INCLUSIVE),
        ("offset-2-u16be-adjusted", with(Layout { offset: 2, adjustment: -4, ..Layout::fixed(2, Endian::Big) })),
        ("offset-8-u32le", with(Layout { offset: 8, ..Layout::fixed(4, Endian::Little) })),
        ("varint", Format::VARINT),
    ];
    if payload_len <= 255 {
        formats.push(("u8", Format::U8));
    }
    formats
}

fn decode(criterion: &mut Criterion) {
    for payload_len in [16, 300] {
        let mut group = criterion.benchmark_group(format!("formats-decode-{payload_len}"));
        let count = peers::frame_count(payload_len);
        group.throughput(Throughput::Elements(count as u64));
        let wire_of = |(name, format)| (name, format, peers::wire(format, payload_len, count));
        let mut cases: Vec<_> = formats(payload_len).into_iter().map(wire_of).collect();
        cases.push(("varint-5", Format::VARINT, padded_varints(payload_len, count)));
        for (name, format, wire) in &cases {
            let mut decoder = Decoder::with_read_len(black_box(*format), CHUNK_LEN);
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| assert_eq!(peers::feed(&mut decoder, black_box(wire), CHUNK_LEN), count));
            });
        }
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    for payload_len in [16, 300] {
        let mut group = criterion.benchmark_group(format!("formats-encode-{payload_len}"));
        let (count, payload) = (CHUNK_LEN / (payload_len + 4), peers::payload(payload_len));
        group.throughput(Throughput::Elements(count as u64));
        for (name, format) in formats(payload_len) {
            let (encoder, mut out) = (Encoder::new(black_box(format)), Vec::new());
            let prefix = vec![0xA5; usize::from(format.layout().offset)];
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    for _ in 0..count {
                        encoder.encode(black_box(&prefix), black_box(&payload), &mut out).expect("within the limit");
                    }
                    black_box(&out[..]);
                });
            });
        }
        group.finish();
    }
}

/// Frames whose varint is padded to five bytes.
fn padded_varints(payload_len: usize, count: usize) -> Vec<u8> {
    let payload = peers::payload(payload_len);
    let mut wire = Vec::new();
    for _ in 0..count {
        wire.extend((0..4).map(|at| (payload_len >> (7 * at)) as u8 & 0x7F | 0x80));
        wire.push((payload_len >> 28) as u8);
        wire.extend_from_slice(&payload);
    }
    wire
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
