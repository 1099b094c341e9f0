//! What a subscriber of the crate `tracing` hears of a server. A process of its own, as there is one subscriber for all its
//! threads.

mod common;

use std::io;
use std::sync::{Mutex, PoisonError};

use common::*;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use unstick::{Greeting, ServerConfig, TUTORIAL_GREETING};

/// What the subscriber wrote: an event a line.
static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Written;

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The events so far: level, text, and the fields beside it.
fn events() -> Vec<(String, String, Value)> {
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(written).expect("text");
    let event = |line: &str| -> (String, String, Value) {
        let mut event: Value = serde_json::from_str(line).expect("an event");
        assert_eq!(event["target"], "unstick::server");
        let fields = event["fields"].as_object_mut().expect("fields");
        let text = fields.remove("message").expect("a text");
        let fields = event["fields"].take();
        (event["level"].as_str().expect("a level").into(), text.as_str().expect("text").into(), fields)
    };
    text.lines().filter(|line| line.contains("unstick::server")).map(event).collect()
}

#[test]
fn a_server_tells_what_happens_to_it_and_to_each_connection() {
    let json = tracing_subscriber::fmt().json().with_max_level(LevelFilter::DEBUG).with_writer(|| Written);
    json.init();
    let text = "refused: 1 connections are served already";
    let config = ServerConfig::default().greeting(Greeting::Frame(TUTORIAL_GREETING.into()));
    let config = config.refusal(Greeting::Frame(text.into()));
    let server = start(config.max_connections(Some(1)), |_| echo);
    let addr = server.addr.to_string();

    let mut served = connect(server.addr);
    read_frame(&mut served);
    write(&mut served, &frame(b"one"));
    read_frame(&mut served);
    let mut refused = connect(server.addr);
    read_to_end(&mut refused);
    let peers = [&served, &refused].map(|socket| socket.local_addr().expect("an address").to_string());
    drop(refused);
    assert_eq!(server.next_close().reason, "refused");
    #[cfg(target_os = "linux")]
    without_descriptors(&server);
    drop(served);
    assert_eq!(server.next_close().reason, "clean");
    server.served();

    let mut told = events().into_iter();
    let mut next = || {
        let (level, text, fields) = told.next().expect("one more event");
        (format!("{level} {text}"), fields)
    };
    assert_eq!(next(), ("INFO listening".into(), json!({ "addr": addr })));
    assert_eq!(next(), ("DEBUG opened".into(), json!({ "peer": peers[0] })));
    assert_eq!(next(), ("DEBUG refused".into(), json!({ "peer": peers[1], "max_connections": 1 })));
    let refused = json!({ "peer": peers[1], "reason": "refused", "text": text,
        "frames_in": 0, "bytes_in": 0, "frames_out": 1, "bytes_out": 4 + text.len() });
    assert_eq!(next(), ("INFO closed".into(), refused));
    #[cfg(target_os = "linux")]
    {
        let (text, fields) = next();
        assert_eq!(text, "WARN accept failed");
        assert_eq!(fields["rest"], "10ms");
        assert!(fields["error"].as_str().is_some_and(|error| error.contains("files")), "{fields}");
        let mut left = next();
        while left.0 == "WARN accept failed" {
            left = next();
        }
        assert_eq!(left.0, "DEBUG refused");
        let (text, fields) = next();
        assert_eq!((&*text, &fields["reason"]), ("INFO closed", &json!("refused")));
    }
    let clean = json!({ "peer": peers[0], "reason": "clean", "text": "clean",
        "frames_in": 1, "bytes_in": 7, "frames_out": 2, "bytes_out": 34 });
    assert_eq!(next(), ("INFO closed".into(), clean));
    assert_eq!(next(), ("INFO stopping".into(), json!({ "active": 0 })));
    let accepted = if cfg!(target_os = "linux") { 3 } else { 2 };
    assert_eq!(next(), ("INFO drained".into(), json!({ "accepted": accepted, "active": 0, "closed": accepted })));
    assert_eq!(told.next(), None);
}

/// For a while the process may open no descriptor, so that a connection cannot be accepted; then it is, and refused.
#[cfg(target_os = "linux")]
fn without_descriptors(server: &Running) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use socket2::{Domain, Socket, Type};

    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a lower limit");
    socket.connect(&server.addr.into()).expect("connected");
    let failed = || events().iter().any(|(_, text, _)| text == "accept failed");
    in_time(async {
        while !failed() {
            smol::future::yield_now().await;
        }
    });
    setrlimit(Resource::Nofile, limit).expect("the limit as it was");
    read_to_end(&mut socket.into());
    assert_eq!(server.next_close().reason, "refused");
}
