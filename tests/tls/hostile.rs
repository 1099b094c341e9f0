//! Peers that break the rules of TLS, or do not speak it: each connection ends with a reason that says so.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::{ClientConnection, StreamOwned};
use unstick::{CloseKind, HandshakeError, ServerConfig};

use super::*;
use crate::common::{DEADLINE, Ended, connect as tcp, frame, in_time, read_to_end, run, start, write};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// rustls's own client on a socket, after the handshake and one echoed frame.
fn raw(server: &Running, authority: &Authority) -> Stream {
    raw_with(server, trusting(authority, None))
}

fn raw_with(server: &Running, tls: rustls::ClientConfig) -> Stream {
    let client = ClientConnection::new(Arc::new(tls), "localhost".try_into().expect("a name")).expect("a client");
    let mut stream = StreamOwned::new(client, tcp(server.addr));
    stream.write_all(&frame(b"hello")).expect("written");
    let mut reply = [0; 9];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(reply[..], frame(b"hello"));
    stream
}

fn ended(server: &Running, mut stream: Stream) -> Ended {
    stream.sock.shutdown(Shutdown::Write).expect("a FIN");
    let ended = server.next_close();
    // The peer can read everything up to the server's end or alert.
    _ = stream.read_to_end(&mut Vec::new());
    ended
}

#[test]
fn an_end_without_close_notify_is_truncated_also_between_frames() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let close = ended(&server, raw(&server, &authority));
    assert_eq!(close.text, "truncated: the stream ended without TLS's close_notify");

    let mut stream = raw(&server, &authority);
    stream.write_all(b"\x05\0\0\0he").expect("written");
    let close = ended(&server, stream);
    assert!(close.text.ends_with("the stream ended inside a frame: 3 of 9 bytes missing"), "{}", close.text);

    let mut stream = raw(&server, &authority);
    stream.conn.send_close_notify();
    stream.flush().expect("sent");
    assert_eq!(ended(&server, stream).reason, "clean");
    assert_eq!(server.served().0.closes(CloseKind::Truncated), 2);
}

#[test]
fn close_notify_inside_a_frame_is_truncated() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let mut stream = raw(&server, &authority);
    stream.write_all(b"\x05\0\0\0he").expect("written");
    stream.conn.send_close_notify();
    stream.flush().expect("sent");
    let close = ended(&server, stream);
    assert!(close.text.ends_with("the stream ended inside a frame: 3 of 9 bytes missing"), "{}", close.text);
}

/// The connection ends inside a record, so the frame in it cannot be decrypted.
#[test]
fn an_end_inside_a_record_is_truncated() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let mut stream = raw(&server, &authority);
    stream.conn.writer().write_all(&frame(&[7; 1000])).expect("queued");
    let mut record = Vec::new();
    stream.conn.write_tls(&mut record).expect("a record");
    stream.sock.write_all(&record[..500]).expect("written");
    assert_eq!(ended(&server, stream).reason, "truncated");
}

#[test]
fn invalid_records_end_the_connection() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    for (garbage, said) in [
        // An unencrypted record; one that declares too long a length; no record at all.
        (&b"\x17\x03\x03\0\x20_an_unencrypted_record__________"[..], "cannot decrypt peer's message"),
        (b"\x17\x03\x03\xff\xff", "MessageTooLarge"),
        (b"GET / HTTP/1.1\r\n\r\n", "InvalidContentType"),
    ] {
        let mut stream = raw(&server, &authority);
        stream.sock.write_all(garbage).expect("written");
        let close = ended(&server, stream);
        assert_eq!(close.reason, "tls error", "{}", close.text);
        assert!(close.text.contains(said), "{}", close.text);
        assert_eq!((close.traffic.frames_in, close.traffic.frames_out), (1, 1));
    }
    assert_eq!(server.served().0.closes(CloseKind::Tls), 3);
}

/// Frames that arrived before the garbage are handled and answered.
#[test]
fn frames_before_garbage_are_handled() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let mut stream = raw(&server, &authority);
    stream.conn.writer().write_all(&frame(b"whole").repeat(10)).expect("queued");
    let mut records = Vec::new();
    stream.conn.write_tls(&mut records).expect("records");
    stream.sock.write_all(&[&records[..], b"and garbage"].concat()).expect("written");
    let close = ended(&server, stream);
    assert_eq!((close.reason, close.traffic.frames_in), ("tls error", 11), "{}", close.text);
}

#[test]
fn a_peer_without_tls_is_named_and_gets_an_alert() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    for (first, looks_like) in [
        (&frame(b"hello")[..], "05 00 00 00 68 65 6c 6c (looks like a frame without TLS)"),
        (&frame(b"")[..], "00 00 00 00 (looks like a frame without TLS)"),
        (b"GET / HTTP/1.1\r\n\r\n", "47 45 54 20 2f 20 48 54 (looks like HTTP)"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "53 53 48 2d 32 2e 30 2d (looks like SSH)"),
        (b"\x16\x02\x00\x00", "16 02 00 00 (looks like a frame without TLS)"),
    ] {
        let mut socket = tcp(server.addr);
        write(&mut socket, first);
        assert_eq!(read_to_end(&mut socket), [21, 3, 3, 0, 2, 2, 10]);
        drop(socket);
        let said = format!("handshake: the peer does not speak TLS: its first bytes are {looks_like}");
        assert_eq!(server.next_close().text, said);
    }
    // The start of a hello, then something else, or nothing.
    for (first, said) in [
        (&b"\x16\x03\x01\x02\0garbage behind a header: ".repeat(40)[..], "the TLS handshake failed: "),
        (b"\x16\x03\x01\xff\xff", "the TLS handshake failed: received corrupt message"),
        (b"\x16\x03\x01\x02\0\x01\0\x01", "the peer ended its stream during the TLS handshake"),
        (b"", "the peer ended its stream during the TLS handshake"),
    ] {
        let mut socket = tcp(server.addr);
        write(&mut socket, first);
        socket.shutdown(Shutdown::Write).expect("a FIN");
        let close = server.next_close();
        assert!(close.text.starts_with(&format!("handshake: {said}")), "{}", close.text);
        read_to_end(&mut socket);
    }
    let (stats, _) = server.served();
    assert_eq!((stats.closes(CloseKind::Handshake), stats.active), (9, 0));
}

/// A client without TLS and a server with it, and the other way round. To most formats, a hello begins with a length
/// within the limit, so the server first waits for that frame.
#[test]
fn tls_at_one_end_only_is_reported_by_the_other() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    in_time(async {
        let mut client = Client::connect(server.addr, ClientConfig::default()).await.expect("connected");
        client.send(b"hello").await.expect("sent");
        let closed = client.finish().await;
        assert!(closed.to_string().contains("looks like TLS"), "{closed}");
    });
    assert!(server.next_close().text.contains("looks like a frame without TLS"));

    let config = ServerConfig::default().frame_timeout(Some(std::time::Duration::from_millis(200)));
    let server = start(config, |_| echo);
    let error = in_time(connect(server.addr, trusting(&authority, None))).expect_err("no TLS");
    assert!(matches!(error, ConnectError::Handshake(HandshakeError::Ended)), "{error:?}");
    let close = server.next_close();
    assert!(close.text.contains("looks like TLS"), "{}", close.text);
}

/// A peer that resets the connection, during the handshake and after it.
#[test]
fn a_reset_during_the_handshake_and_one_after_it_have_different_reasons() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let mut socket = tcp(server.addr);
    write(&mut socket, b"\x16\x03\x01\x02\0");
    crate::common::reset(socket);
    let close = server.next_close();
    assert!(close.text.starts_with("handshake: the connection failed during the TLS handshake"), "{}", close.text);
    crate::common::reset(raw(&server, &authority).sock);
    assert_eq!(server.next_close().reason, "reset");
}

/// A peer that reads nothing: the memory held for it is bounded, and its connection ends.
#[test]
fn a_peer_that_reads_nothing_is_a_slow_reader() {
    let authority = Authority::new("an authority");
    let config = ServerConfig::default().write_timeout(Some(std::time::Duration::from_millis(200)));
    let server = run(super::server(config, authority.server().serving()), |_| echo);
    let mut stream = raw(&server, &authority);
    stream.sock.set_nonblocking(true).expect("an option");
    let wire = frame(&[7; 60_000]);
    let begin = std::time::Instant::now();
    let account = loop {
        // It sends as long as the server reads.
        _ = stream.write(&wire);
        assert!(begin.elapsed() < DEADLINE);
        if let Some(close) = server.close_at_hand() {
            break close;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert_eq!(account.reason, "slow reader", "{}", account.text);
    let stats = server.served().0;
    assert_eq!(stats.buffered, 0, "all memory is given back");
}
