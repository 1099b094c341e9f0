//! The loops that are measured: ours and those of the peers, over the same streams. `contests.rs` has all of them by name.
//!
//! Every decoder gets the same payloads in the same chunks, keeps its buffers from one stream to the next as a connection
//! does, and shows each payload to `black_box`. Formats and limits are hidden from the optimiser by `black_box` too:
//! in a program they come from a configuration.

pub(crate) mod contests;
mod framed;

use std::hint::black_box;

use asynchronous_codec::{Decoder as _, LengthCodec};
use bytes::BytesMut;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};
use unstick::framing::{Decoder, Encoder, Format};

/// Payload lengths, in bytes.
pub(crate) const PAYLOADS: [usize; 9] = [0, 8, 16, 64, 256, 1 << 10, 16 << 10, 64 << 10, 256 << 10];
/// Bytes of a chunk: what one large read brings.
const CHUNK_LEN: usize = 64 << 10;
/// Bytes of a stream, about.
const STREAM_LEN: usize = 1 << 20;

/// A piece of code with its name. It returns how many units of work it did: frames, of large ones bytes.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() -> usize + 'a>,
}

fn contestant<'a>(name: &'static str, run: impl FnMut() -> usize + 'a) -> Contestant<'a> {
    Contestant { name, run: Box::new(run) }
}

/// Is told what is done, and gets those that do it.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(&str, Vec<Contestant<'_>>);

/// Bytes with their unit, where they are whole ones: `64 KiB`.
pub(crate) fn bytes(len: usize) -> String {
    match len {
        _ if len >= 1 << 20 && len.is_multiple_of(1 << 20) => format!("{} MiB", len >> 20),
        _ if len >= 1 << 10 && len.is_multiple_of(1 << 10) => format!("{} KiB", len >> 10),
        _ => format!("{len} B"),
    }
}

/// How many frames with this payload make a stream, at least four.
fn frame_count(payload_len: usize) -> usize {
    (STREAM_LEN / (payload_len + 4)).max(4)
}

/// A payload that is not all zeros.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + 7) as u8).collect()
}

/// A stream of `count` frames of `format` with payloads of `payload_len` bytes.
fn wire(format: Format, payload_len: usize, count: usize) -> Vec<u8> {
    let (encoder, payload) = (Encoder::new(format), payload(payload_len));
    let prefix = vec![0xA5; usize::from(format.layout().offset)];
    let mut wire = Vec::new();
    for _ in 0..count {
        encoder.encode_with(&prefix, &payload, &mut wire).expect("the payload is within the limit");
    }
    wire
}

/// [`Decoder::feed`] as a statement, then [`Decoder::next_frame`] until there is none. Returns the frames.
fn feed(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        decoder.feed(chunk);
        while let Some(frame) = decoder.next_frame().expect("a valid stream") {
            black_box(frame.payload());
            frames += 1;
        }
    }
    frames
}

/// The cursor that [`Decoder::feed`] returns: whole frames are not copied.
fn cursor(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for mut chunk in wire.chunks(chunk_len) {
        while let Some(frame) = decoder.next_frame_from(&mut chunk).expect("a valid stream") {
            black_box(frame.payload());
            frames += 1;
        }
    }
    frames
}

/// [`Decoder::space`] and [`Decoder::filled`]; copying a chunk into the space stands for the read.
fn in_place(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for mut chunk in wire.chunks(chunk_len) {
        while !chunk.is_empty() {
            let space = decoder.space();
            let len = space.len().min(chunk.len());
            space[..len].copy_from_slice(&chunk[..len]);
            decoder.filled(len);
            chunk = &chunk[len..];
            while let Some(frame) = decoder.next_frame().expect("a valid stream") {
                black_box(frame.payload());
                frames += 1;
            }
        }
    }
    frames
}

/// What a careful programmer writes by hand for one format: a flat buffer, one copy a chunk, the position in a register.
fn hand(buffer: &mut Vec<u8>, wire: &[u8], chunk_len: usize, max_payload_len: usize) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        buffer.extend_from_slice(chunk);
        let mut rest = &buffer[..];
        while let Some((header, behind)) = rest.split_first_chunk::<4>() {
            let len = u32::from_le_bytes(*header) as usize;
            assert!(len <= max_payload_len, "a valid stream");
            let Some((payload, behind)) = behind.split_at_checked(len) else { break };
            black_box(payload);
            frames += 1;
            rest = behind;
        }
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
    }
    frames
}

/// [`Format::frames`]: the bytes are all there, and nothing is copied.
fn frames_of_slice(format: Format, wire: &[u8]) -> usize {
    let mut frames = 0;
    for found in format.frames(wire) {
        let (_, frame) = found.expect("a valid stream");
        black_box(frame.payload());
        frames += 1;
    }
    frames
}

/// What a careful programmer writes by hand for one format where the bytes are all there.
fn hand_slice(mut wire: &[u8], max_payload_len: usize) -> usize {
    let mut frames = 0;
    while let Some((header, behind)) = wire.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*header) as usize;
        assert!(len <= max_payload_len, "a valid stream");
        let Some((payload, behind)) = behind.split_at_checked(len) else { break };
        black_box(payload);
        frames += 1;
        wire = behind;
    }
    frames
}

/// What a careful programmer writes by hand to encode: the limit checked, room made once, header and payload appended.
fn hand_encode(payload: &[u8], max_payload_len: usize, out: &mut Vec<u8>) {
    assert!(payload.len() <= max_payload_len, "within the limit");
    out.reserve(4 + payload.len());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(payload);
}

/// tokio-util's codec for u32 little-endian.
fn tokio_codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().little_endian().max_frame_length(black_box(1 << 30)).new_codec()
}

/// tokio-util: the codec's own `decode` on the buffer that its `FramedRead` would read into. Each frame is a `BytesMut`.
fn tokio(
    codec: &mut LengthDelimitedCodec,
    buffer: &mut BytesMut,
    wire: &[u8],
    chunk_len: usize,
    show: impl Fn(BytesMut),
) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = codec.decode(buffer).expect("a valid stream") {
            show(frame);
            frames += 1;
        }
    }
    frames
}

/// asynchronous-codec's `LengthCodec` (an 8-byte big-endian header, no limit). Each frame is a `Bytes`.
fn asynchronous(buffer: &mut BytesMut, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = LengthCodec.decode(buffer).expect("a valid stream") {
            black_box(&frame[..]);
            frames += 1;
        }
    }
    frames
}
