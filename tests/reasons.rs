//! What ends a connection says what it was, in one line.

use std::io;
use std::time::Duration;

use unstick::framing::{Decoder, Diagnosis, EncodeError, Format};
use unstick::{CloseKind, CloseReason, HandshakeError, ReadError, ServerConfig, WriteError};

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The error of a TLS transport whose stream ended without `close_notify`.
fn cut_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn no_tls() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no record")
}

/// Its text begins with its name, and its kind has that name.
fn says(reason: &CloseReason, text: &str) {
    assert_eq!(reason.to_string(), text);
    assert_eq!(reason.kind().name(), reason.name());
    assert!(CloseKind::ALL[reason.kind() as usize] == reason.kind());
    assert!(text.starts_with(reason.name()), "{text}");
}

#[test]
fn a_reason_is_of_the_error_that_it_was() {
    let mut decoder = Decoder::new(Format::U8);
    decoder.feed(b"\x02a");
    assert_eq!(decoder.next_frame(), Ok(None));
    let cut = decoder.finish().unwrap_err();
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    for (reason, text) in [
        (CloseReason::Clean, "clean".to_string()),
        (CloseReason::Stopped, "stopped".to_string()),
        (CloseReason::Ended, "ended".to_string()),
        (CloseReason::from(cut.clone()), format!("truncated: {cut}")),
        (CloseReason::from(ReadError::Decode(cut.clone())), format!("truncated: {cut}")),
        (CloseReason::from(reset()), format!("reset: {}", reset())),
        (CloseReason::from(ReadError::Io(reset())), format!("reset: {}", reset())),
        (CloseReason::from(WriteError::Io(reset())), format!("reset: {}", reset())),
        (CloseReason::from(io::Error::other("the disk")), "io error: the disk".to_string()),
        (CloseReason::from(WriteError::Encode(EncodeError::Custom("no"))), "handler error: no".to_string()),
        (
            CloseReason::Handler(WriteError::Encode(EncodeError::Custom("no")).into()),
            "handler error: the frame cannot be encoded: no".to_string(),
        ),
        (CloseReason::Panic("oh".into()), "handler panic: oh".to_string()),
        (CloseReason::from(late()), format!("unreachable: {}", late())),
        (CloseReason::from(cut_off()), format!("truncated: {}", cut_off())),
        (CloseReason::from(ReadError::Io(no_tls())), "tls error: no record".into()),
        (
            CloseReason::Handshake(HandshakeError::Tls("the certificate".into())),
            "handshake: the TLS handshake failed: the certificate".into(),
        ),
    ] {
        says(&reason, &text);
    }
}

#[test]
fn a_reason_names_the_limit_that_was_reached() {
    let timeout = Duration::from_secs(3);
    for (reason, text) in [
        (CloseReason::Refused { max_connections: 7 }, "refused: 7 connections are served already"),
        (CloseReason::Silent { timeout, diagnosis: None }, "silent: no whole frame within 3s"),
        (
            CloseReason::Silent { timeout, diagnosis: Some(Diagnosis::Http) },
            "silent: no whole frame within 3s (looks like HTTP)",
        ),
        (CloseReason::Idle { timeout }, "idle: nothing sent for 3s"),
        (CloseReason::SlowReader { queued: 5, timeout }, "slow reader: nothing read for 3s, with 5 bytes waiting"),
        (CloseReason::Overflow { queued: 9, limit: 8 }, "overflow: the peer reads too slowly: 9 bytes queued, limit 8"),
        (
            CloseReason::from(WriteError::Overflow { queued: 9, max_queued: 8 }),
            "overflow: the peer reads too slowly: 9 bytes queued, limit 8",
        ),
        (
            CloseReason::OverBudget { held: 3, fair_share: 2, memory_budget: 9 },
            "over budget: 3 bytes held, the fair share of 9 is 2",
        ),
    ] {
        says(&reason, text);
    }
}

#[test]
fn times_are_told_to_three_digits() {
    let timeout = Duration::from_secs(3);
    let slow = |timeout| CloseReason::SlowFrame { received: 5, missing: 4, timeout, diagnosis: None };
    for (reason, text) in [
        (slow(timeout), "slow frame: 5 bytes within 3s, and 4 missing"),
        (slow(Duration::from_nanos(10_007_690_429)), "slow frame: 5 bytes within 10s, and 4 missing"),
        (slow(Duration::from_nanos(12_349_999_999)), "slow frame: 5 bytes within 12.3s, and 4 missing"),
        (slow(Duration::from_nanos(999_500_000)), "slow frame: 5 bytes within 1s, and 4 missing"),
        (slow(Duration::from_nanos(200_122_070)), "slow frame: 5 bytes within 200ms, and 4 missing"),
        (slow(Duration::from_nanos(1_234)), "slow frame: 5 bytes within 1.23µs, and 4 missing"),
        (slow(Duration::ZERO), "slow frame: 5 bytes within 0ns, and 4 missing"),
        (
            CloseReason::SlowFrame { received: 5, missing: 4, timeout, diagnosis: Some(Diagnosis::Tls) },
            "slow frame: 5 bytes within 3s, and 4 missing (looks like TLS)",
        ),
    ] {
        says(&reason, text);
    }
}

#[test]
fn a_backlog_is_what_was_asked_for() {
    assert_eq!(ServerConfig::default().backlog(5).backlog, 5);
}
