//! The client over a Unix socket: the same one, in all that it does.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, process, thread};

use smol::net::unix::UnixListener;
use unstick::{
    CallError, Client, ClientConfig, Closed, ConnectError, ExpectedGreeting, Greeting, Halves, PeerName, Server,
    ServerConfig, serve_connection,
};

use crate::common::*;

/// A path for a socket, which is removed at the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> SocketPath {
        let path = env::temp_dir().join(format!("unstick-{}-{name}.sock", process::id()));
        _ = fs::remove_file(&path);
        SocketPath(path)
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

/// Serves one connection.
fn serve_one(listener: UnixListener, config: ServerConfig) -> thread::JoinHandle<Closed> {
    thread::spawn(move || {
        in_time(async {
            let (stream, _) = listener.accept().await.expect("accepted");
            let peer = PeerName::Unix { path: None, credentials: None };
            let socket = Halves { reader: stream.clone(), writer: stream };
            serve_connection(peer, socket, config, |_| echo).await.expect("a configuration to serve with")
        })
    })
}

#[test]
fn a_unix_socket_is_served_like_tcp() {
    let path = SocketPath::new("like-tcp");
    let listener = UnixListener::bind(&path.0).expect("a socket");
    let server = serve_one(listener, ServerConfig::default().greeting(Greeting::Frame(b"welcome".to_vec())));
    in_time(async {
        let config = ClientConfig::default().greeting(ExpectedGreeting::Frame);
        let mut client = Client::connect_unix(&path.0, config).await.expect("connected");
        assert_eq!(client.greeting(), b"welcome");
        assert_eq!(client.peer(), &PeerName::Unix { path: Some(path.0.clone()), credentials: None });
        let large = vec![7; 300_000];
        for payload in [&b"hello"[..], b"", &large] {
            assert_eq!(client.call(payload).await.expect("a reply").payload(), payload);
        }
        client.send(b"last").await.expect("sent");
        client.close().await.expect("half-closed");
        assert_eq!(client.recv().await.expect("a frame").expect("a frame").payload(), b"last");
        assert!(client.recv().await.expect("the end").is_none());
        let closed = client.finish().await;
        assert!(
            closed.to_string().starts_with(&format!("unix:{} closed: clean (5 frames", path.0.display())),
            "{closed}"
        );
    });
    assert_eq!(server.join().expect("served").reason.name(), "clean");
}

#[test]
fn its_halves_live_apart() {
    let path = SocketPath::new("halves");
    let server = serve_one(UnixListener::bind(&path.0).expect("a socket"), ServerConfig::default());
    in_time(async {
        let client = Client::connect_unix(&path.0, ClientConfig::default()).await.expect("connected");
        let (mut reader, mut writer) = client.split();
        let sending = smol::spawn(async move {
            for n in 0..1000u32 {
                writer.feed(&n.to_le_bytes()).await.expect("sent");
            }
            writer.close().await.expect("half-closed");
        });
        for n in 0..1000u32 {
            let frame = reader.next_frame().await.expect("a frame").expect("a frame");
            assert_eq!(frame.payload(), n.to_le_bytes());
        }
        assert!(reader.next_frame().await.expect("the end").is_none());
        sending.await;
    });
    assert_eq!(server.join().expect("served").reason.name(), "clean");
}

#[test]
fn a_missing_server_or_one_that_does_not_answer_is_an_error() {
    let path = SocketPath::new("nobody");
    let error = in_time(Client::connect_unix(&path.0, ClientConfig::default())).expect_err("nobody");
    assert!(matches!(error, ConnectError::Io(_)), "{error}");

    let listener = UnixListener::bind(&path.0).expect("a socket");
    in_time(async {
        let mut client = Client::connect_unix(&path.0, ClientConfig::default()).await.expect("connected");
        let error = client.call_within(b"hello", Duration::from_millis(20)).await.expect_err("late");
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        drop(listener.accept().await.expect("accepted"));
    });
}

/// The system refuses to connect to a file that is not a socket, as it does for a socket without a listener.
#[test]
fn only_a_socket_without_a_listener_is_replaced() {
    let path = SocketPath::new("replaced");
    fs::write(&path.0, "precious").expect("a file");
    let error = Server::bind_unix(&path.0, ServerConfig::default()).expect_err("a file that is no socket");
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::AlreadyExists, "what is there is no socket"));
    assert_eq!(fs::read(&path.0).expect("the file"), b"precious");
    fs::remove_file(&path.0).expect("removed");

    // A socket outlives its listener.
    drop(UnixListener::bind(&path.0).expect("a socket"));
    let server = Server::bind_unix(&path.0, ServerConfig::default()).expect("replaced");
    let error = Server::bind_unix(&path.0, ServerConfig::default()).expect_err("somebody listens");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(server);
    assert!(!path.0.exists(), "it goes with its server");
}
