//! How a server ends: the listener first, then what is in flight; and its sums balance.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use smol::channel;
use unstick::framing::Frame;
use unstick::{CloseKind, Responder, Server, ServerConfig};

use crate::common::*;
use crate::{gated, gated_with};

#[test]
fn a_stop_closes_the_listener_first_and_answers_what_is_in_flight() {
    let (server, has_arrived, open) = gated();
    let mut socket = connect(server.addr);
    // Three frames in flight; the third arrives when the first is already being handled.
    write(&mut socket, &[frame(b"one"), frame(b"two")].concat());
    in_time(has_arrived.recv()).expect("arrived");
    write(&mut socket, &frame(&[3; 100_000]));
    server.stop();
    for _ in 0..3 {
        open.try_send(()).expect("sent");
    }
    let replies = read_to_end(&mut socket);
    assert!(replies == [frame(b"one"), frame(b"two"), frame(&[3; 100_000])].concat(), "{} bytes", replies.len());
    drop(socket);
    let ended = server.next_close();
    assert_eq!((ended.reason, ended.traffic.frames_in), ("stopped", 3));
    assert_eq!(server.served().0.closes(CloseKind::Stopped), 1);
}

#[test]
fn a_stop_answers_what_arrived_before_it_on_however_many_connections() {
    // The first connection's handler holds the only thread while all others' frames arrive, and the stop.
    let (arrived, has_arrived) = channel::unbounded();
    let (open, gate) = channel::unbounded::<()>();
    let server = start(ServerConfig::default(), move |_| {
        let (arrived, gate) = (arrived.clone(), gate.clone());
        async move |frame: Frame<'_>, responder: &mut Responder| {
            if frame.payload() == b"block" {
                arrived.send(()).await.expect("a test");
                gate.recv_blocking().expect("a test");
            }
            // Work, so that the drain begins before all of it is done.
            thread::sleep(Duration::from_millis(1));
            responder.send(frame.payload()).await
        }
    });
    let greeted = |_| {
        let mut socket = connect(server.addr);
        write(&mut socket, &frame(b"hello"));
        assert_eq!(read_frame(&mut socket), b"hello");
        socket
    };
    let mut sockets: Vec<_> = (0..100).map(greeted).collect();
    write(&mut sockets[0], &frame(b"block"));
    in_time(has_arrived.recv()).expect("arrived");
    for (n, socket) in sockets.iter_mut().enumerate().skip(1) {
        write(socket, &frame(&n.to_le_bytes()));
    }
    server.stop();
    open.try_send(()).expect("sent");
    for (n, socket) in sockets.iter_mut().enumerate().skip(1) {
        assert!(read_to_end(socket) == frame(&n.to_le_bytes()), "connection {n} has its reply");
    }
    drop(sockets);
    assert_eq!(server.served().0.traffic.frames_in, 200);
}

#[test]
fn a_stop_ends_idle_connections() {
    let server = start(ServerConfig::default(), |_| echo);
    let sockets = [(); 2].map(|()| {
        let mut socket = connect(server.addr);
        write(&mut socket, &frame(b"hello"));
        assert_eq!(read_frame(&mut socket), b"hello");
        socket
    });
    server.stop();
    for mut socket in sockets {
        assert_eq!(read_to_end(&mut socket), b"");
    }
    let (served, closes) = server.served();
    assert_eq!((served.accepted, served.closes(CloseKind::Stopped)), (2, 2), "{closes:?}");
}

#[test]
fn a_stop_waits_for_the_rest_of_a_frame() {
    let server = start(ServerConfig::default(), |_| echo);
    let mut socket = connect(server.addr);
    let torn = frame("你好".as_bytes());
    write(&mut socket, &[&frame(b"whole"), &torn[..6]].concat());
    assert_eq!(read_frame(&mut socket), b"whole");
    server.stop();
    write(&mut socket, &torn[6..]);
    assert_eq!(read_frame(&mut socket), "你好".as_bytes());
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    let (served, _) = server.served();
    assert_eq!((served.closes(CloseKind::Stopped), served.traffic.frames_in), (1, 2));
}

#[test]
fn a_drain_ends_at_its_deadline_also_where_a_handler_never_does() {
    let (server, has_arrived, _open) = gated_with(ServerConfig::default().drain_timeout(Duration::from_millis(50)));
    let mut torn = connect(server.addr);
    write(&mut torn, b"\x05\0");
    let mut held = connect(server.addr);
    write(&mut held, &frame(b"held"));
    in_time(has_arrived.recv()).expect("arrived");
    let (served, closes) = server.served();
    assert_eq!((served.accepted, served.closes(CloseKind::Stopped)), (2, 2));
    let held_close = closes.iter().find(|ended| ended.peer.as_socket() == held.local_addr().ok());
    let traffic = held_close.expect("closed").traffic;
    assert_eq!((traffic.frames_in, traffic.bytes_in), (1, 8), "what had passed is told");
    _ = held.read(&mut [0]);
}

/// A stop waits for what is in flight, up to a limit: a peer that continues to send is cut off long before the
/// deadline.
#[test]
fn a_stop_does_not_wait_for_a_peer_that_continues_to_send() {
    let (begun, has_begun) = channel::unbounded();
    let server = start(ServerConfig::default().drain_timeout(Duration::from_secs(1000)), move |_| {
        let begun = begun.clone();
        async move |_: Frame<'_>, _: &mut Responder| begun.send(()).await
    });
    let mut socket = connect(server.addr);
    let sender = thread::spawn(move || {
        // Never at a frame's end, where a stop would end the connection before.
        let frames = frame(&[7; 100_000]).repeat(10);
        let (before, behind) = frames.split_at(50_000);
        write(&mut socket, before);
        let endless = [behind, before].concat();
        while std::io::Write::write_all(&mut socket, &endless).is_ok() {}
    });
    in_time(has_begun.recv()).expect("begun");
    server.stop();
    let (served, _) = server.served();
    sender.join().expect("no panic");
    assert_eq!(served.closes(CloseKind::Stopped), 1, "{served:?}");
    assert!(served.traffic.frames_in > 0);
}

#[test]
fn dropping_the_serving_future_is_a_stop() {
    let server = start(ServerConfig::default(), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_frame(&mut socket), b"hello");
    let (addr, closes) = server.abandon();
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    assert_eq!(in_time(closes.recv()).expect("a close").reason, "stopped");
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_flood_of_connections_does_not_hold_up_a_stop() {
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).expect("a port");
    let addr = server.local_addr().expect("a TCP address");
    let flood: Vec<_> = (0..100).map(|_| connect(addr)).collect();
    // All of them wait to be accepted; the first one's opening is the stop.
    let (stop, stopped) = channel::unbounded();
    let server = server.on_open(move |_| stop.try_send(()).expect("sent"));
    let served = in_time(server.serve(|_| echo, async move { _ = stopped.recv().await })).expect("threads");
    assert!(served.accepted < 100, "{} of 100 were accepted before the stop was seen", served.accepted);
    drop(flood);
}

#[test]
fn the_sums_balance_whatever_happens() {
    let threads = 3;
    let server = start(ServerConfig::default().threads(threads), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| match frame.payload() {
            b"fail" => Err(Box::<dyn std::error::Error + Send + Sync>::from("asked to fail")),
            b"panic" => panic!("a test's panic"),
            payload => Ok(responder.send(payload).await?),
        }
    });
    let addr = server.addr;
    thread::scope(|scope| {
        for client in 0..60 {
            scope.spawn(move || {
                let mut socket = connect(addr);
                write(&mut socket, &frame(b"hello"));
                assert_eq!(read_frame(&mut socket), b"hello");
                match client % 6 {
                    0 => {}
                    1 => return reset(socket),
                    2 => write(&mut socket, b"\x05\0\0"),
                    3 => write(&mut socket, b"\xff\xff\xff\xff"),
                    4 => write(&mut socket, &frame(b"fail")),
                    _ => write(&mut socket, &frame(b"panic")),
                }
                socket.shutdown(Shutdown::Write).expect("a FIN");
                assert_eq!(read_to_end(&mut socket), b"");
            });
        }
    });
    for _ in 0..60 {
        server.next_close();
    }
    let (served, _) = server.served();
    assert_eq!(served.accepted, 60);
    use CloseKind::{Clean, Handler, Oversize, Panic, Reset, Truncated};
    for kind in [Clean, Reset, Truncated, Oversize, Handler, Panic] {
        assert_eq!(served.closes(kind), 10, "{kind}");
    }
    assert_eq!(served.traffic.frames_in, 80);
    assert_eq!(served.traffic.bytes_in, 60 * 9 + 10 * (3 + 4 + 8 + 9));
    assert_eq!((served.traffic.frames_out, served.traffic.bytes_out), (60, 540));
}
