//! What ends a connection or a call says what it was, in one line.

use std::io;
use std::time::Duration;

use unstick::framing::{Decoder, EncodeError, Format};
use unstick::{CallError, CloseReason, ConnectError, ReadError, ServerConfig, WriteError};

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

#[test]
fn a_reason_is_of_the_error_that_it_was() {
    let mut decoder = Decoder::new(Format::U8);
    decoder.feed(b"\x02a");
    assert_eq!(decoder.next_frame(), Ok(None));
    let cut = decoder.finish().unwrap_err();
    for (reason, text) in [
        (CloseReason::Clean, "clean".to_string()),
        (CloseReason::Stopped, "stopped".to_string()),
        (CloseReason::from(cut.clone()), format!("truncated: {cut}")),
        (CloseReason::from(ReadError::Decode(cut.clone())), format!("truncated: {cut}")),
        (CloseReason::from(reset()), format!("reset: {}", reset())),
        (CloseReason::from(ReadError::Io(reset())), format!("reset: {}", reset())),
        (CloseReason::from(WriteError::Io(reset())), format!("reset: {}", reset())),
        (CloseReason::from(io::Error::other("the disk")), "io error: the disk".to_string()),
        (CloseReason::from(WriteError::Encode(EncodeError::Custom("no"))), "handler error: no".to_string()),
        (CloseReason::Panic("oh".into()), "handler panic: oh".to_string()),
    ] {
        assert_eq!(reason.to_string(), text);
        assert_eq!(CloseReason::NAMES[reason.index()], reason.name());
        assert!(text.starts_with(reason.name()), "{text}");
    }
}

#[test]
fn a_connection_or_a_call_that_failed_says_why() {
    let no = || WriteError::Encode(EncodeError::Custom("no"));
    let deadline = Duration::from_secs(3);
    for (error, text) in [
        (ConnectError::Io(reset()), format!("cannot connect: {}", reset())),
        (ConnectError::TimedOut { deadline }, "not connected and greeted within 3s".into()),
        (ConnectError::Greeting(ReadError::Io(reset())), format!("no greeting: {}", reset())),
        (ConnectError::NoGreeting, "no greeting: the server closed the connection before it".into()),
    ] {
        assert_eq!(error.to_string(), text);
    }
    for (error, text) in [
        (CallError::from(no()), "the request was not sent: no".to_string()),
        (CallError::from(ReadError::Io(reset())), format!("no reply: {}", reset())),
        (CallError::Closed, "no reply: the server closed the connection".into()),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_backlog_is_what_was_asked_for() {
    assert_eq!(ServerConfig::default().backlog(5).backlog, 5);
}
