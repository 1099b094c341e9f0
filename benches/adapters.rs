//! A MiB of frames into a TCP connection over loopback whose other end is read by a thread: `copied` queues each payload
//! (`enqueue`) and flushes after each, `direct` sends it from where it is (`send`). Where `direct` is ahead, there is the
//! length from which copying does not pay, `NO_COPY_LEN`.

use std::hint::black_box;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_lite::future::block_on;
use smol::Async;
use unstick::framing::Format;
use unstick::{FramedWrite, NO_COPY_LEN};

fn write(criterion: &mut Criterion) {
    for payload_len in [1 << 10, 4 << 10, 8 << 10, NO_COPY_LEN, 32 << 10, 64 << 10, 256 << 10] {
        let mut group = criterion.benchmark_group(format!("write-{payload_len}"));
        let (payload, count) = (vec![7; payload_len], (1 << 20) / payload_len);
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

criterion_group!(benches, write);
criterion_main!(benches);
