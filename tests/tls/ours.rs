//! Our server and our client, over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use smol::channel;
use unstick::framing::Frame;
use unstick::{
    Client, ClientConfig, CloseKind, ConnectError, ExpectedGreeting, Greeting, HandshakeError, Outbox, Peer, PeerName,
    Responder, Server, ServerConfig, TlsPeer,
};

use super::*;
use crate::common::in_time;

#[test]
fn frames_of_any_length_come_back() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    in_time(async {
        let mut client = client_of(server.addr, &authority).await;
        for len in [0, 1, 100, 16_380, 16_384, 16_385, 65_536, 300_000, 1 << 20] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            assert_eq!(client.call(&payload).await.expect("a reply").payload(), payload, "{len}");
        }
        let closed = client.finish().await;
        assert_eq!(closed.reason.name(), "clean", "{closed}");
    });
    let ended = server.next_close();
    assert_eq!((ended.reason, ended.traffic.frames_in, ended.traffic.frames_out), ("clean", 9, 9), "{}", ended.text);
}

#[test]
fn a_client_runs_under_tokio() {
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = client_of(server.addr, &authority).await;
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
        assert_eq!(client.finish().await.reason.name(), "clean");
    });
    assert_eq!(server.next_close().reason, "clean");
}

/// Both directions are full at once: reading must not block writing, nor writing reading.
#[test]
fn both_directions_flow_at_once() {
    const FRAMES: u32 = 300;
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    in_time(async {
        let (mut reader, mut writer) = client_of(server.addr, &authority).await.split();
        let sending = async {
            for n in 0..FRAMES {
                writer.send(&vec![n as u8; 40_000]).await.expect("sent");
            }
            writer.close().await.expect("closed");
        };
        let receiving = async {
            for n in 0..FRAMES {
                let frame = reader.next_frame().await.expect("no error").expect("a frame");
                assert_eq!(frame.payload(), vec![n as u8; 40_000]);
            }
            assert!(reader.next_frame().await.expect("a clean end").is_none());
        };
        futures_lite::future::zip(sending, receiving).await;
    });
    assert_eq!(server.next_close().reason, "clean");
}

/// The client ends its stream before the handler replies: the reply still arrives.
#[test]
fn a_half_closed_connection_still_gets_its_reply() {
    let authority = Authority::new("an authority");
    let handler = |peer: Peer| {
        async move |frame: Frame<'_>, responder: &mut Responder| {
            peer.sleep(Duration::from_millis(50)).await;
            responder.send(frame.payload()).await
        }
    };
    let server = run(server(ServerConfig::default(), authority.server().serving()), handler);
    in_time(async {
        let mut client = client_of(server.addr, &authority).await;
        client.send(b"last words").await.expect("sent");
        client.close().await.expect("half-closed");
        assert_eq!(client.recv().await.expect("no error").expect("a frame").payload(), b"last words");
        assert!(client.recv().await.expect("a clean end").is_none());
    });
    assert_eq!(server.next_close().reason, "clean");
}

#[test]
fn the_certificate_and_the_protocol_are_in_the_peers_name() {
    let authority = Authority::new("an authority");
    let (alice, own) = (authority.client("alice"), authority.server());
    let mut serving = own.serving_clients_of(&authority);
    serving.alpn_protocols = vec![b"frames/2".to_vec(), b"frames/1".to_vec()];
    let (seen, names) = channel::unbounded();
    let server = run(server(ServerConfig::default(), serving), move |peer: Peer| {
        seen.try_send(peer.name().clone()).expect("a test");
        echo
    });
    in_time(async {
        let mut tls = trusting(&authority, Some(&alice));
        tls.alpn_protocols = vec![b"frames/1".to_vec()];
        let mut client = connect(server.addr, tls).await.expect("connected");
        client.call(b"hello").await.expect("a reply");
        let expected = |certificate: &[u8]| (vec![certificate.to_vec()], Some(b"frames/1".to_vec()));
        let shown = |peer: &TlsPeer| (peer.certificates.clone(), peer.alpn.clone());
        assert_eq!(shown(client.peer().as_tls().expect("TLS")), expected(&own.certificate));
        assert_eq!(client.peer().as_socket(), Some(server.addr));
        let name = names.recv().await.expect("a handler");
        assert_eq!(shown(name.as_tls().expect("TLS")), expected(&alice.certificate));
        assert!(name.as_socket().is_some());
        assert_eq!(name.to_string(), name.as_tls().expect("TLS").name.to_string());
        client.finish().await;
    });
    assert!(matches!(server.next_close().peer, PeerName::Tls(_)));
}

/// A client without a certificate, with an expired one, and with one from an unknown authority.
#[test]
fn a_client_without_a_valid_certificate_reaches_no_handler() {
    let (authority, foreign) = (Authority::new("an authority"), Authority::new("another one"));
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let handlers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&handlers);
        let serving = authority.server().serving_clients_of(&authority);
        let server = run(server(ServerConfig::default(), serving), move |_| {
            counted.fetch_add(1, SeqCst);
            echo
        });
        for (shows, ours, theirs) in [
            (None, "peer sent no certificates", "CertificateRequired"),
            (Some(authority.expired()), "certificate expired", "CertificateExpired"),
            (Some(foreign.client("mallory")), "UnknownIssuer", "UnknownCA"),
        ] {
            let mut tls = rustls::ClientConfig::builder_with_protocol_versions(versions)
                .with_root_certificates(authority.roots())
                .with_no_client_auth();
            tls.client_auth_cert_resolver = trusting(&authority, shows.as_ref()).client_auth_cert_resolver;
            let said = in_time(async {
                match connect(server.addr, tls).await {
                    Err(ConnectError::Handshake(HandshakeError::Tls(error))) => error.to_string(),
                    Err(error) => panic!("{error:?}"),
                    // In TLS 1.3, the client's handshake ends before the server has checked its certificate.
                    Ok(client) => client.finish().await.reason.to_string(),
                }
            });
            let ended = server.next_close();
            assert_eq!(ended.reason, "handshake");
            assert!(ended.text.contains(ours), "{}", ended.text);
            assert!(said.contains(theirs) || said.contains("HandshakeFailure"), "{said}, where ours is {}", ended.text);
        }
        assert_eq!(handlers.load(SeqCst), 0);
        assert_eq!(server.served().0.closes(CloseKind::Handshake), 3);
    }
}

#[test]
fn a_client_refuses_an_untrusted_server() {
    let (authority, foreign) = (Authority::new("an authority"), Authority::new("another one"));
    for (serving, ours, theirs) in [
        (authority.expired().serving(), "certificate expired", "CertificateExpired"),
        (foreign.server().serving(), "UnknownIssuer", "UnknownCA"),
    ] {
        let server = run(server(ServerConfig::default(), serving), |_| echo);
        let error = in_time(connect(server.addr, trusting(&authority, None))).expect_err("no trust");
        let ConnectError::Handshake(HandshakeError::Tls(error)) = error else { panic!("{error:?}") };
        assert!(error.to_string().contains(ours), "{error}");
        let ended = server.next_close();
        assert_eq!(ended.reason, "handshake");
        assert!(ended.text.contains(theirs), "{}", ended.text);
    }
    let server = echo_of(&authority);
    let name = "example.org".try_into().expect("a name");
    let tls = Arc::new(trusting(&authority, None));
    let error = in_time(Client::connect_tls(server.addr, name, tls, ClientConfig::default())).expect_err("no trust");
    assert!(matches!(error, ConnectError::Handshake(HandshakeError::Tls(_))), "{error:?}");
}

#[test]
fn pushes_and_a_greeting_come_over_tls() {
    let authority = Authority::new("an authority");
    let (give, outboxes) = channel::unbounded::<Outbox>();
    let config = ServerConfig::default().greeting(Greeting::Frame(b"welcome".to_vec()));
    let server = run(server(config, authority.server().serving()), move |peer: Peer| {
        give.try_send(peer.outbox()).expect("a test");
        echo
    });
    in_time(async {
        let name = "localhost".try_into().expect("a name");
        let config = ClientConfig::default().greeting(ExpectedGreeting::Frame);
        let tls = Arc::new(trusting(&authority, None));
        let mut client = Client::connect_tls(server.addr, name, tls, config).await.expect("greeted");
        assert_eq!(client.greeting(), b"welcome");
        let outbox = outboxes.recv().await.expect("an outbox");
        for len in [5, 30_000, 200_000] {
            outbox.send(bytes::Bytes::from(vec![7; len])).await.expect("pushed");
            assert_eq!(client.recv().await.expect("no error").expect("a push").payload(), vec![7; len]);
        }
        outbox.close();
        assert!(client.recv().await.expect("a clean end").is_none());
    });
    assert_eq!(server.next_close().reason, "ended");
}

#[test]
fn a_stop_answers_the_frames_in_flight_and_sends_close_notify() {
    let authority = Authority::new("an authority");
    let (arrived, has_arrived) = channel::unbounded();
    let handler = move |peer: Peer| {
        let arrived = arrived.clone();
        async move |frame: Frame<'_>, responder: &mut Responder| {
            arrived.send(()).await.expect("a test");
            peer.sleep(Duration::from_millis(100)).await;
            responder.send(frame.payload()).await
        }
    };
    let server = run(server(ServerConfig::default(), authority.server().serving()), handler);
    in_time(async {
        let mut client = client_of(server.addr, &authority).await;
        client.send(b"in flight").await.expect("sent");
        has_arrived.recv().await.expect("a frame");
        server.stop();
        assert_eq!(client.recv().await.expect("no error").expect("a reply").payload(), b"in flight");
        assert!(client.recv().await.expect("a clean end, by close_notify").is_none());
    });
    assert_eq!(server.served().0.closes(CloseKind::Stopped), 1);
}

/// A refused client gets the refusal over TLS, or its connection is closed.
#[test]
fn one_client_too_many_is_refused_over_tls() {
    let authority = Authority::new("an authority");
    for refusal in [Greeting::None, Greeting::Frame(b"refused: full".to_vec())] {
        let is_told = refusal != Greeting::None;
        let config = ServerConfig::default().max_connections(Some(1)).refusal(refusal);
        let server = run(server(config, authority.server().serving()), |_| echo);
        in_time(async {
            let mut first = client_of(server.addr, &authority).await;
            first.call(b"hello").await.expect("a reply");
            match connect(server.addr, trusting(&authority, None)).await {
                Ok(mut second) => {
                    assert!(is_told);
                    let told = second.recv().await.expect("no error").expect("the refusal");
                    assert_eq!(told.payload(), b"refused: full");
                    assert!(second.recv().await.expect("a clean end").is_none());
                }
                Err(error) => assert!(!is_told, "{error:?}"),
            }
            assert_eq!(server.next_close().reason, "refused");
            first.finish().await;
        });
        assert_eq!(server.next_close().reason, "clean");
    }
}

#[cfg(unix)]
#[test]
fn unix_sockets_carry_tls_too() {
    let folder = certificates::Folder::new("tls-unix");
    let path = folder.path().join("socket");
    let authority = Authority::new("an authority");
    let tls = Arc::new(authority.server().serving());
    let server = Server::bind_unix(&path, ServerConfig::default()).expect("a socket").tls(tls);
    let serving = smol::spawn(server.serve(|_| echo, std::future::pending()));
    in_time(async {
        let name = "localhost".try_into().expect("a name");
        let tls = Arc::new(trusting(&authority, None));
        let mut client = Client::connect_unix_tls(&path, name, tls, ClientConfig::default()).await.expect("connected");
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
        assert!(matches!(client.peer().as_tls().expect("TLS").name, PeerName::Unix { .. }));
        assert_eq!(client.finish().await.reason.name(), "clean");
        serving.cancel().await;
    });
}

/// The server answers a batch with one write, and so with few records. They are counted on the wire.
#[test]
fn a_batch_of_replies_takes_fewer_records_than_frames() {
    const FRAMES: usize = 64;
    let authority = Authority::new("an authority");
    let server = echo_of(&authority);
    let (near, records) = counting_proxy(server.addr);
    in_time(async {
        let mut client = client_of(near, &authority).await;
        client.call(b"the handshake is over").await.expect("a reply");
        let before = records.load(SeqCst);
        for _ in 0..FRAMES {
            client.enqueue(&[7; 100]).expect("queued");
        }
        client.flush().await.expect("sent");
        for _ in 0..FRAMES {
            assert_eq!(client.recv().await.expect("no error").expect("a reply").payload(), [7; 100]);
        }
        let batch = records.load(SeqCst) - before;
        assert!((1..FRAMES / 4).contains(&batch), "{batch} records for {FRAMES} frames");
        client.finish().await;
    });
}

/// Forwards a connection, and counts the records that the server sends.
fn counting_proxy(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (near, count) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("accepted");
        let mut server = TcpStream::connect(server).expect("connected");
        let (mut from, mut to) = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut header = [0; 5];
        while server.read_exact(&mut header).is_ok() {
            let mut record = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
            server.read_exact(&mut record).expect("a record");
            counted.fetch_add(1, SeqCst);
            if client.write_all(&[&header[..], &record].concat()).is_err() {
                break;
            }
        }
    });
    (near, count)
}
