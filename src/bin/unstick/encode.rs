//! `unstick encode`: lines to frames.

use std::io::{self, Read, Write};

use clap::Args;
use unstick::FrameWriter;
use unstick::framing::Envelope;

use crate::args::{EnvelopeArgs, FormatArgs};
use crate::exit::{self, Failure};
use crate::lines::{self, Lines, Syntax};

/// Bytes that are written at once, if more input has been read.
const WRITE_LEN: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  printf 'hello\\n' | unstick encode | xxd
  printf 'a\\n\\n你好\\n' | unstick encode | unstick decode
  unstick decode capture.bin | unstick encode > again.bin   the same frames
  printf 'ff00\\n' | unstick encode --hex --format u16be | nc -N localhost 4747
  xxd -p -c 0 picture.png | unstick encode --hex            a file as one frame";

/// Turn lines of standard input into frames on standard output
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nDetails: unstick encode --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{}\n\n{EXAMPLES}\n\n{}", lines::HELP, exit::MORE))]
pub(crate) struct Encode {
    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    envelope: EnvelopeArgs,

    /// Read lines in hexadecimal
    ///
    /// Blanks between bytes are allowed.
    #[arg(long)]
    hex: bool,
}

pub(crate) fn run(command: &Encode) -> Result<(), Failure> {
    let format = command.format.format()?;
    let envelope = command.envelope.envelope(format)?;
    let syntax = if command.hex { Syntax::Hex } else { Syntax::Text };
    let lines = Lines::new(io::stdin().lock(), format, syntax);
    let mut frames = FrameWriter::new(io::stdout().lock(), format);
    let encoded = encode(lines, Envelope::from(&envelope), &mut frames);
    // The frames before a bad line are still written.
    frames.flush().map_err(|error| Failure::output(&error))?;
    encoded
}

fn encode(
    mut lines: Lines<impl Read>,
    envelope: Envelope<'_>,
    frames: &mut FrameWriter<impl Write>,
) -> Result<(), Failure> {
    while let Some(payload) = lines.next()? {
        frames.enqueue_with(envelope, payload).map_err(|error| exit::unfit(lines.position(), error))?;
        // If no input is buffered, the next line may have to be waited for.
        if frames.queued() >= WRITE_LEN || lines.is_dry() {
            frames.flush().map_err(|error| Failure::output(&error))?;
        }
    }
    Ok(())
}
