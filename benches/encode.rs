//! Encode into a buffer that is used again: every payload length, a u32 little-endian header.
//!
//! As many frames as fit in 16 KiB are written, at least one: the replies to one read. Then the buffer is cleared and used
//! again. Ours beside a hand-written loop that checks the limit, reserves once a frame and appends, tokio-util and
//! asynchronous-codec (whose payload is a `Bytes`, cloned for each frame as its interface asks).

mod peers;

use std::hint::black_box;

use asynchronous_codec::{Encoder as _, LengthCodec};
use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::PAYLOADS;
use tokio_util::codec::Encoder as _;
use unstick::framing::{Encoder, Format};

/// Bytes that are written before the buffer is used again, where a frame is not longer.
const BATCH_LEN: usize = 16 << 10;

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for payload_len in PAYLOADS {
        let count = (BATCH_LEN / (payload_len + 4)).max(1);
        group.throughput(Throughput::Elements(count as u64));
        let payload = peers::payload(payload_len);

        let (encoder, mut out) = (Encoder::new(black_box(Format::U32_LE)), Vec::new());
        group.bench_function(BenchmarkId::new("ours", payload_len), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..count {
                    encoder.encode(black_box(&payload), &mut out).expect("within the limit");
                }
                black_box(&out[..]);
            });
        });
        let (limit, mut out) = (black_box(1 << 20), Vec::new());
        group.bench_function(BenchmarkId::new("hand", payload_len), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..count {
                    peers::hand_encode(black_box(&payload), limit, &mut out);
                }
                black_box(&out[..]);
            });
        });
        let (mut codec, mut out) = (peers::tokio_codec(), BytesMut::new());
        group.bench_function(BenchmarkId::new("tokio-util", payload_len), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..count {
                    codec.encode(&black_box(&payload)[..], &mut out).expect("within the limit");
                }
                black_box(&out[..]);
            });
        });
        let (shared, mut out) = (Bytes::from(payload.clone()), BytesMut::new());
        group.bench_function(BenchmarkId::new("asynchronous-codec", payload_len), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..count {
                    LengthCodec.encode(black_box(&shared).clone(), &mut out).expect("never refused");
                }
                black_box(&out[..]);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
