//! The codec for tokio beside `LengthDelimitedCodec`: in the same `Framed`, for the same format (u32 big-endian), over the same
//! reader and writer in memory, so that all but the codec is the same.

use std::fmt::Debug;
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use smol::future::block_on;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec};
use unstick::codec::FrameCodec;
use unstick::framing::Format;

use super::{Visit, bytes, contestant};

/// Payload lengths, in bytes.
const PAYLOADS: [usize; 6] = [0, 16, 64, 256, 1 << 10, 16 << 10];
/// Bytes of the buffer that is read into, and of the backpressure boundary. 8 KiB are tokio-util's own.
const BUFFERS: [usize; 2] = [8 << 10, 128 << 10];

/// Each payload is looked at in its frame (`ours`) or in the peer's `BytesMut` (`theirs`), or is taken as `Bytes`.
pub(super) fn codec(_: bool, visit: Visit<'_>) {
    for (buffer_len, payload_len) in BUFFERS.into_iter().flat_map(|buffer| PAYLOADS.map(|payload| (buffer, payload))) {
        let count = super::frame_count(payload_len);
        let wire = &super::wire(Format::U32_BE, payload_len, count)[..];
        let theirs = LengthDelimitedCodec::new;
        let decoding = vec![
            contestant("theirs", || take(theirs(), wire, buffer_len, |frame| _ = black_box(&frame[..]))),
            contestant("ours", || take(ours(), wire, buffer_len, |frame| _ = black_box(frame.payload()))),
            contestant("theirs, Bytes", || take(theirs(), wire, buffer_len, |frame| drop(black_box(frame.freeze())))),
            contestant("ours, Bytes", || take(ours(), wire, buffer_len, |frame| drop(black_box(frame.into_payload())))),
        ];
        visit(&format!("decode, {}, buffer of {}", bytes(payload_len), bytes(buffer_len)), decoding);

        let payload = Bytes::from(super::payload(payload_len));
        let (mut of_theirs, mut of_ours) = (framed(theirs(), buffer_len), framed(ours(), buffer_len));
        let encoding = vec![
            contestant("theirs", || feed(&mut of_theirs, count, || black_box(&payload[..]))),
            contestant("ours", || feed(&mut of_ours, count, || black_box(&payload[..]))),
        ];
        visit(&format!("encode, {}, buffer of {}", bytes(payload_len), bytes(buffer_len)), encoding);
    }
}

fn ours() -> FrameCodec {
    FrameCodec::new(black_box(Format::U32_BE))
}

fn framed<C>(codec: C, boundary: usize) -> Framed<Memory<'static>, C> {
    let mut framed = Framed::new(Memory(&[]), codec);
    framed.set_backpressure_boundary(boundary);
    framed
}

/// Takes all frames of a stream, and shows each.
fn take<C: Decoder<Error: Debug>>(codec: C, wire: &[u8], buffer_len: usize, show: impl Fn(C::Item)) -> usize {
    let mut framed = Framed::with_capacity(Memory(black_box(wire)), codec, buffer_len);
    block_on(async {
        let mut frames = 0;
        while let Some(frame) = framed.next().await {
            show(frame.expect("a valid stream"));
            frames += 1;
        }
        frames
    })
}

/// Feeds `count` frames.
fn feed<C, I, E>(framed: &mut Framed<Memory<'_>, C>, count: usize, mut payload: impl FnMut() -> I) -> usize
where
    C: Encoder<I, Error = E>,
    E: From<io::Error> + Debug,
{
    block_on(async {
        for _ in 0..count {
            framed.feed(payload()).await.expect("within the limit");
        }
    });
    count
}

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
