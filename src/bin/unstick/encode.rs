//! `unstick encode`: lines to frames.

use std::io::{self, Read, Write};

use clap::Args;
use unstick::FrameWriter;
use unstick::framing::Envelope;

use crate::args::{self, EnvelopeArgs, FormatArgs};
use crate::exit::{self, Failure};
use crate::lines::{self, Lines, Syntax};
use crate::text;

/// So many bytes are written at once, where there is more input at hand.
const WRITE_LEN: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  printf 'hello\\n' | unstick encode | xxd
  printf 'a\\n\\n你好\\n' | unstick encode | unstick decode
  unstick decode capture.bin | unstick encode > again.bin         the same frames
  printf 'ff00\\n' | unstick encode --hex --format u16be | nc -N 127.0.0.1 4747
  xxd -p -c 0 picture.png | unstick encode --hex > frame.bin      a whole file as one frame";

/// Turn lines of standard input into frames on standard output
#[derive(Args, Debug)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", lines::HELP))]
#[command(after_long_help = format!("{}\n\n{EXAMPLES}\n\n{}\n\n{}\n\n{}", lines::HELP, args::formats_help(), text::HELP, exit::HELP))]
pub(crate) struct Encode {
    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    envelope: EnvelopeArgs,

    /// Read each line as a payload in hexadecimal; blanks between bytes are allowed
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
    // What came before a line that makes no frame is still written.
    frames.flush().map_err(|error| Failure::output(&error))?;
    encoded
}

fn encode(
    mut lines: Lines<impl Read>,
    envelope: Envelope<'_>,
    frames: &mut FrameWriter<impl Write>,
) -> Result<(), Failure> {
    while let Some(payload) = lines.next()? {
        frames.enqueue_with(envelope, payload).map_err(|error| exit::unfit(lines.place(), error))?;
        // Where nothing is at hand, the next line may have to be waited for.
        if frames.queued() >= WRITE_LEN || lines.is_dry() {
            frames.flush().map_err(|error| Failure::output(&error))?;
        }
    }
    Ok(())
}
