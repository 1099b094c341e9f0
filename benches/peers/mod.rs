//! What every bench shares: the streams, the peers, and how one is run against the other.
//!
//! Every decoder gets the same payloads in the same chunks, keeps its buffers from one stream to the next as a connection
//! does, and shows each payload to `black_box`. Formats and limits are hidden from the optimiser by `black_box` too:
//! in a program they come from a configuration.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod formats;

use std::hint::black_box;

use asynchronous_codec::{Decoder as _, LengthCodec};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};
use unstick::framing::{Decoder, Encoder, Format};

/// Payload lengths, in bytes.
pub(crate) const PAYLOADS: [usize; 9] = [0, 8, 16, 64, 256, 1 << 10, 16 << 10, 64 << 10, 256 << 10];
/// Bytes of a chunk: what one large read brings.
pub(crate) const CHUNK_LEN: usize = 64 << 10;
/// Bytes of a stream, about.
pub(crate) const STREAM_LEN: usize = 1 << 20;
/// Bytes of a stream that is all there, as a file is, about; more than any cache holds.
pub(crate) const SLICE_LEN: usize = 256 << 20;
/// Its payload lengths, in bytes.
pub(crate) const SLICE_PAYLOADS: [usize; 4] = [0, 16, 64, 1 << 10];

/// How many frames with this payload make a stream, at least four.
pub(crate) fn frame_count(payload_len: usize) -> usize {
    (STREAM_LEN / (payload_len + 4)).max(4)
}

/// A payload that is not all zeros.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + 7) as u8).collect()
}

/// A stream of `count` frames of `format` with payloads of `payload_len` bytes.
pub(crate) fn wire(format: Format, payload_len: usize, count: usize) -> Vec<u8> {
    let (encoder, payload) = (Encoder::new(format), payload(payload_len));
    let prefix = vec![0xA5; usize::from(format.layout().offset)];
    let mut wire = Vec::new();
    for _ in 0..count {
        encoder.encode_with(&prefix, &payload, &mut wire).expect("the payload is within the limit");
    }
    wire
}

/// [`Decoder::feed`] as a statement, then [`Decoder::next_frame`] until there is none. Returns the frames.
pub(crate) fn feed(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
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
pub(crate) fn cursor(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
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
pub(crate) fn in_place(decoder: &mut Decoder, wire: &[u8], chunk_len: usize) -> usize {
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
pub(crate) fn hand(buffer: &mut Vec<u8>, wire: &[u8], chunk_len: usize, max_payload_len: usize) -> usize {
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
pub(crate) fn frames_of_slice(format: Format, wire: &[u8]) -> usize {
    let mut frames = 0;
    for found in format.frames(wire) {
        let (_, frame) = found.expect("a valid stream");
        black_box(frame.payload());
        frames += 1;
    }
    frames
}

/// What a careful programmer writes by hand for one format where the bytes are all there.
pub(crate) fn hand_slice(mut wire: &[u8], max_payload_len: usize) -> usize {
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
pub(crate) fn hand_encode(payload: &[u8], max_payload_len: usize, out: &mut Vec<u8>) {
    assert!(payload.len() <= max_payload_len, "within the limit");
    out.reserve(4 + payload.len());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(payload);
}

/// tokio-util's codec for u32 little-endian.
pub(crate) fn tokio_codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().little_endian().max_frame_length(black_box(1 << 30)).new_codec()
}

/// tokio-util: the codec's own `decode` on the buffer that its `FramedRead` would read into. Each frame is a `BytesMut`.
pub(crate) fn tokio(codec: &mut LengthDelimitedCodec, buffer: &mut BytesMut, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = codec.decode(buffer).expect("a valid stream") {
            black_box(&frame[..]);
            frames += 1;
        }
    }
    frames
}

/// asynchronous-codec's `LengthCodec` (an 8-byte big-endian header, no limit). Each frame is a `Bytes`.
pub(crate) fn asynchronous(buffer: &mut BytesMut, wire: &[u8], chunk_len: usize) -> usize {
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

/// Owned frames: short payloads are copied, a long frame is lent the buffer it was read into.
///
/// A long frame stands alone in the buffer, as [`Decoder::space`] ends where it ends. So the buffer is frozen as it is, and
/// taken back at the next read if the frame was dropped by then, without clearing it again. No payload is copied more
/// than once, and none keeps more than twice its length alive.
pub(crate) struct Owned {
    decoder: Decoder,
    copied_len: usize,
    lent: Bytes,
}

impl Owned {
    /// Bytes of the longest payload that is copied: up to there an allocation is cheaper than a shared buffer.
    pub(crate) const COPIED_LEN: usize = 4 << 10;

    pub(crate) fn new(format: Format, copied_len: usize) -> Owned {
        Owned { decoder: Decoder::with_read_len(format, CHUNK_LEN), copied_len, lent: Bytes::new() }
    }

    /// Takes all of a stream; copying a chunk into the space stands for the read.
    pub(crate) fn read_all(&mut self, wire: &[u8], chunk_len: usize) -> usize {
        let mut frames = 0;
        for mut chunk in wire.chunks(chunk_len) {
            while !chunk.is_empty() {
                if !self.lent.is_empty()
                    && let Ok(returned) = std::mem::take(&mut self.lent).try_into_mut()
                {
                    self.decoder.swap_buffer(returned.into());
                }
                let space = self.decoder.space();
                let len = space.len().min(chunk.len());
                space[..len].copy_from_slice(&chunk[..len]);
                self.decoder.filled(len);
                chunk = &chunk[len..];
                frames += self.take_frames();
            }
        }
        frames
    }

    fn take_frames(&mut self) -> usize {
        let (mut frames, mut start) = (0, 0);
        loop {
            let buffered = self.decoder.buffered();
            let Some(frame) = self.decoder.next_frame().expect("a valid stream") else { return frames };
            let (payload, header_len, frame_len) = (frame.payload(), frame.header().len(), frame.as_bytes().len());
            if payload.len() <= self.copied_len || buffered > frame_len || start > frame_len {
                let owned = Bytes::copy_from_slice(payload);
                black_box(&owned[..]);
            } else {
                self.lent = Bytes::from(self.decoder.swap_buffer(Vec::new()));
                let owned = self.lent.slice(start + header_len..start + frame_len);
                black_box(&owned[..]);
            }
            start += frame_len;
            frames += 1;
        }
    }
}

/// Owned frames as slices of each read, which is frozen once: two atomic counts a frame, and each keeps its whole read
/// alive. What is cut is copied.
pub(crate) fn slice(decoder: &mut Decoder, block: &mut BytesMut, wire: &[u8], chunk_len: usize) -> usize {
    let mut frames = 0;
    for chunk in wire.chunks(chunk_len) {
        block.clear();
        block.extend_from_slice(chunk);
        let frozen = std::mem::take(block).freeze();
        let within = frozen.as_ptr_range();
        let mut rest = &frozen[..];
        while let Some(frame) = decoder.next_frame_from(&mut rest).expect("a valid stream") {
            let payload = frame.payload();
            let owned = if within.contains(&payload.as_ptr()) {
                frozen.slice_ref(payload)
            } else {
                Bytes::copy_from_slice(payload)
            };
            black_box(&owned[..]);
            frames += 1;
        }
        // The block is read into again, unless a frame of it is still held.
        *block = frozen.try_into_mut().unwrap_or_default();
    }
    frames
}
