//! How the program ends: exit codes, and errors in one line.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::iter;
use std::process::ExitCode;

use unstick::framing::{DecodeError, DecodeErrorKind, Diagnosis, EncodeError};
use unstick::{CloseReason, ConnectError};

use crate::tls;

/// What `unstick --help` has for all commands.
pub(crate) const MORE: &str = "Formats, how frames are shown, and exit codes: unstick --help";

/// The exit codes as `--help` shows them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    all went well
  1    another failure
  2    wrong flags or values
  3    a frame, or a line of input, is malformed or over the limit
  4    truncated: the stream ended inside a frame, or without TLS's close_notify
  5    reset: the peer broke the connection off
  6    timed out, or the peer's system no longer answers
  7    refused: the server is full; try again later
  8    connect: the server closed the connection before all was sent
       load: bytes were wrong, or frames lost
  9    standard output cannot be written: the disk is full, or, of serve, its
       reader exited (of another command, the code is then 0; of load, 1)
       load: an --expect was missed
  10   load: not measured as asked: a rate was not reached, the load generator
       was late or out of CPU, or connections are missing
  11   load: ready too late for --start-at
  130  Ctrl-C (SIGINT); serve: the second one, after the first it exits with 0
  143  SIGTERM; serve: the second one, after the first it exits with 0";

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Clean,
    Other,
    Usage,
    Malformed,
    Truncated,
    Reset,
    TimedOut,
    Refused,
    Unsent,
    Output,
    /// Of load, as the two that follow: bytes were wrong.
    #[cfg(target_os = "linux")]
    Wrong,
    #[cfg(target_os = "linux")]
    Missed,
    #[cfg(target_os = "linux")]
    NotAsAsked,
    /// Of load: ready too late for the start that it shares with others.
    TooLate,
    /// Ctrl-C at the prompt or during a load, as a shell counts it.
    Interrupted,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(match code {
            Code::Clean => 0,
            Code::Other => 1,
            Code::Usage => 2,
            Code::Malformed => 3,
            Code::Truncated => 4,
            Code::Reset => 5,
            Code::TimedOut => 6,
            Code::Refused => 7,
            Code::Unsent => 8,
            Code::Output => 9,
            // What the same number says of load is another thing.
            #[cfg(target_os = "linux")]
            Code::Wrong => 8,
            #[cfg(target_os = "linux")]
            Code::Missed => 9,
            #[cfg(target_os = "linux")]
            Code::NotAsAsked => 10,
            Code::TooLate => 11,
            Code::Interrupted => 130,
        })
    }
}

/// Writes a whole line to standard error, and ignores a failure.
pub(crate) fn log(line: fmt::Arguments<'_>) {
    _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// An error and its sources, in one line, separated by colons.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        iter::successors(self.0.source(), |&error| error.source()).try_for_each(|error| write!(f, ": {error}"))
    }
}

/// Why the program ends before its work is done, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// `None` if there is nothing to report.
    pub(crate) text: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl fmt::Display) -> Failure {
        Failure { code, text: Some(text.to_string()) }
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Failure {
        Failure::new(Code::Usage, text)
    }

    pub(crate) fn other(text: impl fmt::Display) -> Failure {
        Failure::new(Code::Other, text)
    }

    /// The system refused something.
    pub(crate) fn cannot(what: impl fmt::Display, error: &io::Error) -> Failure {
        Failure::other(format_args!("cannot {what}: {}", Chain(error)))
    }

    /// Standard output failed, for any command but `serve`. A reader that exited has read all it wanted: no failure.
    pub(crate) fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure { code: Code::Clean, text: None },
            _ => Failure::new(Code::Output, format_args!("cannot write to standard output: {}", Chain(error))),
        }
    }

    /// Connecting failed.
    pub(crate) fn from_connect(addr: impl fmt::Display, error: &ConnectError) -> Failure {
        let code = match error {
            ConnectError::TimedOut { .. } => Code::TimedOut,
            ConnectError::Io(error) => of_io(error),
            ConnectError::Refused { .. } => Code::Refused,
            _ => Code::Other,
        };
        Failure::new(code, format_args!("{addr}: {}{}", Chain(error), tls::hint(error)))
    }

    pub(crate) fn input(name: &str, error: &io::Error) -> Failure {
        Failure::cannot(format_args!("read {name}"), error)
    }
}

/// An error of the system, without more context.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::other(Chain(&error))
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Failure {
        Failure::new(of_decode(&error), error)
    }
}

fn of_decode(error: &DecodeError) -> Code {
    match (error.kind(), error.diagnosis()) {
        // Another protocol's hello is not a stream of frames, though its first bytes may look like the start of one.
        (DecodeErrorKind::Truncated { .. }, Some(Diagnosis::Tls | Diagnosis::Http | Diagnosis::Ssh)) => Code::Malformed,
        (DecodeErrorKind::Truncated { .. }, _) => Code::Truncated,
        _ => Code::Malformed,
    }
}

pub(crate) fn of_io(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::TimedOut => Code::TimedOut,
        io::ErrorKind::ConnectionReset => Code::Reset,
        _ => Code::Other,
    }
}

/// The exit code for a connection's end.
pub(crate) fn of_reason(reason: &CloseReason) -> Code {
    match reason {
        CloseReason::Clean => Code::Clean,
        CloseReason::Truncated(error) | CloseReason::Oversize(error) | CloseReason::Malformed(error) => {
            of_decode(error)
        }
        CloseReason::CutOff(_) => Code::Truncated,
        CloseReason::Reset(_) => Code::Reset,
        CloseReason::Unreachable(_) => Code::TimedOut,
        CloseReason::Refused { .. } => Code::Refused,
        _ => Code::Other,
    }
}

/// The refusal of a full server, if `text` is exactly that: it says how many connections the server serves.
pub(crate) fn refusal(text: &[u8]) -> Option<CloseReason> {
    let digits = std::str::from_utf8(text).ok()?.strip_prefix("refused: ")?.split(' ').next()?;
    let reason = CloseReason::Refused { max_connections: digits.parse().ok()? };
    (reason.to_string().as_bytes() == text).then_some(reason)
}

/// A line of input that cannot be encoded: `what` names the line.
pub(crate) fn unfit(what: impl fmt::Display, error: EncodeError) -> Failure {
    match error {
        EncodeError::Oversize { .. } => {
            Failure::new(Code::Malformed, format_args!("{what}: {error}; --max-payload sets it"))
        }
        EncodeError::Prefix { .. } => Failure::usage(format_args!("--prefix: {error}")),
        EncodeError::Trailer { .. } => Failure::usage(format_args!("--trailer: {error}")),
        _ => Failure::new(Code::Malformed, format_args!("{what}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use unstick::ReadError;
    use unstick::framing::{Decoder, Format};

    use super::*;

    fn decode_error(stream: &[u8]) -> DecodeError {
        let mut decoder = Decoder::new(Format::U8.with_max_payload_len(9).unwrap());
        decoder.feed(stream);
        match decoder.next_frame() {
            Ok(_) => decoder.finish().unwrap_err(),
            Err(error) => error,
        }
    }

    #[test]
    fn every_end_of_a_connection_has_its_code() {
        let io = |kind| io::Error::from(kind);
        for (reason, code) in [
            (CloseReason::Clean, Code::Clean),
            (CloseReason::Truncated(decode_error(b"\x05hi")), Code::Truncated),
            (CloseReason::Truncated(decode_error(b"\x05help")), Code::Truncated),
            (CloseReason::Truncated(decode_error(b"\x09a text")), Code::Truncated),
            (CloseReason::Oversize(decode_error(b"\x0A")), Code::Malformed),
            (CloseReason::Malformed(decode_error(b"\x0A")), Code::Malformed),
            (CloseReason::Reset(io(io::ErrorKind::ConnectionReset)), Code::Reset),
            (CloseReason::Io(io(io::ErrorKind::OutOfMemory)), Code::Other),
            (CloseReason::CutOff(io(io::ErrorKind::UnexpectedEof)), Code::Truncated),
            (CloseReason::Tls(io(io::ErrorKind::InvalidData)), Code::Other),
            (CloseReason::Stopped, Code::Other),
        ] {
            assert_eq!(of_reason(&reason), code, "{reason}");
        }
    }

    #[test]
    fn every_way_not_to_connect_has_its_code() {
        let io = |kind: io::ErrorKind| ConnectError::Io(kind.into());
        for (error, code) in [
            (ConnectError::TimedOut { timeout: Duration::from_secs(3) }, Code::TimedOut),
            (io(io::ErrorKind::TimedOut), Code::TimedOut),
            (io(io::ErrorKind::ConnectionReset), Code::Reset),
            (io(io::ErrorKind::ConnectionRefused), Code::Other),
            (ConnectError::Refused { text: "refused: 7".into() }, Code::Refused),
        ] {
            let failure = Failure::from_connect("localhost:1", &error);
            assert_eq!(failure.code, code, "{error}");
            assert_eq!(failure.text, Some(format!("localhost:1: {}", Chain(&error))));
        }
    }

    #[test]
    fn an_error_is_one_line_with_all_its_sources() {
        let read = || ReadError::Decode(decode_error(b"\x05hi"));
        let why =
            "the stream cannot be read as frames: at byte 0: the stream ended inside a frame: 3 of 6 bytes missing";
        assert_eq!(Chain(&read()).to_string(), why);
        assert_eq!(Chain(&ConnectError::Greeting(read())).to_string(), format!("no greeting: {why}"));
        assert_eq!(Chain(&io::Error::from(ConnectError::Greeting(read()))).to_string(), format!("no greeting: {why}"));
        assert_eq!(Chain(&ConnectError::Io(io::Error::other("the cable"))).to_string(), "cannot connect: the cable");
        assert_eq!(Chain(&io::Error::other("the cable")).to_string(), "the cable");
    }

    #[test]
    fn a_line_that_cannot_be_encoded_is_reported_with_what_would_help() {
        for (error, code, text) in [
            (EncodeError::Oversize { payload_len: 9, max_payload_len: 3 }, Code::Malformed, "--max-payload sets it"),
            (
                EncodeError::Undersize { payload_len: 2, least: 3 },
                Code::Malformed,
                "line 7: a payload of 2 bytes is below the format's least of 3",
            ),
            (EncodeError::Prefix { prefix_len: 1, offset: 2 }, Code::Usage, "--prefix: a prefix of 1 bytes"),
            (EncodeError::Trailer { trailer_len: 1, expected: 2 }, Code::Usage, "--trailer: a trailer of 1 bytes"),
        ] {
            let failure = unfit("line 7", error);
            assert_eq!(failure.code, code);
            assert!(failure.text.as_deref().unwrap().contains(text), "{:?}", failure.text);
        }
    }

    #[test]
    fn a_refusal_is_recognised_by_its_whole_text() {
        let refused = CloseReason::Refused { max_connections: 12 };
        assert_eq!(refusal(refused.to_string().as_bytes()).map(|reason| of_reason(&reason)), Some(Code::Refused));
        for other in ["", "refused: ", "refused: 12", "refused: x connections are served already", "hello"] {
            assert!(refusal(other.as_bytes()).is_none(), "{other}");
        }
        assert!(refusal(format!("{refused}!").as_bytes()).is_none());
    }
}
