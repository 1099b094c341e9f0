//! The frames of a file, borrowed from its bytes: without a decoder and without a copy.
//!
//!     cargo run --example file capture.bin     u32 little-endian; for another format: capture.bin u16be
//!
//! Without arguments it reads three frames of its own.

use std::{env, error::Error, fs};

use unstick::framing::{Encoder, Format, Layout};

fn main() -> Result<(), Box<dyn Error>> {
    let (bytes, format) = match (env::args().nth(1), env::args().nth(2)) {
        (Some(file), None) => (fs::read(file)?, Format::U32_LE),
        (Some(file), Some(layout)) => (fs::read(file)?, Format::with_default_limit(layout.parse::<Layout>()?)?),
        _ => (example()?, Format::U32_LE),
    };
    for found in format.frames(&bytes) {
        let (offset, frame) = found?; // an error if the bytes cannot be decoded, or end inside a frame
        println!("{offset:>8}  {} bytes", frame.payload().len());
    }
    Ok(())
}

/// Three frames.
fn example() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut wire = Vec::new();
    for payload in ["hello", "", "你好"] {
        Encoder::new(Format::U32_LE).encode(payload.as_bytes(), &mut wire)?;
    }
    Ok(wire)
}
