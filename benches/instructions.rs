//! The hot paths alone, for instruction counts, which no noise moves:
//!
//! ```text
//! valgrind --tool=callgrind instructions PATH PAYLOAD_LEN FRAMES
//! ```
//!
//! It takes just as many frames as asked for. What it does beside is the same for any number of frames, so the
//! difference between two runs, divided by the difference of their frames, is the cost of a frame: `cargo xtask bench
//! --instructions` counts that for every path that `--list` names. Without arguments, as
//! under `cargo bench`, every path is run once over a few frames.

mod peers;

use std::hint::black_box;
use std::process::ExitCode;

use peers::CHUNK_LEN;
use unstick::framing::{Decoder, Encoder, Format};

/// A path, and how it is run: payload length, frames.
type Path = (&'static str, fn(usize, usize));

const PATHS: [Path; 10] = [
    ("decode-feed", |len, frames| decode_feed(Format::U32_LE, len, frames)),
    ("decode-feed-varint", |len, frames| decode_feed(Format::VARINT, len, frames)),
    ("decode-in-place", |len, frames| decode_in_place(Format::U32_LE, len, frames)),
    ("decode-cursor", |len, frames| decode_cursor(Format::U32_LE, len, frames)),
    ("decode-hand", decode_hand),
    ("slice", |len, frames| slice(|wire| peers::frames_of_slice(black_box(Format::U32_LE), wire), len, frames)),
    ("slice-hand", |len, frames| slice(|wire| peers::hand_slice(wire, black_box(1 << 20)), len, frames)),
    ("encode", |len, frames| encode(Format::U32_LE, len, frames)),
    ("encode-varint", |len, frames| encode(Format::VARINT, len, frames)),
    ("encode-hand", encode_hand),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| PATHS.iter().find(|(path, _)| *path == name);
    match &args[..] {
        [name, payload_len, frames] => {
            if let (Some((_, run)), Ok(payload_len), Ok(frames)) = (named(name), payload_len.parse(), frames.parse()) {
                run(payload_len, frames);
                return ExitCode::SUCCESS;
            }
        }
        [list] if list == "--list" => {
            PATHS.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
        _ if args.iter().all(|arg| arg == "--bench") => {
            PATHS.iter().for_each(|(_, run)| run(64, 10_000));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    eprintln!("usage: instructions PATH PAYLOAD_LEN FRAMES, where PATH is one of");
    PATHS.iter().for_each(|(name, _)| eprintln!("  {name}"));
    ExitCode::FAILURE
}

/// A chunk of whole frames, and how many they are.
fn chunk(format: Format, payload_len: usize) -> (Vec<u8>, usize) {
    let count = (CHUNK_LEN / (payload_len + 4)).max(1);
    (peers::wire(format, payload_len, count), count)
}

fn decoder(format: Format) -> Decoder {
    Decoder::with_read_len(black_box(format), 2 * CHUNK_LEN)
}

fn decode_feed(format: Format, payload_len: usize, frames: usize) {
    let ((chunk, count), mut decoder) = (chunk(format, payload_len), decoder(format));
    let mut left = frames;
    while left > 0 {
        // The last chunk is cut where the frames asked for end.
        let bytes = chunk.len() / count * count.min(left);
        left -= peers::feed(&mut decoder, &chunk[..bytes], CHUNK_LEN + count * 16);
    }
}

fn decode_cursor(format: Format, payload_len: usize, frames: usize) {
    let ((chunk, count), mut decoder) = (chunk(format, payload_len), decoder(format));
    let mut left = frames;
    while left > 0 {
        let bytes = chunk.len() / count * count.min(left);
        left -= peers::cursor(&mut decoder, &chunk[..bytes], CHUNK_LEN + count * 16);
    }
}

fn decode_in_place(format: Format, payload_len: usize, frames: usize) {
    let ((chunk, count), mut decoder) = (chunk(format, payload_len), decoder(format));
    let mut left = frames;
    while left > 0 {
        let bytes = chunk.len() / count * count.min(left);
        left -= peers::in_place(&mut decoder, &chunk[..bytes], CHUNK_LEN + count * 16);
    }
}

fn slice(take: impl Fn(&[u8]) -> usize, payload_len: usize, frames: usize) {
    let (chunk, count) = chunk(Format::U32_LE, payload_len);
    let mut left = frames;
    while left > 0 {
        left -= take(black_box(&chunk[..chunk.len() / count * count.min(left)]));
    }
}

fn decode_hand(payload_len: usize, frames: usize) {
    let ((chunk, count), mut buffer) = (chunk(Format::U32_LE, payload_len), Vec::new());
    let limit = black_box(1 << 20);
    let mut left = frames;
    while left > 0 {
        let bytes = chunk.len() / count * count.min(left);
        left -= peers::hand(&mut buffer, &chunk[..bytes], CHUNK_LEN + count * 16, limit);
    }
}

fn encode(format: Format, payload_len: usize, frames: usize) {
    let (encoder, payload, mut out) = (Encoder::new(black_box(format)), peers::payload(payload_len), Vec::new());
    for _ in 0..frames {
        if out.len() >= CHUNK_LEN {
            out.clear();
        }
        encoder.encode(black_box(&payload), &mut out).expect("within the limit");
        black_box(&out);
    }
}

fn encode_hand(payload_len: usize, frames: usize) {
    let (limit, payload, mut out) = (black_box(1 << 20), peers::payload(payload_len), Vec::new());
    for _ in 0..frames {
        if out.len() >= CHUNK_LEN {
            out.clear();
        }
        peers::hand_encode(black_box(&payload), limit, &mut out);
        black_box(&out);
    }
}
