//! The generator against servers that do wrong, each in one way, on the first of two connections: it must say so, and the
//! other connection must not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use unstick::framing::{DecodeErrorKind, Format};

use super::fault::Fault;
use super::generator::{self, ConnectionFault, Greeting, Outcome, Plan, RunError, Wish};
use super::pattern::Pattern;

/// Frames of each connection.
const FRAMES: u64 = 200;
/// The reply that is mangled.
const AT: u64 = 100;
const PAYLOAD_LEN: usize = 61;

/// What a server does.
#[derive(Clone, Debug)]
enum Act {
    Frame(Vec<u8>),
    Bytes(Vec<u8>),
    /// Ends the stream (FIN) and reads on to the peer's end.
    End,
    /// Breaks the connection off (RST).
    Reset,
}

/// Says what to do for a frame, or for the end of the stream.
type Conduct = dyn FnMut(Option<(u64, &[u8])>) -> Vec<Act>;

/// A server that does, for each frame (its number and payload) and for the end of the stream (`None`), what `first` says
/// on its first connection; on the others it echoes.
fn server(mut first: impl FnMut(Option<(u64, &[u8])>) -> Vec<Act> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        thread::spawn(move || converse(stream, &mut first));
        for stream in listener.incoming() {
            thread::spawn(move || converse(stream.unwrap(), &mut echo));
        }
    });
    addr
}

fn echo(frame: Option<(u64, &[u8])>) -> Vec<Act> {
    frame.map(|(_, payload)| Act::Frame(payload.to_vec())).into_iter().collect()
}

fn converse(mut stream: TcpStream, act: &mut Conduct) {
    for number in 0.. {
        let payload = read_frame(&mut stream);
        for act in act(payload.as_deref().map(|payload| (number, payload))) {
            let mut bytes = Vec::new();
            match act {
                Act::Frame(payload) => {
                    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
                    bytes.extend_from_slice(&payload);
                }
                Act::Bytes(raw) => bytes = raw,
                Act::End => {
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    _ = std::io::copy(&mut stream, &mut std::io::sink());
                    return;
                }
                Act::Reset => return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
            }
            // The load hangs up at the first fault.
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
        if payload.is_none() {
            return;
        }
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; u32::from_le_bytes(header) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some(payload)
}

fn plan(addr: SocketAddr) -> Plan {
    Plan {
        addr: addr.into(),
        connections: 2,
        in_flight: 8,
        payload_len: PAYLOAD_LEN,
        duration: Duration::from_secs(60),
        frames: Some(2 * FRAMES),
        drain: Duration::from_secs(60),
        format: Format::U32_LE,
        greeting: Greeting::None,
    }
}

fn run(plan: &Plan) -> Outcome {
    generator::run(plan, &mut |_| Wish::GoOn).unwrap()
}

/// The one fault of a server that does `first`, checked to be at reply `AT` of connection 0.
#[track_caller]
fn fault_of(first: impl FnMut(Option<(u64, &[u8])>) -> Vec<Act> + Send + 'static) -> Fault {
    let outcome = run(&plan(server(first)));
    assert_eq!((outcome.answered, outcome.silent), (AT + FRAMES, 0), "{:?}", outcome.faults);
    one_fault(outcome.faults, AT)
}

#[track_caller]
fn one_fault(mut faults: Vec<ConnectionFault>, at: u64) -> Fault {
    assert_eq!(faults.len(), 1, "{faults:?}");
    let ConnectionFault { connection, reply, fault } = faults.remove(0);
    assert_eq!((connection, reply), (0, at), "{fault:?}");
    fault
}

/// A server that answers the frame `AT` by `acts` of its payload, and echoes the others.
fn mangling(acts: impl Fn(Vec<u8>) -> Vec<Act>) -> impl FnMut(Option<(u64, &[u8])>) -> Vec<Act> {
    move |frame| match frame {
        Some((AT, payload)) => acts(payload.to_vec()),
        frame => echo(frame),
    }
}

#[test]
fn a_right_server_has_no_fault() {
    let outcome = run(&plan(server(echo)));
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    assert_eq!((outcome.begun, outcome.answered, outcome.silent), (2 * FRAMES, 2 * FRAMES, 0));
    assert_eq!(outcome.round_trips.len(), 2 * FRAMES);
    assert!(outcome.longest > 0 && !outcome.interrupted);
}

#[test]
fn an_altered_byte_shows_wherever_it_is() {
    for at in 0..PAYLOAD_LEN {
        let fault = fault_of(mangling(move |mut payload| {
            payload[at] ^= 0x01;
            vec![Act::Frame(payload)]
        }));
        let Fault::Altered(difference) = fault else { panic!("byte {at}: {fault:?}") };
        assert_eq!((difference.position, difference.sent ^ difference.came), (at, 1));
    }
}

#[test]
fn swapped_frames_show() {
    let mut held = Vec::new();
    let fault = fault_of(move |frame| match frame {
        Some((AT, payload)) => {
            held = payload.to_vec();
            vec![]
        }
        Some((101, payload)) => vec![Act::Frame(payload.to_vec()), Act::Frame(held.clone())],
        frame => echo(frame),
    });
    assert!(matches!(fault, Fault::Early { sequence: 101 }), "{fault:?}");
}

#[test]
fn a_lost_frame_shows() {
    let fault = fault_of(mangling(|_| vec![]));
    assert!(matches!(fault, Fault::Early { sequence: 101 }), "{fault:?}");
}

#[test]
fn a_repeated_frame_shows() {
    let mut before = Vec::new();
    let fault = fault_of(move |frame| match frame {
        Some((AT, payload)) => vec![Act::Frame(before.clone()), Act::Frame(payload.to_vec())],
        frame => {
            before = frame.map_or(Vec::new(), |(_, payload)| payload.to_vec());
            echo(frame)
        }
    });
    assert!(matches!(fault, Fault::Repeated { sequence: 99 }), "{fault:?}");
}

#[test]
fn another_connections_frame_shows() {
    let fault = fault_of(mangling(|_| {
        let mut payload = Vec::new();
        Pattern::new(1, 57).append(0, PAYLOAD_LEN, &mut payload);
        vec![Act::Frame(payload)]
    }));
    assert!(matches!(fault, Fault::Foreign { connection: 1, sequence: 57 }), "{fault:?}");
}

#[test]
fn a_frame_of_another_length_shows() {
    for came in [0, PAYLOAD_LEN - 1, PAYLOAD_LEN + 1] {
        let fault = fault_of(mangling(move |mut payload| {
            payload.resize(came, 0);
            vec![Act::Frame(payload)]
        }));
        assert!(matches!(fault, Fault::Length { sent: PAYLOAD_LEN, came: len } if len == came), "{fault:?}");
    }
}

#[test]
fn a_byte_too_many_or_too_few_on_the_wire_shows() {
    for wrong in [&b"\x3D\0\0\0"[..], b"\x3D\0\0\0 ", b"\0"] {
        let outcome = run(&plan(server(mangling(|payload| vec![Act::Bytes(wrong.to_vec()), Act::Frame(payload)]))));
        assert_eq!(outcome.faults.len(), 1, "{wrong:?}: {:?}", outcome.faults);
        assert_eq!((outcome.faults[0].connection, outcome.faults[0].reply), (0, AT), "{wrong:?}");
    }
}

#[test]
fn an_end_in_the_middle_of_a_frame_shows() {
    let fault = fault_of(mangling(|_| vec![Act::Bytes(vec![PAYLOAD_LEN as u8, 0, 0, 0]), Act::End]));
    let Fault::Malformed(error) = fault else { panic!("{fault:?}") };
    assert!(matches!(error.kind(), DecodeErrorKind::Truncated { have: 4, need: 65, .. }), "{error}");
}

#[test]
fn an_end_before_ours_shows() {
    let fault = fault_of(mangling(|payload| vec![Act::Frame(payload), Act::End].split_off(1)));
    assert!(matches!(fault, Fault::EndedEarly { in_flight: 1..=8 }), "{fault:?}");
}

#[test]
fn a_connection_that_dies_shows() {
    // A reset may overtake replies, so the place is not known.
    let outcome = run(&plan(server(mangling(|_| vec![Act::Reset]))));
    let ConnectionFault { connection, reply, fault } = &outcome.faults[0];
    assert!(outcome.faults.len() == 1 && *connection == 0 && *reply <= AT, "{:?}", outcome.faults);
    assert!(matches!(fault, Fault::Died(error) if error.kind() == ErrorKind::ConnectionReset), "{fault:?}");
}

#[test]
fn another_protocol_shows() {
    let fault = fault_of(mangling(|_| vec![Act::Bytes(b"HTTP/1.1 400 Bad Request\r\n".to_vec())]));
    assert!(matches!(fault, Fault::Malformed(_)), "{fault:?}");
}

#[test]
fn a_reply_nobody_asked_for_shows_even_at_the_very_end() {
    let extra = || vec![Act::Frame(vec![0; PAYLOAD_LEN])];
    let outcome = run(&plan(server(move |frame| if frame.is_none() { extra() } else { echo(frame) })));
    assert!(matches!(one_fault(outcome.faults, FRAMES), Fault::Extra));
}

#[test]
fn a_server_that_does_not_answer_shows_with_what_is_missing() {
    let (duration, drain) = (Duration::from_millis(300), Duration::from_secs(1));
    let quick = |addr, frames| Plan { duration, drain, frames: Some(2 * frames), ..plan(addr) };
    let outcome = run(&quick(server(|_| vec![]), FRAMES));
    assert_eq!((outcome.silent, outcome.begun), (1, outcome.answered + 8));
    assert!(matches!(one_fault(outcome.faults, 0), Fault::Unanswered { in_flight: 8 }));
    // The very last reply only.
    let outcome = run(&quick(server(|frame| if let Some((8, _)) = frame { vec![] } else { echo(frame) }), 9));
    assert!(matches!(one_fault(outcome.faults, 8), Fault::Unanswered { in_flight: 1 }));
}

#[test]
fn a_server_that_never_ends_its_stream_shows() {
    let hang = || loop {
        thread::park();
    };
    let addr = server(move |frame| if frame.is_none() { hang() } else { echo(frame) });
    let (duration, drain) = (Duration::from_millis(300), Duration::from_secs(1));
    let outcome = run(&Plan { duration, drain, frames: Some(16), ..plan(addr) });
    assert!(matches!(one_fault(outcome.faults, 8), Fault::NoEnd));
}

#[test]
fn greetings_are_passed_over() {
    for greeting in [Greeting::Frame, Greeting::Raw(300_000)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let frame = b"\x05\0\0\0hello".to_vec();
                let bytes = if greeting == Greeting::Frame { frame } else { vec![b'x'; 300_000] };
                thread::spawn(move || {
                    stream.write_all(&bytes).unwrap();
                    converse(stream, &mut echo);
                });
            }
        });
        let outcome = run(&Plan { greeting, ..plan(addr) });
        assert_eq!((outcome.answered, outcome.faults.len()), (2 * FRAMES, 0), "{:?}", outcome.faults);
    }
}

#[test]
fn any_length_of_payload_comes_back() {
    // Around a word, a piece, a read; and no payload at all.
    for payload_len in [0, 1, 7, 8, 9, 4096, (128 << 10) - 4, 128 << 10, (128 << 10) + 1, 1 << 20] {
        let outcome = run(&Plan { payload_len, in_flight: 3, frames: Some(20), ..plan(server(echo)) });
        assert_eq!((outcome.answered, outcome.faults.len()), (20, 0), "{payload_len}: {:?}", outcome.faults);
    }
}

#[test]
fn an_altered_byte_shows_in_the_middle_of_a_large_payload() {
    let payload_len = 1 << 20;
    let addr = server(|frame| {
        let mut payload = frame.map_or(Vec::new(), |(_, payload)| payload.to_vec());
        payload.iter_mut().skip(777_777).take(1).for_each(|byte| *byte ^= 0x80);
        vec![Act::Frame(payload)]
    });
    let outcome = run(&Plan { payload_len, frames: Some(2), ..plan(addr) });
    let fault = one_fault(outcome.faults, 0);
    assert!(matches!(fault, Fault::Altered(difference) if difference.position == 777_777), "{fault:?}");
}

#[test]
fn a_stop_awaits_what_is_in_flight_and_an_abort_does_not() {
    let endless = |addr| Plan { frames: None, ..plan(addr) };
    let outcome = generator::run(&endless(server(echo)), &mut |_| Wish::Stop).unwrap();
    assert!(outcome.interrupted && outcome.faults.is_empty(), "{:?}", outcome.faults);
    assert_eq!(outcome.begun, outcome.answered);

    let outcome = generator::run(&endless(server(|_| vec![])), &mut |_| Wish::Abort).unwrap();
    assert!(outcome.interrupted && outcome.faults.is_empty(), "{:?}", outcome.faults);
    assert!(outcome.begun >= outcome.answered + 8);
}

#[test]
fn a_connect_that_fails_says_how_many_were_made() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = generator::run(&plan(free), &mut |_| Wish::GoOn).expect_err("nobody listens");
    assert!(matches!(error, RunError::Connect { made: 0, asked: 2, .. }), "{error}");
    assert!(error.to_string().contains("connected 0 times") && error.to_string().contains("refused"), "{error}");
}
