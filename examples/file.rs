//! The frames of a file, borrowed from its bytes: no decoder, nothing copied.
//!
//!     cargo run --example file capture.bin     u32 little-endian, or a format behind the file, as in u16be
//!
//! Without arguments it makes a file and reads that.

use std::{env, error::Error, fs};

use unstick::framing::{Encoder, Format, Layout};

fn main() -> Result<(), Box<dyn Error>> {
    let (bytes, format) = match (env::args().nth(1), env::args().nth(2)) {
        (Some(file), None) => (fs::read(file)?, Format::U32_LE),
        (Some(file), Some(layout)) => (fs::read(file)?, Format::with_default_limit(layout.parse::<Layout>()?)?),
        _ => (example()?, Format::U32_LE),
    };
    for found in format.frames(&bytes) {
        let (offset, frame) = found?; // where the file is no frames from, or ends inside one
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
