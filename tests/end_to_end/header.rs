//! A custom header with a checksum after each payload, served end to end: replies, pushes, and a wrong checksum.

use std::sync::mpsc;

use bytes::Bytes;
use unstick::framing::{DecodeErrorKind, Frame};
use unstick::{Client, ClientConfig, CloseReason, Outbox, Peer, ReadError, RecvError, Responder, Server, ServerConfig};

use crate::common::*;
use crate::summed::Summed;

#[test]
fn any_header_serves_in_server_and_client() {
    let (sender, outboxes) = mpsc::channel::<Outbox>();
    let server = Server::bind("127.0.0.1:0", ServerConfig::default().format(Summed)).expect("a port");
    let addr = server.local_addr().expect("a TCP address");
    let (closed, closes) = mpsc::channel();
    let server = server.on_close(move |closing| {
        let CloseReason::Malformed(error) = &closing.reason else { panic!("{closing}") };
        closed.send(error.kind()).expect("the test");
    });
    let _serving = smol::spawn(server.serve(
        move |peer: Peer| {
            sender.send(peer.outbox()).expect("the test");
            async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await
        },
        std::future::pending(),
    ));
    in_time(async {
        let mut client = Client::connect(addr, ClientConfig::default().format(Summed)).await.expect("connected");
        assert_eq!(client.call(&[1, 2, 3]).await.expect("a reply").as_bytes(), [3, 1, 2, 3, 9]);
        let outbox = outboxes.recv().expect("an outbox");
        outbox.send(Bytes::from_static(&[9])).await.expect("room");
        assert_eq!(client.recv().await.expect("a frame").expect("a push").as_bytes(), [1, 9, 10]);
    });
    let mut socket = connect(addr);
    write(&mut socket, &[1, 7, 9]);
    let kind = closes.recv_timeout(DEADLINE).expect("a close");
    assert_eq!(kind, DecodeErrorKind::Mismatch { stated: 9, computed: 8 });
    // A client finds a wrong sum, too.
    in_time(async {
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let mut client = Client::connect(addr, ClientConfig::default().format(Summed)).await.expect("connected");
        let (mut peer, _) = listener.accept().await.expect("accepted");
        futures_lite::AsyncWriteExt::write_all(&mut peer, &[1, 7, 9]).await.expect("written");
        let error = client.recv().await.expect_err("a wrong sum");
        let RecvError::Read(ReadError::Decode(error)) = error else { panic!("{error}") };
        assert_eq!(error.kind(), DecodeErrorKind::Mismatch { stated: 9, computed: 8 });
    });
}
