//! What passes: texts, greetings, frames of any length, and nothing more than the peer reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use smol::future::zip;
use socket2::{Domain, Protocol, Socket, Type};
use unstick::framing::{DecodeErrorKind, Encoder, Envelope, Format, Frame, Phase};
use unstick::{
    Client, ClientConfig, CloseKind, ExpectedGreeting, Greeting, Responder, Server, ServerConfig, TUTORIAL_GREETING,
};

use crate::common::*;
use crate::{gated, greeted, greeting};

#[test]
fn many_clients_at_once_get_each_its_own_texts() {
    let threads = 4;
    let server = start(greeting().threads(threads), |_| echo);
    let addr = server.addr;
    let talk = |client: usize| {
        smol::spawn(async move {
            let mut connection = Client::connect(addr, greeted()).await.expect("connected");
            assert_eq!(connection.greeting(), TUTORIAL_GREETING.as_bytes());
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
    assert_eq!((served.accepted, served.closes(CloseKind::Clean), closes.len()), (50, 50, 50));
    assert_eq!((served.traffic.frames_in, served.traffic.frames_out), (5000, 5050));
    assert_eq!(served.traffic.bytes_in, bytes_in);
    assert_eq!(served.traffic.bytes_out, bytes_in + 50 * (4 + TUTORIAL_GREETING.len() as u64));
}

#[test]
fn empty_and_large_frames_pass() {
    let server = start(ServerConfig::default(), |_| echo);
    in_time(async {
        let mut client = Client::connect(server.addr, ClientConfig::default()).await.expect("connected");
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
    let server = start(ServerConfig::default(), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b""));
    assert_eq!(read_frame(&mut socket), b"");
}

#[test]
fn a_text_that_comes_byte_by_byte_is_not_torn() {
    let server = start(ServerConfig::default(), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| {
            let text = frame.text().expect("never torn").to_owned();
            responder.send(text.as_bytes()).await
        }
    });
    let mut socket = connect(server.addr);
    for byte in frame("Hello client! 你好...".as_bytes()) {
        write(&mut socket, &[byte]);
    }
    assert_eq!(read_frame(&mut socket), TUTORIAL_GREETING.as_bytes());
}

#[test]
fn a_peer_with_a_small_window_that_reads_slowly_gets_every_byte() {
    let server = start(ServerConfig::default(), |_| echo);
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
    let server = run(Server::with_tcp(listener.into(), ServerConfig::default()).expect("a server"), |_| echo);

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
    let text = TUTORIAL_GREETING.as_bytes();
    let cases = [
        (Greeting::Frame(text.into()), ExpectedGreeting::Frame, text),
        (Greeting::Raw(text.into()), ExpectedGreeting::Raw(text.len()), text),
        (Greeting::None, ExpectedGreeting::None, b""),
        (Greeting::Frame(Vec::new()), ExpectedGreeting::Frame, b""),
    ];
    for (greeting, awaited, expected) in cases {
        let server = start(ServerConfig::default().greeting(greeting), |_| echo);
        in_time(async {
            let config = ClientConfig::default().greeting(awaited);
            let mut client = Client::connect(server.addr, config).await.expect("connected");
            assert_eq!(client.greeting(), expected);
            assert_eq!(client.peer().as_socket(), Some(server.addr));
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

/// Frames with a prefix and a trailer come back unchanged: small ones, and large ones that are not copied.
#[test]
fn an_envelope_is_echoed_with_its_payload() {
    let layout = "offset=2,width=4,endian=be,trailer=4".parse().expect("a layout");
    let format = Format::with_default_limit(layout).expect("a format");
    let server = start(ServerConfig::default().format(format), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| responder.send_with(frame.envelope(), frame.payload()).await
    });
    let mut wire = Vec::new();
    for (turn, len) in [5, 0, 100_000, 16 * 1024, 16 * 1024 - 1, 1, 300_000, 7].into_iter().enumerate() {
        let (turn, payload) = (turn as u8, vec![turn as u8; len]);
        let envelope = Envelope { prefix: &[turn, 0xA5], trailer: &[turn, 1, 2, 3] };
        Encoder::new(format).encode_with(envelope, &payload, &mut wire).expect("within the limit");
    }
    let (mut reader, sent) = (connect(server.addr), wire.clone());
    let mut writer = reader.try_clone().expect("a handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            write(&mut writer, &sent);
            writer.shutdown(Shutdown::Write).expect("a FIN");
        });
        assert!(read_to_end(&mut reader) == wire, "what was sent comes back");
    });
    let ended = server.next_close();
    assert_eq!((ended.reason, ended.traffic.frames_in, ended.traffic.frames_out), ("clean", 8, 8));
    assert_eq!((ended.traffic.bytes_in, ended.traffic.bytes_out), (wire.len() as u64, wire.len() as u64));

    // A reply without them is not sent, and says what it lacks.
    let server = start(ServerConfig::default().format(format), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, b"ab\0\0\0\x02hiTAIL");
    assert_eq!(read_to_end(&mut socket), b"");
    let ended = server.next_close();
    assert_eq!(ended.reason, "handler error");
    assert!(ended.text.contains("a prefix of 0 bytes where the format has 2"), "{}", ended.text);

    // A stream that ends inside a trailer is told so.
    let mut socket = connect(server.addr);
    write(&mut socket, b"ab\0\0\0\x02hiTA");
    socket.shutdown(Shutdown::Write).expect("a FIN");
    assert_eq!(read_to_end(&mut socket), b"");
    let error = server.next_close().error.expect("the decoder's");
    assert_eq!(error.kind(), DecodeErrorKind::Truncated { phase: Phase::Trailer, have: 10, need: 12 });
}

#[test]
fn a_split_client_lives_in_two_tasks() {
    let server = start(ServerConfig::default(), |_| echo);
    in_time(async {
        let client = Client::connect(server.addr, ClientConfig::default()).await.expect("connected");
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

#[test]
fn urgent_data_between_frames_holds_nothing_up() {
    // A read stops at the mark of urgent data, short of what has arrived.
    let (server, has_arrived, open) = gated();
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"first"));
    in_time(has_arrived.recv()).expect("arrived");
    let second = frame(b"second");
    write(&mut socket, &second[..6]);
    socket2::SockRef::from(&socket).send_out_of_band(b"!").expect("sent");
    write(&mut socket, &second[6..]);
    open.close();
    assert_eq!(read_frame(&mut socket), b"first");
    assert_eq!(read_frame(&mut socket), b"second");
}
