//! The adapters: frames out of a reader beside asynchronous-codec, and frames into a socket, copied or written from where
//! they are.
//!
//! `read-*` takes a stream of about 1 MiB out of memory: `next_frame` lends each frame, `stream` gives it as `Bytes`, as
//! asynchronous-codec's `FramedRead` does with its own format, a big-endian u64. `write-*` sends a MiB of frames into a TCP
//! connection over loopback whose other end is read by a thread: `copied` queues each payload (`enqueue`) and flushes after
//! each, `direct` sends it from where it is (`send`): where `direct` is ahead, there is the length from which copying does
//! not pay, `NO_COPY_LEN`.

mod peers;

use std::hint::black_box;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;

use asynchronous_codec::LengthCodec;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_lite::future::block_on;
use futures_lite::stream::StreamExt;
use smol::Async;
use unstick::framing::Format;
use unstick::{FramedRead, FramedWrite, NO_COPY_LEN};

fn read(criterion: &mut Criterion) {
    for payload_len in peers::PAYLOADS {
        let mut group = criterion.benchmark_group(format!("read-{payload_len}"));
        let count = peers::frame_count(payload_len);
        let (wire, theirs) =
            (peers::wire(Format::U32_LE, payload_len, count), peers::wire(Format::U64_BE, payload_len, count));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function("next_frame", |bencher| {
            bencher.iter(|| assert_eq!(block_on(lent(black_box(&wire))), count));
        });
        group.bench_function("stream", |bencher| {
            bencher.iter(|| {
                let stream = FramedRead::new(black_box(&wire[..]), Format::U32_LE).into_stream();
                assert_eq!(block_on(stream.map(|payload| black_box(payload.expect("a frame").len())).count()), count);
            });
        });
        group.bench_function("asynchronous-codec", |bencher| {
            bencher.iter(|| {
                let stream = asynchronous_codec::FramedRead::new(black_box(&theirs[..]), LengthCodec);
                assert_eq!(block_on(stream.map(|payload| black_box(payload.expect("a frame").len())).count()), count);
            });
        });
        group.finish();
    }
}

async fn lent(wire: &[u8]) -> usize {
    let (mut read, mut count) = (FramedRead::new(wire, Format::U32_LE), 0);
    while let Some(frame) = read.next_frame().await.expect("a valid stream") {
        black_box(frame.payload());
        count += 1;
    }
    count
}

fn write(criterion: &mut Criterion) {
    for payload_len in [1 << 10, 4 << 10, 8 << 10, NO_COPY_LEN, 32 << 10, 64 << 10, 256 << 10] {
        let mut group = criterion.benchmark_group(format!("write-{payload_len}"));
        let (payload, count) = (peers::payload(payload_len), peers::STREAM_LEN / payload_len);
        group.throughput(Throughput::Elements(count as u64));
        for (name, copied) in [("copied", true), ("direct", false)] {
            let mut write = FramedWrite::new(drained_socket(), Format::U32_LE);
            group.bench_function(BenchmarkId::new(name, payload_len), |bencher| {
                bencher.iter(|| {
                    block_on(async {
                        for _ in 0..count {
                            if copied {
                                write.enqueue(black_box(&payload)).expect("within the limit");
                                write.flush().await.expect("the reader reads");
                            } else {
                                write.send(black_box(&payload)).await.expect("the reader reads");
                            }
                        }
                    });
                });
            });
        }
        group.finish();
    }
}

/// A connection whose other end is read by a thread to its end.
fn drained_socket() -> Async<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address of our own");
    let stream = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (mut other, _) = listener.accept().expect("the other end");
    thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while other.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
    Async::new(stream).expect("a socket that can wait")
}

criterion_group!(benches, read, write);
criterion_main!(benches);
