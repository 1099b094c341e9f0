//! `unstick trace`: a captured TCP connection, or one of our own, as segments and frames.

#[cfg(target_os = "linux")]
mod live;
mod output;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use unstick::trace::{Capture, Direction, Reading, TraceError};

use self::output::{Files, Shown};
use crate::args::FormatArgs;
use crate::exit::{self, Failure};

const EXAMPLES: &str = "\
Examples:
  unstick trace --scenario sticky               what happens, here and now
  unstick trace --scenario all --save all.pcap --json all.json
  tcpdump -i lo -w echo.pcap tcp port 4747      capture, in another terminal
  unstick trace --pcap echo.pcap                its first connection
  unstick trace --pcap echo.pcap --svg echo.svg a picture of it
  unstick trace --pcap echo.pcap --stream 3 --json trace.json
  unstick trace --pcap dns.pcapng --format u16be --port 53
  unstick trace --pcap late.pcap --offset 12,40";

const DETAILS: &str = "\
Shown:
  Each segment with the states of both ends, as seen from the place of the
  capture, and what it carries: 2 whole + head of #7. Bytes that are sent again
  count once. Then each frame with the segments that it came in: stuck if it
  shares one with another frame, split if it came in more than one.

Captures:
  pcap or pcapng; Ethernet, raw IP, Linux cooked or loopback; IPv4 or IPv6. If
  the capture begins inside the connection, --offset has to say where a frame
  begins: the bytes before that are shown without frames.";

/// Show which segments of a TCP connection carried which frames
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\nDetails: unstick trace --help. Formats: unstick --help"))]
#[command(after_long_help = format!("{DETAILS}\n\n{EXAMPLES}\n\n{}", exit::MORE))]
pub(crate) struct Trace {
    /// The capture to read, pcap or pcapng; - for standard input
    #[arg(long, value_name = "FILE")]
    #[cfg_attr(not(target_os = "linux"), arg(required = true))]
    pcap: Option<PathBuf>,

    #[cfg(target_os = "linux")]
    #[command(flatten)]
    live: live::LiveArgs,

    #[command(flatten)]
    format: FormatArgs,

    /// What the server sends first: none, frame, or raw:N (N unframed bytes)
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = parse_greeting)]
    greeting: u64,

    /// The first connection with this port, which is the server's
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// The connection of this number, counted from 0 as in Wireshark
    #[arg(long, value_name = "N")]
    stream: Option<usize>,

    /// Where a frame begins, if the beginning was not captured
    ///
    /// The number of captured bytes before it, in both directions; or two numbers,
    /// to the server and to the client.
    #[arg(long, value_name = "BYTES[,BYTES]", value_parser = parse_offset)]
    offset: Option<Offset>,

    #[command(flatten)]
    files: Files,
}

/// A newtype, as clap would take an array for a list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset([u64; 2]);

fn parse_offset(text: &str) -> Result<Offset, String> {
    let parse =
        |text: &str| text.parse().map_err(|_| "write a number of bytes, as in 12, or two, as in 12,40".to_owned());
    match text.split_once(',') {
        Some((to_server, to_client)) => Ok(Offset([parse(to_server)?, parse(to_client)?])),
        None => parse(text).map(|offset| Offset([offset; 2])),
    }
}

/// The bytes of the greeting that are no frame.
fn parse_greeting(text: &str) -> Result<u64, String> {
    match (text, text.strip_prefix("raw:").map(str::parse)) {
        ("none" | "frame", _) => Ok(0),
        (_, Some(Ok(len))) => Ok(len),
        _ => Err("write none, frame, or raw:N for N bytes without framing".into()),
    }
}

pub(crate) fn run(command: &Trace) -> Result<(), Failure> {
    if let Some(path) = &command.pcap {
        command.files.check(1, None)?;
        return command.files.write(&[read_trace(command, path)?], None);
    }
    #[cfg(target_os = "linux")]
    {
        let save = command.live.save.as_deref();
        command.files.check(command.live.count(), save)?;
        let (shown, capture) = live::record(&command.live)?;
        command.files.write(&shown, save.map(|path| (path, capture.to_pcap())))?;
    }
    Ok(())
}

/// A connection of a capture.
fn read_trace(command: &Trace, path: &Path) -> Result<Shown, Failure> {
    let mut reading = Reading::new(command.format.format()?);
    reading.greeting = command.greeting;
    reading.boundaries = command.offset.map(|Offset(boundaries)| boundaries);
    let (file, name) = read(path)?;
    let capture = Capture::read(&file).map_err(|error| failure(&name, &error))?;
    let connection = capture.choose(command.stream, command.port).map_err(|error| failure(&name, &error))?;
    let trace = capture.trace(&connection, &reading);
    let [to_server, to_client] = Direction::BOTH.map(|direction| trace.flow(direction).len);
    if command.offset.is_some_and(|Offset([server, client])| server > to_server && client > to_client) {
        return Err(Failure::usage(format_args!(
            "--offset: {name}: stream {} has {to_server} bytes to the server and {to_client} to the client",
            connection.stream
        )));
    }
    let count = capture.connections().len();
    if command.stream.is_none() && count > 1 {
        let stream = connection.stream;
        exit::log(format_args!("unstick: stream {stream} of {count} connections; --stream N shows another"));
    }
    let title = format!("Connection {} of {name}", connection.stream);
    Ok(Shown { name: "connection", title, lesson: "", trace })
}

/// The bytes of the capture, and what it is called.
fn read(path: &Path) -> Result<(Vec<u8>, String), Failure> {
    let (mut file, mut name) = (Vec::new(), path.display().to_string());
    let read = if path.as_os_str() == "-" {
        name = "standard input".into();
        io::stdin().lock().read_to_end(&mut file).map(drop)
    } else {
        std::fs::read(path).map(|bytes| file = bytes)
    };
    read.map_err(|error| Failure::input(&name, &error))?;
    Ok((file, name))
}

fn failure(name: &str, error: &TraceError) -> Failure {
    match error {
        TraceError::NoStream { .. } => Failure::usage(format_args!("--stream: {name}: {error}")),
        TraceError::NoPort { .. } => Failure::usage(format_args!("--port: {name}: {error}")),
        _ => Failure::other(format_args!("{name}: {error}")),
    }
}
