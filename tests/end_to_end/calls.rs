//! Calls and their timeouts: what becomes of a reply that comes late.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use futures_lite::future::poll_once;
use unstick::framing::{Format, Frame};
use unstick::{CallError, Client, ClientConfig, CloseKind, RecvError, Responder, Server, ServerConfig};

use crate::client::by_hand;
use crate::common::*;

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_late_reply_is_never_taken_for_that_of_another_call() {
    let (answer, asked) = mpsc::channel();
    let (addr, server) = by_hand(move |mut socket| {
        assert_eq!(read_frame(&mut socket), b"one");
        asked.recv().expect("a test");
        write(&mut socket, &frame(b"reply to one"));
        // The calls between were not sent.
        assert_eq!(read_frame(&mut socket), b"four");
        write(&mut socket, &frame(b"reply to four"));
    });
    in_time(async {
        let config = ClientConfig::default().call_timeout(Some(SHORT));
        let mut client = Client::connect(addr, config).await.expect("connected");
        let error = client.call(b"one").await.expect_err("late");
        assert!(matches!(error, CallError::TimedOut { timeout: SHORT }), "{error}");
        let error = client.call(b"two").await.expect_err("one is to come");
        assert!(matches!(error, CallError::Outstanding { replies: 1 }), "{error}");
        let error = client.call_within(b"three", DEADLINE).await.expect_err("one is to come");
        assert!(matches!(error, CallError::Outstanding { replies: 1 }), "{error}");
        answer.send(()).expect("a server");
        assert_eq!(client.recv().await.expect("a frame").expect("a frame").payload(), b"reply to one");
        let reply = client.call_within(b"four", DEADLINE).await.expect("a reply");
        assert_eq!(reply.payload(), b"reply to four");
        assert_eq!(client.traffic().frames_out, 2);
    });
    server.join().expect("the end");
}

/// However a call is given up: the future that is dropped is one that a timeout of the caller's own dropped, mostly.
#[test]
fn a_call_that_is_dropped_leaves_its_reply_to_come_too() {
    let (answer, asked) = mpsc::channel();
    let (addr, server) = by_hand(move |mut socket| {
        assert_eq!(read_frame(&mut socket), b"one");
        asked.recv().expect("a test");
        write(&mut socket, &frame(b"reply to one"));
    });
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        assert!(poll_once(client.call(b"one")).await.is_none(), "there is no reply yet");
        let error = client.call(b"two").await.expect_err("one is to come");
        assert!(matches!(error, CallError::Outstanding { replies: 1 }), "{error}");
        answer.send(()).expect("a server");
        assert_eq!(client.recv().await.expect("a frame").expect("a frame").payload(), b"reply to one");
        assert!(client.recv().await.expect("the end").is_none());
    });
    server.join().expect("the end");
}

#[test]
fn no_reply_comes_after_the_end_of_the_stream() {
    let (end, ended) = mpsc::channel();
    let (addr, server) = by_hand(move |mut socket| {
        assert_eq!(read_frame(&mut socket), b"one");
        ended.recv().expect("a test");
    });
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        let error = client.call_within(b"one", SHORT).await.expect_err("late");
        assert!(matches!(error, CallError::TimedOut { timeout: SHORT }), "{error}");
        end.send(()).expect("a server");
        assert!(client.recv().await.expect("the end").is_none());
        let error = client.call(b"two").await.expect_err("the end");
        assert!(matches!(error, CallError::Closed | CallError::Send(_)), "{error}");
    });
    server.join().expect("the end");
}

/// The time for sending counts, too: the request is never read.
#[test]
fn a_request_that_cannot_be_sent_in_time_is_a_call_that_timed_out() {
    let (end, ended) = mpsc::channel();
    let format = Format::U32_LE.with_max_payload_len(64 << 20).expect("a format");
    let request = vec![7; 64 << 20];
    let (addr, server) = by_hand(move |mut socket| {
        ended.recv().expect("a test");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).expect("the rest");
        assert_eq!(rest.len(), 4 + (64 << 20), "what was not sent in time is sent with what comes next");
    });
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default().format(format)).await.expect("connected");
        let error = client.call_within(&request, SHORT).await.expect_err("late");
        assert!(matches!(error, CallError::TimedOut { timeout: SHORT }), "{error}");
        let error = client.call(b"two").await.expect_err("one is to come");
        assert!(matches!(error, CallError::Outstanding { replies: 1 }), "{error}");
        end.send(()).expect("a server");
        assert_eq!(client.finish().await.reason.name(), "clean");
    });
    server.join().expect("the end");
}

#[test]
fn a_frame_that_comes_late_is_received_by_the_next_call() {
    let (go_on, told) = mpsc::channel();
    let (addr, server) = by_hand(move |mut socket| {
        let wire = [frame(b"late"), frame(b"at hand")].concat();
        write(&mut socket, &wire[..6]);
        told.recv().expect("a test");
        write(&mut socket, &wire[6..]);
    });
    in_time(async {
        let config = ClientConfig::default().recv_timeout(Some(SHORT));
        let mut client = Client::connect(addr, config).await.expect("connected");
        let error = client.recv().await.expect_err("half of a frame");
        assert!(matches!(error, RecvError::TimedOut { timeout: SHORT }), "{error}");
        let error = client.recv_within(Duration::ZERO).await.expect_err("half of a frame");
        assert!(matches!(error, RecvError::TimedOut { timeout: Duration::ZERO }), "{error}");
        go_on.send(()).expect("a server");
        let frame = client.recv_within(DEADLINE).await.expect("a frame").expect("a frame");
        assert_eq!(frame.payload(), b"late");
        // It came with the one before, so no time is needed.
        let frame = client.recv_within(Duration::ZERO).await.expect("a frame").expect("a frame");
        assert_eq!(frame.payload(), b"at hand");
        assert!(client.recv_within(Duration::MAX).await.expect("the end").is_none());
    });
    server.join().expect("the end");
}

/// The server, which brings its own threads, and the client need no smol executor.
#[test]
fn client_and_server_run_under_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0", ServerConfig::default()).expect("a port");
        let addr = server.local_addr().expect("its address");
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let echo = |_| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
        let serving = tokio::spawn(server.serve(echo, async move { _ = stopped.recv().await }));

        let mut client = Client::connect(addr, ClientConfig::default()).await.expect("connected");
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
        assert_eq!(client.finish().await.reason.name(), "clean");
        drop(stop);
        let stats = serving.await.expect("no panic").expect("served");
        assert_eq!((stats.accepted, stats.closes(CloseKind::Clean)), (1, 1), "{stats}");
    });
}
