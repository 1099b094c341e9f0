//! What a server, its account and a handler's replies show of themselves.

use std::convert::Infallible;

use smol::channel;
use unstick::framing::Frame;
use unstick::{Replies, Server};

use crate::common::*;
use crate::silent;

#[test]
fn a_server_shows_its_address_and_its_limits_and_an_account_its_figures() {
    let server = Server::bind("127.0.0.1:0", silent()).expect("a port");
    let shown = format!("{server:?}");
    let begin = format!("Server {{ addr: {}, config: ServerConfig {{ ", server.local_addr());
    assert!(shown.starts_with(&begin) && shown.ends_with(", .. }"), "{shown}");
    assert!(shown.contains("drain_deadline: 10s"), "{shown}");
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
fn replies_say_whose_they_are_and_how_much_of_them_waits() {
    let (shown, is_shown) = channel::unbounded();
    let server = start(silent(), move |peer| {
        let shown = shown.clone();
        async move |frame: Frame<'_>, replies: &mut Replies| {
            assert_eq!(replies.peer(), peer);
            replies.send(frame.payload()).await.expect("queued");
            shown.try_send(format!("{replies:?}")).expect("a test");
            Ok::<(), Infallible>(())
        }
    });
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_frame(&mut socket), b"hello");
    let peer = socket.local_addr().expect("an address");
    let shown = in_time(is_shown.recv()).expect("shown");
    assert_eq!(shown, format!("Replies {{ peer: {peer}, queued: 9 }}"));
    drop(socket);
    assert_eq!(server.next_close().reason, "clean");
}
