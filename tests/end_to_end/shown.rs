//! What a server, its account, a handler's responder and a client show of themselves.

use std::convert::Infallible;

use smol::channel;
use unstick::framing::Frame;
use unstick::{Client, Greeting, Responder, Server, ServerConfig};

use crate::common::*;
use crate::greeted;

#[test]
fn a_server_shows_its_address_and_its_limits_and_an_account_its_figures() {
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).expect("a port");
    let shown = format!("{server:?}");
    let addr = server.local_addr().expect("a TCP address");
    assert!(shown.starts_with("Server { listening: ") && shown.ends_with(", .. }"), "{shown}");
    assert!(shown.contains(&format!("addr: {addr}, ")), "{shown}");
    assert!(shown.contains("config: ServerConfig { "), "{shown}");
    assert!(shown.contains("drain_timeout: 10s"), "{shown}");
    let account = server.account();
    let server = run(server, |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_frame(&mut socket), b"hello");
    drop(socket);
    let (stats, _) = server.served();
    assert_eq!(format!("{account:?}"), format!("{stats:?}"));
    assert!(format!("{account:?}").contains("accepted: 1, "), "{account:?}");
}

#[test]
fn a_responder_says_whose_it_is_and_how_much_waits() {
    let (shown, is_shown) = channel::unbounded();
    let server = start(ServerConfig::default(), move |peer| {
        let shown = shown.clone();
        async move |frame: Frame<'_>, responder: &mut Responder| {
            assert_eq!(responder.peer(), peer.name());
            responder.send(frame.payload()).await.expect("queued");
            shown.try_send(format!("{responder:?}")).expect("a test");
            Ok::<(), Infallible>(())
        }
    });
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_frame(&mut socket), b"hello");
    let peer = socket.local_addr().expect("an address");
    let shown = in_time(is_shown.recv()).expect("shown");
    assert_eq!(shown, format!("Responder {{ peer: {peer}, queued: 9 }}"));
    drop(socket);
    assert_eq!(server.next_close().reason, "clean");
}

#[test]
fn a_client_shows_lengths_and_no_bytes() {
    let server = start(ServerConfig::default().greeting(Greeting::Frame(b"welcome".to_vec())), |_| echo);
    let addr = server.addr;
    in_time(async {
        let mut client = Client::connect(addr, greeted()).await.expect("connected");
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
        let begin =
            format!("Client {{ peer: {addr}, greeting_len: 7, traffic: Traffic {{ frames_in: 2, bytes_in: 20, ");
        let shown = format!("{client:?}");
        assert_eq!(shown, begin + "frames_out: 1, bytes_out: 9 }, .. }");
    });
    assert_eq!(server.next_close().reason, "clean");
}
