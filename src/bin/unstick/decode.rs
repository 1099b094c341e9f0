//! `unstick decode`: a byte stream to a line per frame.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::framing::{Decoder, Frame};

use crate::args::{self, FormatArgs};
use crate::exit::{self, Failure};
use crate::text::{self, push_hex, push_text, put};

/// Bytes of one read.
const READ_LEN: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  unstick decode capture.bin
  nc -l 4747 | unstick decode --format u16be       what does this client send?
  unstick decode --frame capture.bin               where each frame is, and its header
  unstick decode --hex capture.bin | head -1 | xxd -r -p > first.bin      the bytes of one payload, as they are

With --frame a line is: offset=PLACE IN THE STREAM header=HEX payload_len=BYTES payload=TEXT; a format with an offset has
prefix=HEX field=HEX in place of header=HEX, and one with a trailer has trailer=HEX before the payload.
A stream that ends inside a frame exits with 4 and says how many bytes are missing. One that is not a stream of frames
exits with 3 and says what it looks like. The frames before that are shown.";

/// Turn a byte stream into a line per frame
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n\n{}\n\n{}", args::formats_help(), text::HELP, exit::HELP))]
pub(crate) struct Decode {
    /// Where the stream is; - or nothing is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    format: FormatArgs,

    /// Show payloads in hexadecimal
    #[arg(long)]
    hex: bool,

    /// Show where each frame is, its header, and its payload with its length
    #[arg(long)]
    frame: bool,
}

pub(crate) fn run(command: &Decode) -> Result<(), Failure> {
    let decoder = Decoder::with_read_len(command.format.format()?, READ_LEN);
    match command.file.as_deref() {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Failure::input(&name, &error))?;
            decode(file, &name, decoder, command)
        }
        _ => decode(io::stdin().lock(), "standard input", decoder, command),
    }
}

fn decode(mut input: impl Read, name: &str, mut decoder: Decoder, command: &Decode) -> Result<(), Failure> {
    let mut lines = Vec::with_capacity(2 * READ_LEN);
    let mut offset = 0;
    loop {
        let len = match input.read(decoder.space()) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::input(name, &error)),
        };
        decoder.filled(len);
        let decoded = loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    push_line(frame, offset, command, &mut lines);
                    offset += frame.as_bytes().len() as u64;
                }
                Ok(None) if len == 0 => break decoder.finish().map(|()| false),
                Ok(None) => break Ok(true),
                Err(error) => break Err(error),
            }
            if lines.len() >= READ_LEN {
                write(&mut lines)?;
            }
        };
        // Frames are shown before the next read, which may wait, and before an error.
        write(&mut lines)?;
        if !decoded? {
            return Ok(());
        }
    }
}

fn push_line(frame: Frame<'_>, offset: u64, command: &Decode, lines: &mut Vec<u8>) {
    if command.frame {
        put(lines, format_args!("offset={offset} "));
        if frame.prefix().is_empty() {
            lines.extend_from_slice(b"header=");
        } else {
            lines.extend_from_slice(b"prefix=");
            push_hex(frame.prefix(), lines);
            lines.extend_from_slice(b" field=");
        }
        push_hex(&frame.header()[frame.prefix().len()..], lines);
        put(lines, format_args!(" payload_len={}", frame.payload().len()));
        if !frame.trailer().is_empty() {
            lines.extend_from_slice(b" trailer=");
            push_hex(frame.trailer(), lines);
        }
        lines.extend_from_slice(b" payload=");
    }
    if command.hex {
        push_hex(frame.payload(), lines);
    } else {
        push_text(frame.payload(), lines);
    }
    lines.push(b'\n');
}

fn write(lines: &mut Vec<u8>) -> Result<(), Failure> {
    if !lines.is_empty() {
        let mut out = io::stdout().lock();
        out.write_all(lines).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
        lines.clear();
        lines.shrink_to(2 * READ_LEN);
    }
    Ok(())
}
