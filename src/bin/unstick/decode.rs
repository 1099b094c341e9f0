//! `unstick decode`: a byte stream to a line per frame.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::framing::{DecodeError, DecodeErrorKind, Decoder, Format, Frame, Header, Oversize};
use unstick::{FrameReader, ReadError};

use crate::args::{self, FormatArgs, parse_length};
use crate::exit::{self, Chain, Code, Failure};
use crate::text::{self, push_hex, push_text, put};

/// Bytes of one read, and as many are written at once.
const READ_LEN: usize = 64 * 1024;

/// The longest payload that is skipped, unless told otherwise: 16 MiB. As a length, the first bytes of text, HTTP, SSH and TLS
/// mostly say more, so that another protocol is still told by its hello.
const MAX_SKIP: usize = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  unstick decode capture.bin
  nc -l 4747 | unstick decode --format u16be       what does this client send?
  unstick decode --frame capture.bin               where each frame is, and its header
  unstick decode --hex capture.bin | head -1 | xxd -r -p > first.bin      the bytes of one payload, as they are
  unstick decode --raw capture.bin > payloads.bin                         the bytes of all payloads
  unstick decode --oversize skip capture.bin       without the frames that are too long

With --frame a line is: offset=PLACE IN THE STREAM header=HEX payload_len=BYTES payload=TEXT; a format with an offset has
prefix=HEX field=HEX in place of header=HEX, and one with a trailer has trailer=HEX before the payload.
Where the stream ends inside a frame, the exit code is 4, and the bytes that are missing are counted. Where it is not a stream of
frames, the code is 3, and a guess at what it is instead is printed. The frames before that are printed.
With --oversize skip, frames over --max-payload are left out. A line on standard error at the end counts them and the bytes of
their payloads; they do not change the exit code.";

/// Turn a stream of frames into lines, one for each frame
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}\n\n{}\n\n{}", args::formats_help(), text::HELP, exit::HELP))]
pub(crate) struct Decode {
    /// The file to read; standard input if it is - or not given
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    format: FormatArgs,

    /// Print payloads in hexadecimal
    #[arg(long)]
    hex: bool,

    /// Print where each frame is, its header, the length of its payload, and its payload
    #[arg(long)]
    frame: bool,

    /// Write the payloads as they are, one after another, with nothing between, and nothing escaped
    #[arg(long, conflicts_with_all = ["hex", "frame"])]
    raw: bool,

    /// What to do with a frame over --max-payload: reject ends with exit code 3; skip leaves it out, if its payload is no longer
    /// than 16MiB, or than LENGTH
    #[arg(long, value_name = "reject|skip|skip=LENGTH", default_value = "reject", value_parser = parse_oversize)]
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
            "--oversize skip={max_discard} skips nothing: payloads of up to {} bytes are no oversize; write skip=LENGTH with more",
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
        // Frames are shown before the next read, which may wait, and before an error.
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

/// Shows the frames at hand.
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
