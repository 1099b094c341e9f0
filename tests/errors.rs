//! Every error of the library: what it says, what it leaves to its cause to say, and what it is as an I/O error.

use std::error::Error;
use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::time::Duration;

use unstick::framing::{
    DecodeError, Decoder, Diagnosis, EncodeError, Endian, Fault, Format, FormatError, Layout, SpecError,
};
use unstick::load::{
    CompareError, Expectation, MergeError, Plan, PlanError, RunError, Shard, ShardFile, Side, Sizes, Sweep, Verdict,
    merge,
};
use unstick::testing::{self, Failure, Subject, Violation};
use unstick::trace::{Capture, Dissector, TraceError};
use unstick::{CallError, ConnectError, HandshakeError, PushError, ReadError, RecvError, WriteError};

/// What is read here as one byte of length, with a limit of nine.
fn format() -> Format {
    Format::U8.with_max_payload_len(9).expect("a format")
}

fn fault(stream: &[u8]) -> Fault {
    format().frames(stream).find_map(Result::err).expect("a stream that is refused or cut")
}

fn decode_error(stream: &[u8]) -> DecodeError {
    let mut decoder = Decoder::new(format());
    decoder.feed(stream);
    match decoder.next_frame() {
        Ok(_) => decoder.finish().expect_err("a stream that is cut"),
        Err(error) => error,
    }
}

const TRUNCATED: (&[u8], &str) = (b"\x05hi", "at byte 0: the stream ended inside a frame: 3 of 6 bytes missing");
const OVERSIZE: (&[u8], &str) = (b"\x0A", "at byte 0: a payload of 10 bytes is over the limit of 9 (header 0a)");

const ENCODE: (EncodeError, &str) =
    (EncodeError::Oversize { payload_len: 10, max_payload_len: 9 }, "a payload of 10 bytes is over the limit of 9");

fn io_error() -> io::Error {
    io::Error::new(ErrorKind::ConnectionReset, "the cable")
}

/// The error says this of itself, and leaves the rest to its cause.
#[track_caller]
fn check(error: &(impl Error + ?Sized), text: &str, cause: Option<&str>) {
    assert_eq!(error.to_string(), text);
    assert_eq!(error.source().map(ToString::to_string).as_deref(), cause);
    assert!(cause.is_none_or(|cause| !text.contains(cause)), "{text} says what its cause says");
}

/// The same; and as an I/O error it is of this kind, and still there.
#[track_caller]
fn check_io<E>(error: E, kind: ErrorKind, text: &str, cause: Option<&str>)
where
    E: Error + Into<io::Error> + Send + Sync + 'static,
{
    check(&error, text, cause);
    let error: io::Error = error.into();
    assert_eq!(error.kind(), kind, "{text}");
    check(error.get_ref().expect("an error inside"), text, cause);
    check(&error.downcast::<E>().expect("the error itself"), text, cause);
}

/// The same for one that holds an I/O error: it converts into that error.
#[track_caller]
fn check_io_itself<E: Error + Into<io::Error> + Debug + 'static>(error: E, text: &str) {
    check(&error, text, Some("the cable"));
    let error: io::Error = error.into();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::ConnectionReset, "the cable".into()));
    assert!(!error.get_ref().expect("what it was made of").is::<E>());
}

#[test]
fn errors_of_framing_have_no_cause() {
    for ((stream, text), kind) in [(TRUNCATED, ErrorKind::UnexpectedEof), (OVERSIZE, ErrorKind::InvalidData)] {
        check_io(decode_error(stream), kind, text, None);
        check_io(fault(stream), kind, text, None);
    }
    for (error, text) in [
        ENCODE,
        (
            EncodeError::Prefix { prefix_len: 1, offset: 2 },
            "a prefix of 1 bytes where the format has 2 before its length field",
        ),
        (EncodeError::Custom("no"), "no"),
    ] {
        check_io(error, ErrorKind::InvalidInput, text, None);
    }
    let error = Format::new(Layout::fixed(1, Endian::Big), 300).expect_err("too great a limit");
    assert_eq!(error, FormatError::LimitTooGreat { max_payload_len: 300, greatest: 255 });
    check(&error, "a limit of 300 bytes of payload cannot be expressed: the greatest is 255", None);
    let error: SpecError = "width=9".parse::<Layout>().expect_err("no such width");
    check(&error, "width=9: it must be 1 to 8, or varint", None);
}

#[test]
fn errors_of_adapters_have_the_cause_that_they_name() {
    for ((stream, text), kind) in [(TRUNCATED, ErrorKind::UnexpectedEof), (OVERSIZE, ErrorKind::InvalidData)] {
        let error = ReadError::from(decode_error(stream));
        check_io(error, kind, "the stream cannot be read as frames", Some(text));
    }
    check_io_itself(ReadError::from(io_error()), "the reader failed");

    let (encode, text) = ENCODE;
    check_io(WriteError::from(encode), ErrorKind::InvalidInput, "the frame cannot be encoded", Some(text));
    let overflow = WriteError::Overflow { queued: 9, max_queued: 8 };
    check_io(overflow, ErrorKind::QuotaExceeded, "9 bytes are queued, over the limit of 8", None);
    check_io_itself(WriteError::from(io_error()), "the writer failed");
}

#[test]
fn errors_of_a_client_have_the_cause_that_they_name() {
    check_io_itself(ConnectError::Io(io_error()), "cannot connect");
    let late = ConnectError::TimedOut { timeout: Duration::from_secs(3) };
    check_io(late, ErrorKind::TimedOut, "no connection, or no greeting, within 3s", None);
    for (text, shown) in [
        ("", "no greeting: the server closed the connection before it"),
        ("refused: 你好\n", "no greeting: the server closed the connection, and said: refused: 你好\\n"),
    ] {
        check_io(ConnectError::Refused { text: text.into() }, ErrorKind::ConnectionRefused, shown, None);
    }

    let read = "the stream cannot be read as frames";
    for ((stream, _), kind) in [(TRUNCATED, ErrorKind::UnexpectedEof), (OVERSIZE, ErrorKind::InvalidData)] {
        let error = || ReadError::from(decode_error(stream));
        check_io(ConnectError::Greeting(error()), kind, "no greeting", Some(read));
        check_io(CallError::from(error()), kind, "no reply", Some(read));
        check(&RecvError::from(error()), "no frame was received", Some(read));
        let error = io::Error::from(RecvError::from(error()));
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, read));
        assert!(error.downcast::<ReadError>().is_ok());
    }
    let error = RecvError::from(ReadError::from(io_error()));
    check(&error, "no frame was received", Some("the reader failed"));
    assert_eq!(io::Error::from(error).to_string(), "the cable");
    let late = RecvError::TimedOut { timeout: Duration::from_millis(1500) };
    check_io(late, ErrorKind::TimedOut, "no whole frame within 1.5s", None);
    let reset = ErrorKind::ConnectionReset;
    check_io(ConnectError::Greeting(io_error().into()), reset, "no greeting", Some("the reader failed"));
    check_io(CallError::Recv(io_error().into()), reset, "no reply", Some("the reader failed"));
    check_io(CallError::Send(io_error().into()), reset, "the request was not sent", Some("the writer failed"));
    let (unsent, cause) = ("the request was not sent", Some("the frame cannot be encoded"));
    check_io(CallError::from(WriteError::from(ENCODE.0)), ErrorKind::InvalidInput, unsent, cause);
    let overflow = WriteError::Overflow { queued: 9, max_queued: 8 };
    let cause = Some("9 bytes are queued, over the limit of 8");
    check_io(CallError::from(overflow), ErrorKind::QuotaExceeded, unsent, cause);
    let closed = "no reply: the server closed the connection";
    check_io(CallError::Closed, ErrorKind::UnexpectedEof, closed, None);
    let late = CallError::TimedOut { timeout: Duration::from_secs(3) };
    check_io(late, ErrorKind::TimedOut, "no reply within 3s", None);
    for (replies, unsent) in [
        (1, "the request was not sent: 1 reply to an earlier call may still come: reconnect, or `recv` it first"),
        (2, "the request was not sent: 2 replies to earlier calls may still come: reconnect, or `recv` them first"),
    ] {
        check_io(CallError::Outstanding { replies }, ErrorKind::ResourceBusy, unsent, None);
    }
}

#[test]
fn errors_of_a_handshake_have_the_cause_that_they_name() {
    let timeout = Duration::from_secs(3);
    let not_tls = |diagnosis, is_frame| HandshakeError::NotTls { first: b"\x05\0\0\0he".into(), diagnosis, is_frame };
    let first = "the peer does not speak TLS: its first bytes are 05 00 00 00 68 65";
    let crowded = "no TLS handshake within a second, while others wait and 7 are allowed at a time";
    let ended = "the peer ended its stream during the TLS handshake (does it speak TLS?)";
    for (error, kind, text) in [
        (HandshakeError::TimedOut { timeout }, ErrorKind::TimedOut, "no TLS handshake within 3s"),
        (HandshakeError::Crowded { max_handshakes: 7 }, ErrorKind::TimedOut, crowded),
        (HandshakeError::Ended, ErrorKind::UnexpectedEof, ended),
        (not_tls(None, false), ErrorKind::InvalidData, first),
        (not_tls(None, true), ErrorKind::InvalidData, &format!("{first} (looks like a frame without TLS)")),
        (not_tls(Some(Diagnosis::Http), false), ErrorKind::InvalidData, &format!("{first} (looks like HTTP)")),
    ] {
        check_io(error, kind, text, None);
    }
    let tls = || HandshakeError::Tls("the certificate".into());
    check_io(tls(), ErrorKind::InvalidData, "the TLS handshake failed", Some("the certificate"));
    let failed = "the connection failed during the TLS handshake";
    check_io(HandshakeError::Io(io_error()), ErrorKind::ConnectionReset, failed, Some("the cable"));
    let cannot = "cannot connect over TLS";
    check_io(ConnectError::Handshake(tls()), ErrorKind::InvalidData, cannot, Some("the TLS handshake failed"));
}

#[test]
fn errors_of_an_outbox_have_the_cause_that_they_name() {
    for (queued, text) in [
        (4, "the outbox has no room for a payload of 5 bytes: 4 bytes queued, limit 8"),
        (3, "no room for a payload of 5 bytes: the server's memory budget is used up"),
    ] {
        check_io(PushError::Full { payload_len: 5, queued, limit: 8 }, ErrorKind::WouldBlock, text, None);
    }
    check_io(PushError::Closed, ErrorKind::BrokenPipe, "the connection is closed", None);
    let (error, text) = ENCODE;
    check_io(PushError::from(error), ErrorKind::InvalidInput, "the frame cannot be encoded", Some(text));
}

#[test]
fn a_failure_of_the_kit_has_its_violation_for_a_cause() {
    let violation = Violation::Memory { received: 5, held: 100, bound: 50 };
    let text = "after 5 bytes: 100 bytes of memory are held, over the bound of 50";
    check(&violation, text, None);
    let failure: Failure = *testing::try_suite(Format::U8, || YieldsNothing).expect_err("it yields nothing");
    let text = failure.violation.to_string();
    assert!(text.starts_with("after 1 bytes: frame 0 of 0 bytes is whole, but was not yielded"), "{text}");
    let case = format!("a decoder of u8, limit 255, is wrong about 1 bytes [00] in {:?}", failure.case.cuts);
    check(&failure, &case, Some(&text));
}

#[test]
fn errors_of_a_dissector_have_the_numbers() {
    let error = |name: &str| Dissector::new(Format::U8, name).expect_err("no name");
    let text = "the name \"协议\" must begin with a letter from a to z, have a second one or a digit, and no control characters";
    check(&error("协议"), text, None);
    check(&error(&"x".repeat(65)), "a name of 65 characters is too long: 64 at most", None);
    let long = Format::new(Layout::fixed(8, Endian::Big).adjustment(1 << 40), 1 << 40).expect("a format");
    let text = "the shortest payload of this format has 1099511627776 bytes: Wireshark takes 2147483639 at most";
    check(&Dissector::new(long, "xy").expect_err("too long"), text, None);
}

#[cfg(target_os = "linux")]
#[test]
fn errors_of_a_recording_name_what_is_missing() {
    use unstick::trace::live::{LiveError, Scenario};
    let none = "no network namespace of our own: user namespaces are not allowed here, by AppArmor, a container, or \
                user.max_user_namespaces";
    check(&LiveError::Namespace(io_error()), none, Some("the cable"));
    let threads = "no network namespace of our own: the process has other threads already, or the kernel has none";
    let error = LiveError::Namespace(io::Error::new(ErrorKind::InvalidInput, "the cable"));
    check(&error, threads, Some("the cable"));
    let file = "/proc/self/uid_map";
    let text = "no network namespace of our own: /proc/self/uid_map cannot be written";
    check(&LiveError::Owner { file, error: io_error() }, text, Some("the cable"));
    let text = "the loopback interface of the namespace cannot have packets of up to 1500 bytes";
    let error = LiveError::Loopback { what: "packets of up to 1500 bytes", error: io_error() };
    check(&error, text, Some("the cable"));
    let text = "packets cannot be captured, by a socket of the kind AF_PACKET";
    check(&LiveError::Capture(io_error()), text, Some("the cable"));
    let scenario = Scenario::HalfClose;
    let text = "the scenario half-close did not happen as it should";
    check(&LiveError::Scenario { scenario, error: io_error() }, text, Some("the cable"));
    let text = "the capture of the scenario half-close has 2 connections, not 1";
    check(&LiveError::Connections { scenario, count: 2 }, text, None);
}

#[test]
fn errors_of_a_trace_have_the_numbers() {
    let not = Capture::read(b"GET /").expect_err("no capture");
    check(&not, "neither pcap nor pcapng: 5 bytes, which begin with 47 45 54 20", None);
    let none = Capture::default().choose(None, None).expect_err("no connection");
    check(&none, "no TCP segment among 0 IP packets", None);
    let link = TraceError::LinkType { link_type: 147, packets: 4 };
    let text = "none of the 4 packets can be read: they are of link type 147; Ethernet (1), raw IP (101, 228, 229), Linux \
                cooked (113, 276) and loopback (0, 108) can be";
    check(&link, text, None);
    check(
        &TraceError::NoStream { stream: 9, count: 3 },
        "there is no stream 9: the greatest number of a TCP connection here is 2",
        None,
    );
    let no_port = |stream| TraceError::NoPort { port: 80, stream, count: 3 };
    check(&no_port(None), "no TCP connection has an end with the port 80, of 3", None);
    check(&no_port(Some(1)), "stream 1 has no end with the port 80", None);
}

/// A decoder to which every stream is empty.
struct YieldsNothing;

impl Subject for YieldsNothing {
    type Error = DecodeError;

    fn feed(&mut self, _chunk: &[u8]) {}

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        Ok(None)
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[test]
fn errors_of_the_load_say_what_does_not_fit_and_leave_the_system_its_word() {
    for (error, text) in [
        ("uniform:9..3".parse::<Sizes>().map(drop), "payloads \"uniform:9..3\": the least is above the greatest"),
        (
            "p99<5".parse::<Expectation>().map(drop),
            "expectation \"p99<5\": write a time with its unit, as in 5ms, 200us or 1.5s, or baseline*1.1",
        ),
        (
            "rate=5".parse::<Sweep>().map(drop),
            "sweep \"rate=5\": write it as in rate=10k..200k*1.5 or connections=100..1000+100",
        ),
        (
            Plan::fit(Format::U8.layout(), &Sizes::Fixed(256)).map(drop),
            "format u8: a limit of 256 bytes of payload cannot be expressed: the greatest is 255",
        ),
        (Err(PlanError::Zero { what: "connections" }), "a run needs connections"),
        (Err(PlanError::LonelyPush), "a push goes to every other connection: 2 connections are needed"),
        ("4/4".parse::<Shard>().map(drop), "shard \"4/4\": the number is not below how many there are"),
        (
            Err(PlanError::TooManyShards { shards: 4, measured: 3 }),
            "3 connections to be measured are too few for 4 shards: each needs one",
        ),
        (
            Err(PlanError::StartAt { start_at: -1.0 }),
            "a run cannot start at -1: write seconds from 1970 on, as `date +%s` has them",
        ),
    ] {
        check(&error.expect_err("it does not fit"), text, None);
    }
    let plan = PlanError::Zero { what: "connections" };
    check(&RunError::Plan(plan), "the run cannot be carried out", Some("a run needs connections"));
    let not_connected = RunError::NotConnected { asked: 4, error: io_error() };
    check(&not_connected, "not one of 4 connections could be made", Some("the cable"));
    check(&RunError::System(io_error()), "the system does not let the load run", Some("the cable"));
    check(&RunError::Nowhere, "the target has no address", None);
    let refused = RunError::Refused { text: "no room".into() };
    check(&refused, "the server said \"no room\" before anything was sent", None);
    for (error, text) in [
        (CompareError::NoRun { side: Side::Before }, "there is no run before"),
        (
            CompareError::TooMany { side: Side::After, number: 51, most: 50 },
            "51 runs after are too many to compare: 50 at most",
        ),
        (
            CompareError::Unusable { side: Side::After, run: 3, verdict: Verdict::Wrong },
            "run 3 of those after was wrong: its numbers cannot be compared",
        ),
        (
            CompareError::Differ { field: "connections".into(), before: "4".into(), after: "5".into() },
            "the runs cannot be compared: connections is 4 before, and 5 after",
        ),
        (CompareError::Nothing, "the runs cannot be compared: no measure is in each of them"),
    ] {
        check(&error, text, None);
    }
    let unfit = RunError::Unfit { why: "no greeting came".into() };
    check(&unfit, "no connection can be used: no greeting came", None);
    let late = RunError::TooLate { by: Duration::from_millis(1500) };
    check(&late, "ready 1.5s too late for the start", None);
}

/// What is refused of shards whose content is right is in tests/load/shards.rs.
#[test]
fn errors_of_a_merge_name_the_file_and_leave_the_rest_to_their_cause() {
    let unreadable = ShardFile::read("a.json", b"{}").expect_err("no outcome");
    check(&unreadable, "a.json is not the outcome of a load", Some("missing field `origin` at line 1 column 2"));
    check(&merge(&[]).expect_err("no file"), "there is no shard to merge", None);
    let file = || "a.json".to_owned();
    for (error, text, cause) in [
        (MergeError::NotAShard { file: file() }, "a.json is not the outcome of one shard", None),
        (
            MergeError::Version { file: file(), found: "0.0.1".into(), expected: "0.2.0".into() },
            "a.json was written by version 0.0.1, and this is version 0.2.0",
            None,
        ),
        (
            MergeError::Plan { file: file(), error: PlanError::LonelyPush },
            "a.json has a plan that cannot be carried out",
            Some("a push goes to every other connection: 2 connections are needed"),
        ),
        (
            MergeError::Missing { missing: (0..10).collect(), found: 1, of: 20 },
            "1 of 20 shards are there: missing 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …",
            None,
        ),
        (MergeError::TooMuch { file: file() }, "with a.json there are more frames than can be counted", None),
    ] {
        check(&error, text, cause);
    }
}
