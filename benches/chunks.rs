//! The same bytes in chunks of any length, and one frame of 64 MiB in small ones: the work is linear in bytes and chunks.
//!
//! `chunks-*` decodes the same stream of about 1 MiB in chunks of 1 to 65,536 bytes and reports bytes a second; the work a chunk is the
//! time over the number of chunks. `large` decodes a frame of 64 MiB in chunks of 1460 bytes beside one memcpy of it: into
//! new memory, which a fresh decoder needs too, and into memory that was written before, which a decoder that has just
//! yielded such a frame has not, as it gives it back. `small-frames` decodes 10^5 and 10^6 small frames that are all fed before
//! the first is taken: ten times the frames take ten times the time, where a loop that moves the rest to the front after
//! each would take a hundred times.

mod peers;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use unstick::framing::{Decoder, Format};

const LARGE: usize = 64 << 20;

fn chunks(criterion: &mut Criterion) {
    for payload_len in [16, 1 << 10, 64 << 10] {
        let mut group = criterion.benchmark_group(format!("chunks-{payload_len}"));
        let count = peers::frame_count(payload_len);
        let wire = peers::wire(Format::U32_LE, payload_len, count);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        for chunk_len in [1, 7, 64, 1460, 65_536] {
            let mut decoder = Decoder::new(black_box(Format::U32_LE));
            group.bench_function(BenchmarkId::new("feed", chunk_len), |bencher| {
                bencher.iter(|| assert_eq!(peers::feed(&mut decoder, black_box(&wire), chunk_len), count));
            });
            let mut decoder = Decoder::new(black_box(Format::U32_LE));
            group.bench_function(BenchmarkId::new("cursor", chunk_len), |bencher| {
                bencher.iter(|| assert_eq!(peers::cursor(&mut decoder, black_box(&wire), chunk_len), count));
            });
            let mut decoder = Decoder::new(black_box(Format::U32_LE));
            group.bench_function(BenchmarkId::new("in-place", chunk_len), |bencher| {
                bencher.iter(|| assert_eq!(peers::in_place(&mut decoder, black_box(&wire), chunk_len), count));
            });
            let (mut buffer, limit) = (Vec::new(), black_box(1 << 20));
            group.bench_function(BenchmarkId::new("hand", chunk_len), |bencher| {
                bencher.iter(|| assert_eq!(peers::hand(&mut buffer, black_box(&wire), chunk_len, limit), count));
            });
        }
        group.finish();
    }
}

fn large(criterion: &mut Criterion) {
    let format = Format::U32_LE.with_max_payload_len(LARGE).expect("a valid limit");
    let wire = peers::wire(format, LARGE, 1);
    let mut group = criterion.benchmark_group("large");
    group.throughput(Throughput::Bytes(wire.len() as u64)).sample_size(20);
    group.bench_function("feed", |bencher| {
        let mut decoder = Decoder::new(black_box(format));
        bencher.iter(|| assert_eq!(peers::feed(&mut decoder, black_box(&wire), 1460), 1));
    });
    group.bench_function("cursor", |bencher| {
        let mut decoder = Decoder::new(black_box(format));
        bencher.iter(|| assert_eq!(peers::cursor(&mut decoder, black_box(&wire), 1460), 1));
    });
    group.bench_function("in-place", |bencher| {
        let mut decoder = Decoder::new(black_box(format));
        bencher.iter(|| assert_eq!(peers::in_place(&mut decoder, black_box(&wire), 1460), 1));
    });
    group.bench_function("memcpy-new", |bencher| bencher.iter(|| black_box(&black_box(&wire)[..]).to_vec()));
    group.bench_function("memcpy-warm", |bencher| {
        let mut copy = wire.clone();
        bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&wire)));
    });
    group.finish();
}

fn small_frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("small-frames");
    for count in [100_000, 1_000_000] {
        let wire = peers::wire(Format::U32_LE, 8, count);
        group.throughput(Throughput::Elements(count as u64)).sample_size(20);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let mut decoder = Decoder::new(black_box(Format::U32_LE));
                assert_eq!(peers::feed(&mut decoder, black_box(&wire), wire.len()), count);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chunks, large, small_frames);
criterion_main!(benches);
