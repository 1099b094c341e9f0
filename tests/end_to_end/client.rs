//! The client: how it connects, calls and finishes.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use unstick::framing::{DecodeErrorKind, EncodeError, Envelope, Format, Frame, Head, Header, Parsed, Phase};
use unstick::{
    CallError, Client, ClientConfig, CloseReason, ConnectError, ExpectedGreeting, Greeting, ReadError, Responder,
    ServerConfig, TUTORIAL_GREETING, WriteError,
};

use crate::common::*;
use crate::greeted;

/// A server of one connection that does what it is told.
pub(crate) fn by_hand(
    serve: impl FnOnce(TcpStream) + Send + 'static,
) -> (std::net::SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("accepted");
        socket.set_read_timeout(Some(DEADLINE)).expect("an option");
        serve(socket);
    });
    (addr, thread)
}

#[test]
fn a_server_that_never_greets_is_given_up() {
    let timeout = Duration::from_millis(50);
    // The server sees the end of the stream: the attempt leaves nothing open.
    let (addr, server) = by_hand(|mut socket| assert_eq!(read_to_end(&mut socket), b""));
    let error = in_time(Client::connect(addr, greeted().connect_timeout(timeout))).expect_err("late");
    assert!(matches!(error, ConnectError::TimedOut { timeout: told } if told == timeout), "{error}");
    server.join().expect("the end");
}

#[test]
fn a_greeting_that_does_not_come_whole_is_no_greeting() {
    let (addr, server) = by_hand(|mut socket| write(&mut socket, b"\x17\0\0\0Hello"));
    let error = in_time(Client::connect(addr, greeted())).expect_err("half a greeting");
    let ConnectError::Greeting(ReadError::Decode(error)) = error else { panic!("{error}") };
    let truncated = DecodeErrorKind::Truncated { phase: Phase::Payload, have: 9, need: 27 };
    assert_eq!(error.kind(), truncated);
    server.join().expect("the end");

    let (addr, server) = by_hand(|mut socket| write(&mut socket, b"Hello"));
    let config = ClientConfig::default().greeting(ExpectedGreeting::Raw(TUTORIAL_GREETING.len()));
    let error = in_time(Client::connect(addr, config)).expect_err("half a greeting");
    // Without framing nothing tells a part from the whole of another text.
    assert!(matches!(&error, ConnectError::Refused { text } if text == "Hello"), "{error}");
    server.join().expect("the end");
}

#[test]
fn a_stream_that_ends_before_the_greeting_is_a_refusal() {
    for awaited in [ExpectedGreeting::Frame, ExpectedGreeting::Raw(1)] {
        let (addr, server) = by_hand(drop);
        let error = in_time(Client::connect(addr, ClientConfig::default().greeting(awaited))).expect_err("no greeting");
        assert!(matches!(&error, ConnectError::Refused { text } if text.is_empty()), "{error}");
        server.join().expect("the end");
    }
}

/// A server of ours that is full, and what its client knows of it.
#[test]
fn a_full_server_refuses_in_the_way_that_it_is_configured_to() {
    let text = "refused: 1 connections are served already";
    let (frame, raw) = (Greeting::Frame(text.into()), Greeting::Raw(text.into()));
    for (greeting, refusal, awaited, told) in [
        (Greeting::Frame(b"hello".to_vec()), frame.clone(), ExpectedGreeting::Frame, text),
        (Greeting::Frame(b"hello".to_vec()), Greeting::None, ExpectedGreeting::Frame, ""),
        (Greeting::Raw(TUTORIAL_GREETING.into()), raw.clone(), ExpectedGreeting::Raw(TUTORIAL_GREETING.len()), text),
        (Greeting::Raw(vec![b'x'; 500]), raw, ExpectedGreeting::Raw(500), text),
        (Greeting::Raw(b"hello".to_vec()), Greeting::None, ExpectedGreeting::Raw(5), ""),
    ] {
        let config = ServerConfig::default().greeting(greeting).refusal(refusal).max_connections(Some(1));
        let server = start(config, |_| echo);
        in_time(async {
            let config = ClientConfig::default().greeting(awaited);
            let mut first = Client::connect(server.addr, config).await.expect("it is served");
            for _ in 0..5 {
                let error = Client::connect(server.addr, config).await.expect_err("it is full");
                assert!(matches!(&error, ConnectError::Refused { text } if text == told), "{error}");
            }
            assert_eq!(first.call(b"still served").await.expect("a reply").payload(), b"still served");
        });
    }
    // Where no greeting is expected, connecting succeeds, and receiving tells.
    for (refusal, told) in [(frame, Some(text.as_bytes())), (Greeting::None, None)] {
        let config = ServerConfig::default().refusal(refusal).max_connections(Some(1));
        let server = start(config, |_| echo);
        in_time(async {
            let mut first = Client::connect(server.addr, ClientConfig::default()).await.expect("it is served");
            assert_eq!(first.call(b"hello").await.expect("a reply").payload(), b"hello");
            let mut second = Client::connect(server.addr, ClientConfig::default()).await.expect("connected");
            if let Some(told) = told {
                assert_eq!(second.recv().await.expect("a frame").expect("a frame").payload(), told);
            }
            assert!(second.recv().await.expect("the end").is_none());
        });
    }
}

/// A text is a refusal only if the stream ends after it; a text that does not begin like one is a greeting, whether the
/// stream ends or not.
#[test]
fn a_greeting_like_a_refusal_is_none_where_the_stream_goes_on() {
    for (greeting, behind, refused) in [
        (&b"refused: it is full"[..], &b""[..], true),
        (b"refused: none so far", b"hello", false),
        (b"hello", b"", false),
    ] {
        let (addr, server) = by_hand(move |mut socket| {
            // In pieces: how the greeting is cut does not matter.
            let wire = frame(greeting);
            let (begin, end) = wire.split_at(7);
            write(&mut socket, begin);
            write(&mut socket, end);
            if !behind.is_empty() {
                write(&mut socket, &frame(behind));
            }
        });
        in_time(async {
            let connected = Client::connect(addr, greeted()).await;
            if refused {
                let error = connected.expect_err("a refusal");
                assert!(matches!(&error, ConnectError::Refused { text } if text.as_bytes() == greeting), "{error}");
                return;
            }
            let mut client = connected.expect("a greeting");
            assert_eq!(client.greeting(), greeting);
            if !behind.is_empty() {
                assert_eq!(client.recv().await.expect("a frame").expect("what came is kept").payload(), behind);
            }
            assert!(client.recv().await.expect("the end").is_none());
            assert_eq!(client.traffic().bytes_in as usize, 4 + greeting.len() + if behind.is_empty() { 0 } else { 9 });
        });
        server.join().expect("the end");
    }
}

#[test]
fn without_a_listener_the_connection_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    drop(listener);
    let error = in_time(Client::connect(addr, ClientConfig::default())).expect_err("refused");
    assert!(matches!(error, ConnectError::Io(_)), "{error}");
}

#[test]
fn finish_is_clean_also_after_close_and_the_end() {
    let server = start(ServerConfig::default(), |_| echo);
    in_time(async {
        let mut client = Client::connect(server.addr, ClientConfig::default()).await.expect("connected");
        client.send(b"last").await.expect("sent");
        client.close().await.expect("closed");
        assert_eq!(client.recv().await.expect("a frame").expect("a frame").payload(), b"last");
        assert!(client.recv().await.expect("the end").is_none());
        let closed = client.finish().await;
        assert!(matches!(closed.reason, CloseReason::Clean), "{closed}");
        assert_eq!((closed.traffic.frames_in, closed.traffic.frames_out), (1, 1));
        assert_eq!((closed.traffic.bytes_in, closed.traffic.bytes_out), (8, 8));
    });
}

#[test]
fn finish_tells_how_the_server_ended() {
    let (addr, server) = by_hand(|mut socket| {
        assert_eq!(read_frame(&mut socket), b"hello");
        write(&mut socket, &[&frame(b"whole")[..], b"\x05\0\0\0to"].concat());
    });
    let closed = in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        client.send(b"hello").await.expect("sent");
        client.finish().await
    });
    let CloseReason::Truncated(error) = &closed.reason else { panic!("{closed}") };
    assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase: Phase::Payload, have: 6, need: 9 });
    assert_eq!(closed.traffic.frames_in, 1);
    server.join().expect("the end");

    let (addr, server) = by_hand(|mut socket| {
        assert_eq!(read_frame(&mut socket), b"hello");
        reset(socket);
    });
    let closed = in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        client.send(b"hello").await.expect("sent");
        smol::unblock(move || server.join().expect("the end")).await;
        client.finish().await
    });
    assert!(matches!(closed.reason, CloseReason::Reset(_)), "{closed}");
}

#[test]
fn a_reply_that_is_no_frame_fails_the_call() {
    let (addr, server) = by_hand(|mut socket| {
        assert_eq!(read_frame(&mut socket), b"hello");
        write(&mut socket, b"\xFF\xFF\xFF\xFF");
    });
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        let error = client.call(b"hello").await.expect_err("no frame");
        assert!(matches!(error, CallError::Recv(ReadError::Decode(_))), "{error}");
    });
    server.join().expect("the end");
}

#[test]
fn what_cannot_be_encoded_is_not_sent_and_the_connection_goes_on() {
    let server = start(ServerConfig::default(), |_| echo);
    in_time(async {
        let config = ClientConfig::default();
        let format = config.format.with_max_payload_len(3).expect("a format");
        let mut client = Client::connect(server.addr, config.format(format)).await.expect("connected");
        let error = client.call(b"four").await.expect_err("over the limit");
        assert!(matches!(error, CallError::Send(WriteError::Encode(_))), "{error}");
        let error = client.enqueue(b"four").expect_err("over the limit");
        assert!(matches!(error, WriteError::Encode(_)), "{error}");
        assert_eq!(client.call(b"two").await.expect("a reply").payload(), b"two");
        assert_eq!(client.finish().await.traffic.frames_out, 1);
    });
}

#[test]
fn a_call_without_a_reply_says_so() {
    let (addr, server) = by_hand(|mut socket| assert_eq!(read_frame(&mut socket), b"hello"));
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        let error = client.call(b"hello").await.expect_err("no reply");
        assert!(matches!(error, CallError::Closed), "{error}");
    });
    server.join().expect("the end");
}

#[test]
fn an_envelope_is_sent_with_its_payload() {
    let layout = "offset=2,width=4,endian=be,trailer=4".parse().expect("a layout");
    let format = Format::with_default_limit(layout).expect("a format");
    let server = start(ServerConfig::default().format(format), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| responder.send_with(frame.envelope(), frame.payload()).await
    });
    in_time(async {
        let config = ClientConfig::default().format(format);
        let mut client = Client::connect(server.addr, config).await.expect("connected");
        let error = client.send(b"hello").await.expect_err("a prefix is needed");
        assert!(matches!(error, WriteError::Encode(EncodeError::Prefix { prefix_len: 0, offset: 2 })), "{error}");
        for len in [5, 0, 100_000] {
            let (envelope, payload) = (Envelope { prefix: b"ab", trailer: b"wxyz" }, vec![7; len]);
            client.send_with(envelope, &payload).await.expect("sent");
            let frame = client.recv().await.expect("a frame").expect("a frame");
            assert_eq!((frame.envelope(), frame.payload()), (envelope, &payload[..]));
        }
    });
}

/// A header of one's own, which cannot be cloned: a magic byte, and a byte of length.
struct Magic;

impl Header for Magic {
    type Check = ();

    fn max_header_len(&self) -> usize {
        2
    }

    fn max_payload_len(&self) -> usize {
        255
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed, DecodeErrorKind> {
        match *bytes {
            [] => Ok(Parsed::Need(2)),
            [0xA5] => Ok(Parsed::Need(1)),
            [0xA5, len, ..] => Ok(Parsed::Head(Head::new(2, len.into()))),
            _ => Err(DecodeErrorKind::Custom("a frame begins with A5")),
        }
    }

    fn write(&self, _: Envelope<'_>, payload_len: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let len = payload_len.try_into().map_err(|_| EncodeError::Oversize { payload_len, max_payload_len: 255 })?;
        out.extend_from_slice(&[0xA5, len]);
        Ok(())
    }
}

#[test]
fn a_client_speaks_any_header() {
    let (addr, server) = by_hand(|mut socket| {
        write(&mut socket, b"\xA5\x07welcome");
        let mut request = [0; 7];
        socket.read_exact(&mut request).expect("a request");
        assert_eq!(&request, b"\xA5\x05hello");
        write(&mut socket, b"\xA5\x03bye!");
    });
    in_time(async {
        let mut client: Client<Arc<Magic>> =
            Client::connect(addr, greeted().format(Arc::new(Magic))).await.expect("connected");
        assert_eq!(client.greeting(), b"welcome");
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"bye");
        let error = client.call(&[7; 256]).await.expect_err("over the limit");
        assert!(matches!(error, CallError::Send(WriteError::Encode(EncodeError::Oversize { .. }))), "{error}");
        let closed = client.finish().await;
        let CloseReason::Malformed(error) = &closed.reason else { panic!("{closed}") };
        assert_eq!(error.kind(), DecodeErrorKind::Custom("a frame begins with A5"));
    });
    server.join().expect("the end");
}
