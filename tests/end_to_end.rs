//! The server and the client over loopback, with real sockets.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use common::*;
use smol::channel;
use smol::future::zip;
use socket2::{Domain, Protocol, Socket, Type};
use unstick::framing::{DecodeErrorKind, Diagnosis, Format, Frame, Phase};
use unstick::{
    Awaited, CallError, Client, ClientConfig, CloseReason, ConnectError, Greeting, ReadError, Replies, SEED_GREETING,
    Server, ServerConfig, WriteError,
};

fn silent() -> ServerConfig {
    ServerConfig::default().greeting(Greeting::None)
}

fn unawaited() -> ClientConfig {
    ClientConfig::default().greeting(Awaited::None)
}

// What passes.

#[test]
fn many_clients_at_once_get_each_its_own_texts() {
    let threads = NonZeroUsize::new(4).expect("not 0");
    let server = start(ServerConfig::default().threads(threads), |_| echo);
    let addr = server.addr;
    let talk = |client: usize| {
        smol::spawn(async move {
            let mut connection = Client::connect(addr, ClientConfig::default()).await.expect("connected");
            assert_eq!(connection.greeting(), SEED_GREETING.as_bytes());
            let text = |n: usize| format!("客户端{client}发送了消息{n}{}", "。".repeat(client * n));
            for round in 0..5 {
                // Pipelined: twenty in flight.
                for n in 0..20 {
                    connection.enqueue(text(round * 20 + n).as_bytes()).expect("within the limit");
                }
                connection.flush().await.expect("written");
                for n in 0..20 {
                    let reply = connection.recv().await.expect("a frame").expect("a frame");
                    assert_eq!(reply.text().expect("not torn"), text(round * 20 + n));
                }
            }
            connection.finish().await
        })
    };
    let clients: Vec<_> = (0..50).map(talk).collect();
    let mut bytes_in = 0;
    for client in clients {
        let closed = in_time(client);
        assert_eq!(closed.reason.name(), "clean", "{closed}");
        assert_eq!((closed.traffic.frames_in, closed.traffic.frames_out), (101, 100));
        bytes_in += closed.traffic.bytes_out;
    }
    let (served, closes) = server.served();
    assert_eq!((served.accepted, served.closes("clean"), closes.len()), (50, 50, 50));
    assert_eq!((served.traffic.frames_in, served.traffic.frames_out), (5000, 5050));
    assert_eq!(served.traffic.bytes_in, bytes_in);
    assert_eq!(served.traffic.bytes_out, bytes_in + 50 * (4 + SEED_GREETING.len() as u64));
}

#[test]
fn empty_and_large_frames_pass() {
    let server = start(silent(), |_| echo);
    in_time(async {
        let mut client = Client::connect(server.addr, unawaited()).await.expect("connected");
        for len in [0, 1, 1016, 1020, 1021, 16_384, 65_536, 1 << 20, 0] {
            let payload: Vec<u8> = (0..len).map(|at: usize| (at * 7 + at / 251) as u8).collect();
            assert!(client.call(&payload).await.expect("a reply").payload() == payload, "{len} bytes");
        }
        assert_eq!(client.finish().await.reason.name(), "clean");
    });
    assert_eq!(server.next_close().traffic.frames_in, 9);
}

#[test]
fn an_empty_frame_is_answered_without_waiting_for_more() {
    let server = start(silent(), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b""));
    assert_eq!(read_frame(&mut socket), b"");
}

#[test]
fn a_text_that_comes_byte_by_byte_is_not_torn() {
    let server = start(silent(), |_| {
        async |frame: Frame<'_>, replies: &mut Replies| {
            let text = frame.text().expect("never torn").to_owned();
            replies.send(text.as_bytes()).await
        }
    });
    let mut socket = connect(server.addr);
    for byte in frame("Hello client! 你好...".as_bytes()) {
        write(&mut socket, &[byte]);
    }
    assert_eq!(read_frame(&mut socket), SEED_GREETING.as_bytes());
}

#[test]
fn a_peer_with_a_small_window_that_reads_slowly_gets_every_byte() {
    let server = start(silent(), |_| echo);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_recv_buffer_size(2048).expect("an option");
    socket.connect(&server.addr.into()).expect("connected");
    let mut reader = TcpStream::from(socket);
    reader.set_read_timeout(Some(DEADLINE)).expect("an option");
    let mut writer = reader.try_clone().expect("a handle");
    let mut wire = Vec::new();
    for n in 0..200usize {
        wire.extend(frame(&vec![n as u8; n * n % 20_000]));
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            write(&mut writer, &wire);
            writer.shutdown(Shutdown::Write).expect("a FIN");
        });
        let (mut received, mut buffer) = (Vec::new(), [0; 777]);
        loop {
            match reader.read(&mut buffer).expect("bytes") {
                0 => break,
                n => received.extend_from_slice(&buffer[..n]),
            }
        }
        assert!(received == wire, "{} bytes of {}", received.len(), wire.len());
    });
    assert_eq!(server.next_close().reason, "clean");
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    // Small kernel buffers, so that what the server holds itself would show.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    listener.set_recv_buffer_size(16 * 1024).expect("an option");
    listener.set_send_buffer_size(16 * 1024).expect("an option");
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
    listener.listen(16).expect("listening");
    let server = run(Server::with_listener(listener.into(), silent()).expect("a server"), |_| echo);

    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("an option");
    socket.set_send_buffer_size(16 * 1024).expect("an option");
    socket.connect(&server.addr.into()).expect("connected");
    let mut socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(DEADLINE)).expect("an option");
    socket.set_write_timeout(Some(Duration::from_millis(500))).expect("an option");

    // 64 MiB of frames, of which few are taken.
    let one = frame(&[42; 1000]);
    let wire: Vec<u8> = one.iter().copied().cycle().take(one.len() * 65_536).collect();
    let mut taken = 0;
    while let Ok(n) = socket.write(&wire[taken..]) {
        taken += n;
        assert!(taken < 2 << 20, "the server goes on reading, and holds what it reads");
    }

    // Once the peer reads, all goes on.
    let mut writer = socket.try_clone().expect("a handle");
    writer.set_write_timeout(Some(DEADLINE)).expect("an option");
    let end = taken + (2 << 20) / one.len() * one.len() - taken % one.len();
    thread::scope(|scope| {
        scope.spawn(|| {
            write(&mut writer, &wire[taken..end]);
            writer.shutdown(Shutdown::Write).expect("a FIN");
        });
        assert!(read_to_end(&mut socket) == wire[..end]);
    });
    assert_eq!(server.next_close().traffic.frames_in, (end / one.len()) as u64);
}

#[test]
fn greetings_come_as_a_frame_or_raw_or_not_at_all() {
    let text = SEED_GREETING.as_bytes();
    let cases = [
        (Greeting::Frame(text.into()), Awaited::Frame, text),
        (Greeting::Raw(text.into()), Awaited::Raw(text.len()), text),
        (Greeting::None, Awaited::None, b""),
        (Greeting::Frame(Vec::new()), Awaited::Frame, b""),
    ];
    for (greeting, awaited, expected) in cases {
        let server = start(ServerConfig::default().greeting(greeting), |_| echo);
        in_time(async {
            let config = ClientConfig::default().greeting(awaited);
            let mut client = Client::connect(server.addr, config).await.expect("connected");
            assert_eq!(client.greeting(), expected);
            assert_eq!(client.peer(), server.addr);
            assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
            client.finish().await;
        });
    }
    // The bytes themselves: a raw greeting has no header.
    let server = start(ServerConfig::default().greeting(Greeting::Raw(text.into())), |_| echo);
    let mut socket = connect(server.addr);
    socket.shutdown(Shutdown::Write).expect("a FIN");
    assert_eq!(read_to_end(&mut socket), text);
    assert_eq!(server.next_close().traffic.bytes_out, 23);
}

#[test]
fn a_split_client_lives_in_two_tasks() {
    let server = start(silent(), |_| echo);
    in_time(async {
        let client = Client::connect(server.addr, unawaited()).await.expect("connected");
        let (mut reader, mut writer) = client.split();
        // Ten MiB in flight: more than the buffers between hold, so that writing waits for reading.
        let writing = smol::spawn(async move {
            for n in 0..1000u32 {
                writer.feed(&vec![n as u8; 10_000]).await.expect("written");
            }
            writer.close().await.expect("closed");
        });
        let reading = async {
            let mut n = 0u32;
            while let Some(frame) = reader.next_frame().await.expect("a frame") {
                assert!(frame.payload() == vec![n as u8; 10_000], "frame {n}");
                n += 1;
            }
            n
        };
        assert_eq!(zip(writing, reading).await.1, 1000);
    });
    assert_eq!(server.next_close().reason, "clean");
}

// How connections end.

#[test]
fn a_negative_or_huge_length_is_refused_with_its_numbers() {
    let server = start(ServerConfig::default(), |_| echo);
    for (field, negative) in [(u32::MAX, Some(-1)), (-1000i32 as u32, Some(-1000)), ((1 << 20) + 1, None)] {
        let mut socket = connect(server.addr);
        write(&mut socket, &frame(b"before"));
        write(&mut socket, &field.to_le_bytes());
        assert_eq!(read_frame(&mut socket), SEED_GREETING.as_bytes());
        assert_eq!(read_frame(&mut socket), b"before", "what came before is still answered");
        assert_eq!(read_to_end(&mut socket), b"", "and then the server ends its stream");
        drop(socket);
        let ended = server.next_close();
        assert_eq!(ended.reason, "oversize");
        let error = ended.error.expect("the decoder's");
        let (field, max_payload_len) = (u64::from(field), 1 << 20);
        assert_eq!(error.kind(), DecodeErrorKind::Oversize { field, payload_len: field, max_payload_len });
        assert_eq!(error.offset(), 10);
        assert_eq!((ended.traffic.frames_in, ended.traffic.bytes_in), (1, 14));
        if let Some(field) = negative {
            assert_eq!(error.diagnosis(), Some(Diagnosis::Negative { field }));
        }
    }
    let (served, rest) = server.served();
    assert_eq!((served.closes("oversize"), rest.len()), (3, 0));
}

#[test]
fn another_protocol_is_named() {
    let server = start(ServerConfig::default(), |_| echo);
    let hellos: [(&[u8], &str); 3] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "looks like HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "looks like TLS"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "looks like SSH"),
    ];
    for (hello, looks) in hellos {
        let mut socket = connect(server.addr);
        write(&mut socket, hello);
        assert_eq!(read_to_end(&mut socket), frame(SEED_GREETING.as_bytes()));
        drop(socket);
        let ended = server.next_close();
        assert!(ended.text.contains(looks), "{}", ended.text);
        assert_eq!(ended.traffic.bytes_in, hello.len() as u64);
    }
}

#[test]
fn malformed_is_not_oversize() {
    let server = start(silent().format(Format::U32_LE_INCLUSIVE), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &3u32.to_le_bytes());
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    let ended = server.next_close();
    assert_eq!(ended.reason, "malformed");
    assert_eq!(ended.error.expect("an error").kind(), DecodeErrorKind::Underflow { field: 3, adjustment: -4 });
}

/// Where a peer may end: its bytes, and what is said of a stream that ends there by FIN.
fn places() -> [(Vec<u8>, u64, Option<(Phase, u64, u64)>); 5] {
    let two = [frame(b"whole"), frame(b"torn")].concat();
    [
        (Vec::new(), 0, None),
        (two[..9].to_vec(), 1, None),
        (two[..11].to_vec(), 1, Some((Phase::Header, 2, 4))),
        (two[..13].to_vec(), 1, Some((Phase::Payload, 4, 8))),
        (two[..16].to_vec(), 1, Some((Phase::Payload, 7, 8))),
    ]
}

#[test]
fn a_fin_is_clean_at_a_boundary_and_truncated_inside_a_frame() {
    let server = start(silent(), |_| echo);
    for (bytes, frames_in, truncated) in places() {
        let mut socket = connect(server.addr);
        write(&mut socket, &bytes);
        socket.shutdown(Shutdown::Write).expect("a FIN");
        assert_eq!(read_to_end(&mut socket).len(), 9 * frames_in as usize, "what was whole is answered");
        let ended = server.next_close();
        assert_eq!((ended.traffic.frames_in, ended.traffic.bytes_in), (frames_in, bytes.len() as u64));
        match truncated {
            None => assert_eq!(ended.reason, "clean"),
            Some((phase, have, need)) => {
                assert_eq!(ended.reason, "truncated");
                let error = ended.error.expect("the decoder's");
                assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase, have, need });
                assert_eq!(error.offset(), 9);
            }
        }
    }
    let (served, rest) = server.served();
    assert_eq!((served.closes("clean"), served.closes("truncated"), rest.len()), (2, 3, 0));
}

#[test]
fn a_reset_is_a_reset_wherever_it_comes() {
    let server = start(silent(), |_| echo);
    for (bytes, frames_in, _) in places() {
        let mut socket = connect(server.addr);
        write(&mut socket, &bytes);
        if frames_in > 0 {
            assert_eq!(read_frame(&mut socket), b"whole");
        }
        reset(socket);
        let ended = server.next_close();
        assert_eq!(ended.reason, "reset", "{}", ended.text);
        assert_eq!(ended.traffic.frames_in, frames_in);
    }
    assert_eq!(server.served().0.closes("reset"), 5);
}

#[test]
fn a_reset_that_a_reply_finds_is_a_reset_and_no_handler_error() {
    let (arrived, has_arrived) = channel::bounded::<()>(1);
    let (go, gone) = channel::bounded::<()>(1);
    let server = start(silent(), move |_| {
        let (arrived, gone) = (arrived.clone(), gone.clone());
        async move |_: Frame<'_>, replies: &mut Replies| {
            arrived.send(()).await.expect("a test");
            gone.recv().await.expect("a test");
            // Large, so that it is written at once; the handler passes the error on, as one does.
            loop {
                replies.send(&[0; 100_000]).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), WriteError>(())
        }
    });
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    in_time(has_arrived.recv()).expect("arrived");
    reset(socket);
    go.try_send(()).expect("sent");
    let ended = server.next_close();
    assert_eq!(ended.reason, "reset", "{}", ended.text);
}

#[test]
fn a_handler_error_ends_its_connection_and_no_other() {
    let server = start(silent(), |_| {
        async |frame: Frame<'_>, replies: &mut Replies| match frame.payload() {
            b"fail" => Err(Box::<dyn std::error::Error + Send + Sync>::from("asked to fail")),
            payload => Ok(replies.send(payload).await?),
        }
    });
    let mut other = connect(server.addr);
    let mut socket = connect(server.addr);
    write(&mut socket, &[frame(b"before"), frame(b"fail"), frame(b"after")].concat());
    assert_eq!(read_to_end(&mut socket), frame(b"before"), "what was answered before is still written");
    drop(socket);
    let ended = server.next_close();
    assert_eq!((ended.reason, &*ended.text), ("handler error", "handler error: asked to fail"));
    assert_eq!(ended.traffic.frames_in, 2);
    write(&mut other, &frame(b"unharmed"));
    assert_eq!(read_frame(&mut other), b"unharmed");
}

#[test]
fn a_reply_that_cannot_be_encoded_is_the_handlers_error() {
    let format = Format::U32_LE.with_max_payload_len(100).expect("a format");
    let server =
        start(silent().format(format), |_| async |_: Frame<'_>, replies: &mut Replies| replies.send(&[0; 101]).await);
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    let ended = server.next_close();
    assert_eq!(ended.text, "handler error: a payload of 101 bytes is over the limit of 100");
}

#[test]
fn a_handler_panic_ends_its_connection_and_no_other() {
    let server = start(silent(), |_| {
        async |frame: Frame<'_>, replies: &mut Replies| {
            assert_ne!(frame.payload(), b"panic", "a test's panic");
            replies.send(frame.payload()).await
        }
    });
    let mut other = connect(server.addr);
    for n in 0..3 {
        let mut socket = connect(server.addr);
        write(&mut socket, &[frame(b"before"), frame(b"panic"), frame(b"after")].concat());
        assert_eq!(read_to_end(&mut socket), frame(b"before"), "what was answered before is still written");
        drop(socket);
        let ended = server.next_close();
        assert_eq!(ended.reason, "handler panic");
        assert!(ended.text.contains("a test's panic"), "{}", ended.text);
        assert_eq!((ended.traffic.frames_in, ended.traffic.bytes_in), (2, 28));
        write(&mut other, &frame(&[n]));
        assert_eq!(read_frame(&mut other), [n]);
    }
    drop(other);
    let (served, _) = server.served();
    assert_eq!((served.closes("handler panic"), served.closes("clean")), (3, 1));
}

#[test]
fn a_panic_where_a_handler_is_made_ends_that_connection_only() {
    let (first, is_first) = channel::bounded::<()>(1);
    first.try_send(()).expect("sent");
    let server = start(silent(), move |_| {
        assert!(is_first.try_recv().is_err(), "a test's panic");
        echo
    });
    let mut socket = connect(server.addr);
    _ = socket.read(&mut [0]);
    let ended = server.next_close();
    assert_eq!(ended.reason, "handler panic", "{}", ended.text);
    let mut other = connect(server.addr);
    write(&mut other, &frame(b"unharmed"));
    assert_eq!(read_frame(&mut other), b"unharmed");
    drop(other);
    assert_eq!(server.next_close().reason, "clean");
    assert_eq!(server.served().0.accepted, 2);
}

#[test]
fn a_panic_in_on_open_or_on_close_harms_nobody() {
    let (opened, opens) = channel::unbounded();
    let (closed, closes) = channel::unbounded();
    let (stop, stopped) = channel::bounded::<()>(1);
    let server = Server::bind("127.0.0.1:0", silent())
        .expect("a port")
        .on_open(move |peer| {
            opened.try_send(peer).expect("sent");
            assert!(opened.len() != 1, "a test's panic");
        })
        .on_close(move |end| {
            closed.try_send(end.reason.name()).expect("sent");
            panic!("a test's panic");
        });
    let addr = server.local_addr();
    let serving = smol::spawn(server.serve(|_| echo, async move { _ = stopped.recv().await }));
    let mut first = connect(addr);
    _ = first.read(&mut [0]);
    assert_eq!(in_time(closes.recv()), Ok("handler panic"), "on_open panicked for the first");
    let mut second = connect(addr);
    write(&mut second, &frame(b"unharmed"));
    assert_eq!(read_frame(&mut second), b"unharmed");
    drop(second);
    assert_eq!(in_time(closes.recv()), Ok("clean"));
    drop(stop);
    let served = in_time(serving);
    assert_eq!((opens.len(), served.accepted, served.closes("clean")), (2, 2, 1));
}

// How a server ends.

/// A handler that says when a frame has come, and answers once it is told to.
fn gated() -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    gated_with(silent())
}

fn gated_with(config: ServerConfig) -> (Running, channel::Receiver<()>, channel::Sender<()>) {
    let (arrived, has_arrived) = channel::unbounded();
    let (open, gate) = channel::unbounded();
    let server = start(config, move |_| {
        let (arrived, gate) = (arrived.clone(), gate.clone());
        async move |frame: Frame<'_>, replies: &mut Replies| {
            arrived.send(()).await.expect("a test");
            _ = gate.recv().await;
            replies.send(frame.payload()).await
        }
    });
    (server, has_arrived, open)
}

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
    assert_eq!(server.served().0.closes("stopped"), 1);
}

#[test]
fn a_stop_ends_idle_connections() {
    let server = start(silent(), |_| echo);
    let mut sockets = [connect(server.addr), connect(server.addr)];
    write(&mut sockets[0], &frame(b"hello"));
    assert_eq!(read_frame(&mut sockets[0]), b"hello");
    server.stop();
    for mut socket in sockets {
        assert_eq!(read_to_end(&mut socket), b"");
    }
    let (served, closes) = server.served();
    assert_eq!((served.accepted, served.closes("stopped")), (2, 2), "{closes:?}");
}

#[test]
fn a_stop_waits_for_the_rest_of_a_frame() {
    let server = start(silent(), |_| echo);
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
    assert_eq!((served.closes("stopped"), served.traffic.frames_in), (1, 2));
}

#[test]
fn a_drain_ends_at_its_deadline_also_where_a_handler_never_does() {
    let (server, has_arrived, _open) = gated_with(silent().drain_deadline(Duration::from_millis(50)));
    let mut torn = connect(server.addr);
    write(&mut torn, b"\x05\0");
    let mut held = connect(server.addr);
    write(&mut held, &frame(b"held"));
    in_time(has_arrived.recv()).expect("arrived");
    let (served, closes) = server.served();
    assert_eq!((served.accepted, served.closes("stopped")), (2, 2));
    let held_close = closes.iter().find(|ended| ended.peer == held.local_addr().expect("an address"));
    let traffic = held_close.expect("closed").traffic;
    assert_eq!((traffic.frames_in, traffic.bytes_in), (1, 8), "what had passed is told");
    _ = held.read(&mut [0]);
}

#[test]
fn dropping_the_serving_future_is_a_stop() {
    let server = start(silent(), |_| echo);
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
    let server = Server::bind("127.0.0.1:0", silent()).expect("a port");
    let addr = server.local_addr();
    let flood: Vec<_> = (0..300).map(|_| connect(addr)).collect();
    // All of them wait to be accepted; the first one's opening is the stop.
    let (stop, stopped) = channel::unbounded();
    let server = server.on_open(move |_| stop.try_send(()).expect("sent"));
    let served = in_time(server.serve(|_| echo, async move { _ = stopped.recv().await }));
    assert!(served.accepted < 300, "{} of 300 were accepted before the stop was seen", served.accepted);
    drop(flood);
}

#[test]
fn the_sums_balance_whatever_happens() {
    let threads = NonZeroUsize::new(3).expect("not 0");
    let server = start(silent().threads(threads), |_| {
        async |frame: Frame<'_>, replies: &mut Replies| match frame.payload() {
            b"fail" => Err(Box::<dyn std::error::Error + Send + Sync>::from("asked to fail")),
            b"panic" => panic!("a test's panic"),
            payload => Ok(replies.send(payload).await?),
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
    for name in ["clean", "reset", "truncated", "oversize", "handler error", "handler panic"] {
        assert_eq!(served.closes(name), 10, "{name}");
    }
    assert_eq!(served.traffic.frames_in, 80);
    assert_eq!(served.traffic.bytes_in, 60 * 9 + 10 * (3 + 4 + 8 + 9));
    assert_eq!((served.traffic.frames_out, served.traffic.bytes_out), (60, 540));
    assert_eq!(served.closes("no such reason"), 0);
}

// The client.

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
    let deadline = Duration::from_millis(50);
    // The end of the stream is seen: nothing of the attempt stays open.
    let (addr, server) = by_hand(|mut socket| assert_eq!(read_to_end(&mut socket), b""));
    let error = in_time(Client::connect(addr, ClientConfig::default().connect_deadline(deadline))).expect_err("late");
    assert!(matches!(error, ConnectError::TimedOut { deadline: told } if told == deadline), "{error}");
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
    let config = ClientConfig::default().greeting(Awaited::Raw(SEED_GREETING.len()));
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
fn a_call_without_a_reply_says_so() {
    let (addr, server) = by_hand(|mut socket| assert_eq!(read_frame(&mut socket), b"hello"));
    in_time(async {
        let mut client = Client::connect(addr, unawaited()).await.expect("connected");
        let error = client.call(b"hello").await.expect_err("no reply");
        assert!(matches!(error, CallError::Closed), "{error}");
    });
    server.join().expect("the end");
}
