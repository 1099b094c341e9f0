//! A served connection in memory, checked against the oracle.

use alloc::vec::Vec;

use futures_lite::future::block_on;

use super::choppy::{ChoppyRead, SharedWrite, Step};
use super::oracle::{End, Expected};
use super::source::Source;
use crate::framing::{DecodeErrorKind, EncodeError, Encoder, Envelope, Format, Frame, Header, Oversize};
use crate::{CloseReason, Greeting, Halves, PeerName, Responder, ServerConfig, serve_connection};

/// Checks one connection whose format, greeting, choppiness and stream are all made from `data`: the handler gets the
/// frames that the oracle sees, their replies come whole and in order after the greeting, and the connection ends for
/// the reason that the stream gives.
///
/// The handler decides by a payload's first byte: 0 gets no reply, 1 an error, 2 two replies, all else one reply.
///
/// # Panics
/// If one of these does not hold.
#[track_caller]
pub fn check_session(data: &[u8]) {
    let mut source = Source::new(data);
    let format = source.format();
    let greeting = greeting(&mut source, &format);
    let steps = [source.u64(), source.u64()];
    let stream = source.rest();
    let config = ServerConfig::default().format(format).greeting(greeting.clone());
    let script = |seed: u64| seed.to_le_bytes().into_iter().map(Step::harmless).cycle().take(4 * stream.len() + 64);
    let written = SharedWrite::new(script(steps[1]));
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let handler = async |frame: Frame<'_>, responder: &mut Responder| {
        seen.push(frame.payload().to_vec());
        answer(frame, responder).await
    };
    let reader = ChoppyRead::new(stream, script(steps[0]));
    let memory = Halves { reader, writer: written.clone() };
    let closed = block_on(serve_connection(PeerName::Other("memory".into()), memory, config, |_| handler));
    let closed = closed.expect("a configuration to serve with");

    let expected = Session::of(&format, &greeting, stream);
    assert_eq!(seen, expected.seen, "the handler gets the frames of the stream");
    assert_eq!(closed.traffic.frames_in, seen.len() as u64, "each is counted");
    assert_eq!(closed.reason.name(), expected.reason, "the end has the reason that the stream gives");
    if let CloseReason::Handler(error) = &closed.reason {
        assert_eq!(error.to_string(), REFUSAL, "a handler's error is told as it said it");
    }
    assert!(written.look().written() == expected.written, "the replies are whole and in order");
    assert_eq!(closed.traffic.bytes_out, expected.written.len() as u64, "what is sent is counted");
}

fn greeting(source: &mut Source<'_>, format: &Format) -> Greeting {
    match source.u8() % 3 {
        0 => Greeting::None,
        1 => Greeting::Raw(b"Hello client! ...".to_vec()),
        _ => {
            let least = usize::try_from(format.layout().min_payload_len()).unwrap_or(0);
            Greeting::Frame(Vec::from_iter((0..least.max(3).min(format.max_payload_len())).map(|at| at as u8)))
        }
    }
}

async fn answer(frame: Frame<'_>, responder: &mut Responder) -> Result<(), Refused> {
    let times = match frame.payload().first() {
        Some(0) => 0,
        Some(1) => return Err(Refused),
        Some(2) => 2,
        _ => 1,
    };
    for _ in 0..times {
        responder.send_with(frame.envelope(), frame.payload()).await.map_err(|_: EncodeError| Refused)?;
    }
    Ok(())
}

const REFUSAL: &str = "the first byte of the payload is 1";

/// The handler's own error.
#[derive(Debug)]
struct Refused;

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(REFUSAL)
    }
}

impl core::error::Error for Refused {}

/// The result of a session, by the oracle.
struct Session {
    seen: Vec<Vec<u8>>,
    written: Vec<u8>,
    reason: &'static str,
}

impl Session {
    fn of(format: &Format, greeting: &Greeting, stream: &[u8]) -> Session {
        let (encoder, mut seen, mut written) = (Encoder::new(*format), Vec::new(), Vec::new());
        match greeting {
            Greeting::Frame(payload) => {
                encoder
                    .encode_with(format.layout().zeros(), payload, &mut written)
                    .expect("a greeting that the format can say");
            }
            Greeting::Raw(bytes) => written.extend_from_slice(bytes),
            Greeting::None => {}
        }
        let expected = Expected::of(format, Oversize::Reject, stream);
        for frame in expected.yielded() {
            let payload = frame.payload(stream);
            seen.push(payload.to_vec());
            let times = match payload.first() {
                Some(0) => 0,
                Some(1) => return Session { seen, written, reason: "handler error" },
                Some(2) => 2,
                _ => 1,
            };
            let (start, end) = (frame.start, frame.end() as usize);
            let (prefix, trailer) = (&stream[start..start + frame.prefix_len], &stream[end - frame.trailer_len..end]);
            for _ in 0..times {
                encoder
                    .encode_with(Envelope { prefix, trailer }, payload, &mut written)
                    .expect("what was decoded encodes");
            }
        }
        let reason = match expected.end {
            End::Clean => "clean",
            End::Truncated { .. } => "truncated",
            End::Refused { kind: DecodeErrorKind::Oversize { .. }, .. } => "oversize",
            End::Refused { .. } => "malformed",
        };
        Session { seen, written, reason }
    }
}
