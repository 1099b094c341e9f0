//! How connections end: for one reason each, with its numbers, and no other connection is touched.

use std::io::Read;
use std::net::{Shutdown, TcpStream};

use smol::channel;
use unstick::framing::{DecodeErrorKind, Diagnosis, EncodeError, Format, Frame, Phase};
use unstick::{CloseKind, Greeting, Responder, Server, ServerConfig, TUTORIAL_GREETING};

use crate::common::*;
use crate::greeting;

#[test]
fn a_negative_or_huge_length_is_refused_with_its_numbers() {
    let server = start(greeting(), |_| echo);
    for (field, negative) in [(u32::MAX, Some(-1)), (-1000i32 as u32, Some(-1000)), ((1 << 20) + 1, None)] {
        let mut socket = connect(server.addr);
        write(&mut socket, &frame(b"before"));
        write(&mut socket, &field.to_le_bytes());
        assert_eq!(read_frame(&mut socket), TUTORIAL_GREETING.as_bytes());
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
    assert_eq!((served.closes(CloseKind::Oversize), rest.len()), (3, 0));
}

#[test]
fn another_protocol_is_named() {
    let server = start(greeting(), |_| echo);
    let hellos: [(&[u8], &str); 3] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "looks like HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "looks like TLS"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "looks like SSH"),
    ];
    for (hello, looks) in hellos {
        let mut socket = connect(server.addr);
        write(&mut socket, hello);
        assert_eq!(read_to_end(&mut socket), frame(TUTORIAL_GREETING.as_bytes()));
        drop(socket);
        let ended = server.next_close();
        assert!(ended.text.contains(looks), "{}", ended.text);
        assert_eq!(ended.traffic.bytes_in, hello.len() as u64);
    }
}

#[test]
fn malformed_is_not_oversize() {
    let server = start(ServerConfig::default().format(Format::U32_LE_INCLUSIVE), |_| echo);
    let mut socket = connect(server.addr);
    write(&mut socket, &3u32.to_le_bytes());
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    let ended = server.next_close();
    assert_eq!(ended.reason, "malformed");
    assert_eq!(ended.error.expect("an error").kind(), DecodeErrorKind::Underflow { field: 3, adjustment: -4 });
}

/// Bytes of a peer that ends then, whole frames among them, and what its FIN truncates: the phase, have and need.
type Ending = (Vec<u8>, u64, Option<(Phase, u64, u64)>);

fn endings() -> [Ending; 5] {
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
    let server = start(ServerConfig::default(), |_| echo);
    for (bytes, frames_in, truncated) in endings() {
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
    assert_eq!((served.closes(CloseKind::Clean), served.closes(CloseKind::Truncated), rest.len()), (2, 3, 0));
}

#[test]
fn a_reset_is_a_reset_wherever_it_comes() {
    let server = start(ServerConfig::default(), |_| echo);
    for (bytes, frames_in, _) in endings() {
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
    assert_eq!(server.served().0.closes(CloseKind::Reset), 5);
}

#[test]
fn a_reset_that_a_reply_finds_is_a_reset_and_no_handler_error() {
    let (arrived, has_arrived) = channel::bounded::<()>(1);
    let (go, gone) = channel::bounded::<()>(1);
    let server = start(ServerConfig::default(), move |_| {
        let (arrived, gone) = (arrived.clone(), gone.clone());
        async move |_: Frame<'_>, responder: &mut Responder| {
            arrived.send(()).await.expect("a test");
            gone.recv().await.expect("a test");
            // It waits for room, and there never is any.
            loop {
                responder.send(&[0; 100_000]).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), EncodeError>(())
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
    let server = start(ServerConfig::default(), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| match frame.payload() {
            b"fail" => Err(Box::<dyn std::error::Error + Send + Sync>::from("asked to fail")),
            payload => Ok(responder.send(payload).await?),
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
    let server = start(ServerConfig::default().format(format), |_| {
        async |_: Frame<'_>, responder: &mut Responder| responder.send(&[0; 101]).await
    });
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_to_end(&mut socket), b"");
    drop(socket);
    let ended = server.next_close();
    assert_eq!(ended.text, "handler error: a payload of 101 bytes is over the limit of 100");
}

#[test]
fn a_handler_panic_ends_its_connection_and_no_other() {
    let server = start(ServerConfig::default(), |_| {
        async |frame: Frame<'_>, responder: &mut Responder| {
            assert_ne!(frame.payload(), b"panic", "a test's panic");
            responder.send(frame.payload()).await
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
    assert_eq!((served.closes(CloseKind::Panic), served.closes(CloseKind::Clean)), (3, 1));
}

#[test]
fn a_panic_where_a_handler_is_made_ends_that_connection_only() {
    let (first, is_first) = channel::bounded::<()>(1);
    first.try_send(()).expect("sent");
    let server = start(ServerConfig::default(), move |_| {
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
fn a_panic_in_on_open_or_on_close_ends_no_other_connection() {
    let (opened, opens) = channel::unbounded();
    let (closed, closes) = channel::unbounded();
    let (stop, stopped) = channel::bounded::<()>(1);
    let server = Server::bind("127.0.0.1:0", ServerConfig::default())
        .expect("a port")
        .on_open(move |peer| {
            opened.try_send(peer.clone()).expect("sent");
            assert!(opened.len() != 1, "a test's panic");
        })
        .on_close(move |end| {
            closed.try_send(end.reason.name()).expect("sent");
            panic!("a test's panic");
        });
    let addr = server.local_addr().expect("a TCP address");
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
    let served = in_time(serving).expect("threads");
    assert_eq!((opens.len(), served.accepted, served.closes(CloseKind::Clean)), (2, 2, 1));
}

/// What a handler keeps is dropped with its connection, and that may panic as well.
#[test]
fn a_panic_where_a_handler_is_dropped_is_told_as_one() {
    struct Kept;
    impl Drop for Kept {
        fn drop(&mut self) {
            panic!("a test's panic");
        }
    }
    let server = start(ServerConfig::default(), |_| {
        let kept = Kept;
        async move |frame: Frame<'_>, responder: &mut Responder| {
            let _ = &kept;
            responder.send(frame.payload()).await
        }
    });
    let mut socket = connect(server.addr);
    write(&mut socket, &frame(b"hello"));
    assert_eq!(read_frame(&mut socket), b"hello");
    drop(socket);
    let ended = server.next_close();
    assert_eq!((ended.reason, ended.text.as_str()), ("handler panic", "handler panic: a test's panic"));
}

/// A connection over the limit that ended for another reason was still counted as being refused: from then on one too
/// many was served, and once that one had ended, every connection was refused.
#[test]
fn a_panic_while_one_is_refused_frees_its_count() {
    // `on_open` is not called for a connection that is closed without a refusal.
    let config = ServerConfig::default().refusal(Greeting::Frame(b"it is full".to_vec())).max_connections(Some(1));
    let server = Server::bind("127.0.0.1:0", config).expect("a port");
    let account = server.account();
    let server = run(server.on_open(move |_| assert!(account.stats().accepted != 2, "a test's panic")), |_| echo);
    let hello = |socket: &mut TcpStream| {
        write(socket, &frame(b"hello"));
        read_frame(socket)
    };
    let mut first = connect(server.addr);
    assert_eq!(hello(&mut first), b"hello");
    let second = connect(server.addr);
    assert_eq!(server.next_close().reason, "handler panic");
    let third = connect(server.addr);
    assert_eq!(server.next_close().reason, "refused", "the first is served still");
    drop((first, second, third));
    assert_eq!(server.next_close().reason, "clean");
    let mut last = connect(server.addr);
    assert_eq!(hello(&mut last), b"hello", "it is served again");
}
