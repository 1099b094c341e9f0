//! `unstick decode`: a byte stream to a line per frame.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::framing::{DecodeError, DecodeErrorKind, Decoder, Format, Frame, Header, Oversize};
use unstick::{FrameReader, ReadError};

use crate::args::{FormatArgs, parse_length};
use crate::exit::{self, Chain, Code, Failure};
use crate::text::{push_hex, push_text, put};

/// Bytes of one read, and of one write.
const READ_LEN: usize = 64 * 1024;

/// The longest payload that is skipped by default: 16 MiB. Read as a length, the first bytes of text, HTTP, SSH and TLS
/// are mostly more, so that another protocol is still recognised by its hello.
const MAX_SKIP: usize = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  unstick decode capture.bin
  nc -l 4747 | unstick decode --format u16be         what a client sends
  unstick decode --frame capture.bin                 offsets and headers
  unstick decode --raw capture.bin > payloads.bin    the bytes of all payloads
  unstick decode --hex capture.bin | head -1 | xxd -r -p > first.bin
  unstick decode --oversize skip capture.bin         without too long frames";

const DETAILS: &str = "\
A line of --frame:
  offset=OFFSET header=HEX payload_len=BYTES payload=TEXT
  With an offset, prefix=HEX field=HEX instead of header=HEX; with a trailer,
  also trailer=HEX before the payload.

Errors:
  All frames before an error are printed. If the input ends inside a frame, the
  exit code is 4, and the error has the number of missing bytes. If the input is
  not a stream of frames, the exit code is 3, and the error says what the input
  looks like.";

/// Turn a stream of frames into lines, one for each frame
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nDetails: unstick decode --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{DETAILS}\n\n{EXAMPLES}\n\n{}", exit::MORE))]
pub(crate) struct Decode {
    /// The file to read [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    format: FormatArgs,

    /// Print payloads in hexadecimal
    #[arg(long)]
    hex: bool,

    /// Print offset, header and payload
    #[arg(long)]
    frame: bool,

    /// Write payloads as they are
    ///
    /// One after another, with nothing between them and nothing escaped.
    #[arg(long, conflicts_with_all = ["hex", "frame"])]
    raw: bool,

    /// reject, skip, or skip=LENGTH
    ///
    /// What to do with a frame over --max-payload: reject exits with 3; skip leaves
    /// out frames of up to 16MiB, or of up to LENGTH, and at the end reports how
    /// many on standard error.
    #[arg(long, value_name = "WHAT", default_value = "reject", value_parser = parse_oversize)]
    oversize: Oversize,
}

fn parse_oversize(text: &str) -> Result<Oversize, String> {
    let max_skip = match text {
        "reject" => return Ok(Oversize::Reject),
        "skip" => MAX_SKIP,
        _ => parse_length(text.strip_prefix("skip=").ok_or("write reject, skip, or skip=LENGTH as in skip=1GiB")?)?,
    };
    Ok(Oversize::Skip { max_discard: max_skip as u64 })
}

pub(crate) fn run(command: &Decode) -> Result<(), Failure> {
    let format = command.format.format()?;
    if let Oversize::Skip { max_discard } = command.oversize
        && max_discard <= format.max_payload_len() as u64
    {
        return Err(Failure::usage(format_args!(
            "--oversize skip={max_discard} skips nothing: payloads of up to {} bytes are within the limit; write skip=LENGTH with more",
            format.max_payload_len()
        )));
    }
    match command.file.as_deref() {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Failure::input(&name, &error))?;
            decode(file, &name, format, command)
        }
        _ => decode(io::stdin().lock(), "standard input", format, command),
    }
}

fn decode(input: impl Read, name: &str, format: Format, command: &Decode) -> Result<(), Failure> {
    let decoder = Decoder::with_read_len(format, READ_LEN).on_oversize(command.oversize);
    let mut frames = FrameReader::with_decoder(input, decoder);
    let shown = show(&mut frames, name, command);
    let skipped = frames.decoder().skipped();
    if skipped.frames > 0 {
        exit::log(format_args!(
            "unstick: skipped {} frame{} over the limit of {} bytes: {} bytes of payload, the last one at byte {}",
            skipped.frames,
            if skipped.frames == 1 { "" } else { "s" },
            format.max_payload_len(),
            skipped.bytes,
            skipped.last_offset
        ));
    }
    shown
}

fn show(frames: &mut FrameReader<impl Read>, name: &str, command: &Decode) -> Result<(), Failure> {
    let mut out = Vec::with_capacity(2 * READ_LEN);
    loop {
        let shown = show_frames(frames.decoder_mut(), command, &mut out);
        // Frames are printed before the next read, which may block, and before an error.
        write(&mut out)?;
        shown?;
        match frames.fill() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(ReadError::Decode(error)) => return Err(error.into()),
            Err(ReadError::Io(error)) => return Err(Failure::input(name, &error)),
            Err(error) => return Err(Failure::other(Chain(&error))),
        }
    }
}

/// Prints the frames that have been read.
fn show_frames(decoder: &mut Decoder, command: &Decode, out: &mut Vec<u8>) -> Result<(), Failure> {
    while let Some(span) = decoder.next_span().map_err(|error| refused(error, command.oversize))? {
        let frame = decoder.frame(span);
        if command.raw {
            out.extend_from_slice(frame.payload());
        } else {
            push_line(frame, decoder.offset() - frame.as_bytes().len() as u64, command, out);
        }
        if out.len() >= READ_LEN {
            write(out)?;
        }
    }
    Ok(())
}

fn refused(error: DecodeError, oversize: Oversize) -> Failure {
    match (error.kind(), oversize) {
        (DecodeErrorKind::Oversize { .. }, Oversize::Skip { max_discard }) => {
            Failure::new(Code::Malformed, format_args!("{error}, and over the {max_discard} that --oversize skips"))
        }
        _ => error.into(),
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

fn write(out: &mut Vec<u8>) -> Result<(), Failure> {
    if !out.is_empty() {
        let mut stdout = io::stdout().lock();
        stdout.write_all(out).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))?;
        out.clear();
        out.shrink_to(2 * READ_LEN);
    }
    Ok(())
}
