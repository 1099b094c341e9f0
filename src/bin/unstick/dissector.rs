//! `unstick dissector`: a Wireshark dissector for a format.

use std::io::{self, Write};
use std::num::NonZeroU16;

use clap::Args;
use unstick::trace;

use crate::args::FormatArgs;
use crate::exit::{self, Failure};

const EXAMPLES: &str = "\
Examples:
  unstick dissector --port 4747 > unstick.lua
  tshark -X lua_script:unstick.lua -r capture.pcap
  tshark -X lua_script:unstick.lua -d tcp.port==5000,unstick -r capture.pcap
  unstick dissector --format u16be --name my_dns --port 53 > my_dns.lua";

const DETAILS: &str = "\
In Wireshark:
  Copy the file into the folder of personal Lua plugins, which Help, About,
  Folders names, and press Ctrl+Shift+L. The port is a preference of the
  protocol. Decode As... offers it for any TCP port, and for the inside of TLS.

Fields, for display filters, here of --name unstick:
  unstick.length        the length field
  unstick.prefix        the bytes before it
  unstick.payload       the payload; unstick.payload_len, how long it is
  unstick.text          the payload, if it is text in UTF-8
  unstick.trailer       the bytes after the payload
  unstick.bad           bytes that are not a frame, with the reason: after them
                        no frames are looked for in that direction
  unstick.after         bytes that are not looked at, with the reason
  tcp.pdu.size          the whole frame's length

A connection whose beginning was not captured is not dissected, as nobody knows
where its first frame begins. A preference tries it with the first byte.";

/// Print a Wireshark dissector for a format, in Lua
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nDetails: unstick dissector --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{DETAILS}\n\n{EXAMPLES}\n\n{}", exit::MORE))]
pub(crate) struct Dissector {
    #[command(flatten)]
    format: FormatArgs,

    /// The protocol's name in Wireshark
    ///
    /// It begins with a letter from a to z. In display filters it has only lower-case
    /// letters, digits and underscores. Wireshark must not have it already.
    #[arg(long, value_name = "NAME", default_value = "unstick")]
    name: String,

    /// The TCP port of the server [default: none]
    ///
    /// Streams from and to it are dissected.
    #[arg(long, value_name = "PORT", value_parser = parse_port)]
    port: Option<NonZeroU16>,
}

fn parse_port(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| "write a TCP port, 1 to 65535".into())
}

pub(crate) fn run(command: &Dissector) -> Result<(), Failure> {
    let format = command.format.format()?;
    let dissector = trace::Dissector::new(format, &command.name);
    let mut dissector = dissector.map_err(|error| {
        let flag = if matches!(error, trace::DissectorError::FramesTooLong { .. }) { "--format" } else { "--name" };
        Failure::usage(format_args!("{flag}: {error}"))
    })?;
    if let Some(port) = command.port {
        dissector = dissector.port(port.get());
    }
    let mut out = io::stdout().lock();
    out.write_all(dissector.to_string().as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
