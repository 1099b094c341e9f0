//! The client: how it connects, calls and finishes.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use unstick::framing::{DecodeErrorKind, Phase};
use unstick::{
    CallError, Client, ClientConfig, CloseReason, ConnectError, ExpectedGreeting, ReadError, TUTORIAL_GREETING,
    WriteError,
};

use crate::common::*;
use crate::{silent, unawaited};

/// A server of one connection that does what it is told.
fn by_hand(serve: impl FnOnce(TcpStream) + Send + 'static) -> (std::net::SocketAddr, thread::JoinHandle<()>) {
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
    // The end of the stream is seen: nothing of the attempt stays open.
    let (addr, server) = by_hand(|mut socket| assert_eq!(read_to_end(&mut socket), b""));
    let error = in_time(Client::connect(addr, ClientConfig::default().connect_timeout(timeout))).expect_err("late");
    assert!(matches!(error, ConnectError::TimedOut { timeout: told } if told == timeout), "{error}");
    server.join().expect("the end");
}

#[test]
fn a_greeting_that_does_not_come_whole_is_no_greeting() {
    let (addr, server) = by_hand(drop);
    let error = in_time(Client::connect(addr, ClientConfig::default())).expect_err("no greeting");
    assert!(matches!(error, ConnectError::NoGreeting), "{error}");
    server.join().expect("the end");

    let (addr, server) = by_hand(|mut socket| write(&mut socket, b"\x17\0\0\0Hello"));
    let error = in_time(Client::connect(addr, ClientConfig::default())).expect_err("half a greeting");
    let ConnectError::Greeting(ReadError::Decode(error)) = error else { panic!("{error}") };
    let truncated = DecodeErrorKind::Truncated { phase: Phase::Payload, have: 9, need: 27 };
    assert_eq!(error.kind(), truncated);
    server.join().expect("the end");

    let (addr, server) = by_hand(|mut socket| write(&mut socket, b"Hello"));
    let config = ClientConfig::default().greeting(ExpectedGreeting::Raw(TUTORIAL_GREETING.len()));
    let error = in_time(Client::connect(addr, config)).expect_err("half a greeting");
    assert!(matches!(error, ConnectError::Greeting(ReadError::Io(_))), "{error}");
    server.join().expect("the end");
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    drop(listener);
    let error = in_time(Client::connect(addr, ClientConfig::default())).expect_err("refused");
    assert!(matches!(error, ConnectError::Io(_)), "{error}");
}

#[test]
fn finish_is_clean_also_after_close_and_the_end() {
    let server = start(silent(), |_| echo);
    in_time(async {
        let mut client = Client::connect(server.addr, unawaited()).await.expect("connected");
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
        let mut client = Client::connect(addr, unawaited()).await.expect("connected");
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
        let mut client = Client::connect(addr, unawaited()).await.expect("connected");
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
        let mut client = Client::connect(addr, unawaited()).await.expect("connected");
        let error = client.call(b"hello").await.expect_err("no frame");
        assert!(matches!(error, CallError::Recv(ReadError::Decode(_))), "{error}");
    });
    server.join().expect("the end");
}

#[test]
fn what_cannot_be_encoded_is_not_sent_and_the_connection_goes_on() {
    let server = start(silent(), |_| echo);
    in_time(async {
        let config = unawaited();
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
        let mut client = Client::connect(addr, unawaited()).await.expect("connected");
        let error = client.call(b"hello").await.expect_err("no reply");
        assert!(matches!(error, CallError::Closed), "{error}");
    });
    server.join().expect("the end");
}
