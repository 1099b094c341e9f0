//! The codec for tokio beside `LengthDelimitedCodec`: in the same `Framed`, for the same format (u32 big-endian), over the same
//! reader and writer in memory, so that all but the codec is the same.
//!
//! `decode-8k` and `decode-128k` take a stream of about 1 MiB through a buffer of so many bytes: each payload is looked at in
//! its frame (`ours`) beside the peer's `BytesMut` (`theirs`), and as `Bytes` (`ours, Bytes` and `theirs, Bytes`).
//! `encode-8k` and `encode-128k` feed as many frames into a `Framed` with that backpressure boundary; 8 KiB is tokio-util's own.
//!
//! Both sides are measured in turn, a stream at a time, as criterion measures one after the other and so gives whatever else the
//! machine does to one of them: `cargo bench --bench codec -- ratios`.

mod peers;

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use futures_lite::future::block_on;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec};
use unstick::codec::FrameCodec;
use unstick::framing::Format;

/// Payload lengths, in bytes.
const PAYLOADS: [usize; 6] = [0, 16, 64, 256, 1 << 10, 16 << 10];
/// Bytes of a buffer and names of the groups.
const BUFFERS: [(usize, &str); 2] = [(8 << 10, "8k"), (128 << 10, "128k")];
/// How often each side is run for a ratio.
const ROUNDS: usize = 301;

/// One side of a comparison: a name, and what takes or feeds all frames of a stream.
type Side<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Reads a stream from memory; takes whatever is written.
struct Memory<'a>(&'a [u8]);

impl AsyncRead for Memory<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn ours() -> FrameCodec {
    FrameCodec::new(black_box(Format::U32_BE))
}

/// Takes all frames of a stream, and shows each.
fn take<C: Decoder>(codec: C, wire: &[u8], buffer_len: usize, show: impl Fn(C::Item), count: usize)
where
    C::Error: std::fmt::Debug,
{
    let mut framed = Framed::with_capacity(Memory(black_box(wire)), codec, buffer_len);
    let mut frames = 0;
    let end = block_on(async {
        while let Some(frame) = framed.next().await {
            show(frame?);
            frames += 1;
        }
        Ok::<(), C::Error>(())
    });
    end.expect("a valid stream");
    assert_eq!(frames, count);
}

/// Feeds `count` frames.
fn feed<C, I, E>(framed: &mut Framed<Memory<'_>, C>, count: usize, mut payload: impl FnMut() -> I)
where
    C: Encoder<I, Error = E>,
    E: From<io::Error> + std::fmt::Debug,
{
    block_on(async {
        for _ in 0..count {
            framed.feed(payload()).await.expect("within the limit");
        }
    });
}

fn decode_sides(wire: &[u8], buffer_len: usize, count: usize) -> Vec<Side<'_>> {
    let theirs = LengthDelimitedCodec::new;
    vec![
        ("theirs", Box::new(move || take(theirs(), wire, buffer_len, |frame| _ = black_box(&frame[..]), count))),
        ("ours", Box::new(move || take(ours(), wire, buffer_len, |frame| _ = black_box(frame.payload()), count))),
        (
            "theirs, Bytes",
            Box::new(move || take(theirs(), wire, buffer_len, |frame| drop(black_box(frame.freeze())), count)),
        ),
        (
            "ours, Bytes",
            Box::new(move || take(ours(), wire, buffer_len, |frame| drop(black_box(frame.into_payload())), count)),
        ),
    ]
}

fn encode_sides(payload: &Bytes, boundary: usize, count: usize) -> Vec<Side<'_>> {
    let mut theirs = Framed::new(Memory(&[]), LengthDelimitedCodec::new());
    theirs.set_backpressure_boundary(boundary);
    let mut ours = Framed::new(Memory(&[]), ours());
    ours.set_backpressure_boundary(boundary);
    vec![
        ("theirs", Box::new(move || feed(&mut theirs, count, || black_box(&payload[..])))),
        ("ours", Box::new(move || feed(&mut ours, count, || black_box(&payload[..])))),
    ]
}

/// Calls `each` with every comparison there is: its group, the payload's length, how many frames, and its sides.
fn comparisons(mut each: impl FnMut(&str, usize, usize, Vec<Side<'_>>)) {
    for (buffer_len, name) in BUFFERS {
        for payload_len in PAYLOADS {
            let count = peers::frame_count(payload_len);
            let wire = peers::wire(Format::U32_BE, payload_len, count);
            each(&format!("decode-{name}"), payload_len, count, decode_sides(&wire, buffer_len, count));
            let payload = Bytes::from(peers::payload(payload_len));
            each(&format!("encode-{name}"), payload_len, count, encode_sides(&payload, buffer_len, count));
        }
    }
}

/// Runs the sides in turn, and prints how much faster ours are: by the median of all rounds.
fn ratios() {
    comparisons(|group, payload_len, _, mut sides| {
        let mut times = vec![Vec::new(); sides.len()];
        for _ in 0..ROUNDS {
            for ((_, run), times) in sides.iter_mut().zip(&mut times) {
                let start = Instant::now();
                run();
                times.push(start.elapsed().as_secs_f64());
            }
        }
        times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        for (pair, names) in times.chunks(2).zip(sides.chunks(2)) {
            println!("{group:12} {payload_len:6} B  {:.2} × {}", pair[0][ROUNDS / 2] / pair[1][ROUNDS / 2], names[0].0);
        }
    });
}

fn main() {
    if std::env::args().any(|argument| argument == "ratios") {
        return ratios();
    }
    let mut criterion = Criterion::default().configure_from_args();
    comparisons(|group, payload_len, count, sides| {
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(count as u64));
        for (name, mut run) in sides {
            group.bench_function(BenchmarkId::new(name, payload_len), |bencher| bencher.iter(&mut run));
        }
        group.finish();
    });
    criterion.final_summary();
}
