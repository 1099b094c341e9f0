//! Any format against the u32 little-endian case: decode by `feed`, and encode, with the same payloads.
//!
//! `varint-5` is a varint padded to five bytes, as no small payload needs them; it is decoded only, since what we encode
//! is minimal. Payloads of 16 bytes take one byte of varint, payloads of 300 take two.

mod peers;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::CHUNK_LEN;
use peers::formats::{formats, padded_varints};
use unstick::framing::{Decoder, Encoder, Format};

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
                        encoder
                            .encode_with(black_box(&prefix), black_box(&payload), &mut out)
                            .expect("within the limit");
                    }
                    black_box(&out[..]);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
