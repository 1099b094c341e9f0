//! Owned decode: a `Bytes` for every frame, which is dropped after it was looked at. 64 KiB chunks, as in `decode`.
//!
//! Three ways to make owned frames from the borrowed ones, beside tokio-util (a `BytesMut` a frame, frozen) and
//! asynchronous-codec (a `Bytes` a frame, 8-byte header). In all of them one copy of each chunk stands for the read:
//! - `copy`: each payload into memory of its own. It pins nothing, and an allocation that is freed at once is cheap.
//! - `slice`: each read is frozen once, and payloads are slices of it: no copy, but two atomic counts a frame, and one
//!   small frame that is kept keeps its whole read.
//! - `lend`: `copy` for short payloads; a long frame is lent the buffer it was read into ([`Owned`]).

mod peers;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peers::{CHUNK_LEN, Owned, PAYLOADS};
use tokio_util::codec::Decoder as _;
use unstick::framing::{Decoder, Format};

fn owned(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("owned");
    for payload_len in PAYLOADS {
        let count = peers::frame_count(payload_len);
        group.throughput(Throughput::Elements(count as u64));
        let wire = peers::wire(Format::U32_LE, payload_len, count);
        let wide = peers::wire(Format::U64_BE, payload_len, count);
        let (wire, wide) = (&wire[..], &wide[..]);

        for (name, copied_len) in [("copy", usize::MAX), ("lend", Owned::COPIED_LEN)] {
            let mut owned = Owned::new(black_box(Format::U32_LE), copied_len);
            group.bench_function(BenchmarkId::new(name, payload_len), |bencher| {
                bencher.iter(|| assert_eq!(owned.read_all(black_box(wire), CHUNK_LEN), count));
            });
        }
        let mut decoder = Decoder::with_read_len(black_box(Format::U32_LE), CHUNK_LEN);
        let mut block = BytesMut::new();
        group.bench_function(BenchmarkId::new("slice", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::slice(&mut decoder, &mut block, black_box(wire), CHUNK_LEN), count));
        });
        let (mut codec, mut buffer) = (peers::tokio_codec(), BytesMut::new());
        group.bench_function(BenchmarkId::new("tokio-util", payload_len), |bencher| {
            bencher.iter(|| {
                let mut frames = 0;
                for chunk in black_box(wire).chunks(CHUNK_LEN) {
                    buffer.extend_from_slice(chunk);
                    while let Some(frame) = codec.decode(&mut buffer).expect("a valid stream") {
                        let frame: Bytes = frame.freeze();
                        black_box(&frame[..]);
                        frames += 1;
                    }
                }
                assert_eq!(frames, count);
            });
        });
        let mut buffer = BytesMut::new();
        group.bench_function(BenchmarkId::new("asynchronous-codec", payload_len), |bencher| {
            bencher.iter(|| assert_eq!(peers::asynchronous(&mut buffer, black_box(wide), CHUNK_LEN), count));
        });
    }
    group.finish();
}

criterion_group!(benches, owned);
criterion_main!(benches);
