//! Looking at `unstick serve` from outside: `--stats` and `--metrics`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpStream};

use unstick::CloseKind;

use crate::harness::{GREETING, PATIENCE, Serve, finish, frame, rest, run};

/// Two frames and a clean end, a frame and an oversize one, and one that is still there.
fn visit(serve: &Serve) -> TcpStream {
    let mut clean = serve.greeted();
    clean.write_all(&[frame(b"one"), frame(b"two")].concat()).unwrap();
    assert_eq!(finish(clean), [frame(b"one"), frame(b"two")].concat());
    let mut oversize = serve.connect();
    oversize.write_all(&[&frame(b"three")[..], &[0xFF; 4]].concat()).unwrap();
    assert_eq!(rest(&mut oversize), [GREETING, &frame(b"three")].concat());
    for _ in 0..2 {
        serve.program.err_line_with(" closed: ");
    }
    serve.greeted()
}

const AFTER_THE_VISIT: &str =
    "in 3 frames, 27 bytes; out 6 frames, 104 bytes; buffered 0 bytes; accept failures 0; closed ";

#[test]
fn stats_are_printed_when_they_change_and_at_the_end() {
    let serve = Serve::start(&["--echo", "--max-payload", "1KiB", "--stats", "0.05"]);
    let stream = visit(&serve);
    let line = serve.program.err_line_with(" accepted 3, active 1");
    let line = if line.contains("out 6 frames") { line } else { serve.program.err_line_with("out 6 frames") };
    assert_eq!(line, format!("stats: accepted 3, active 1, refused 0; {AFTER_THE_VISIT}2: clean 1, oversize 1"));
    assert_eq!(finish(stream), b"");
    let last = format!("stats: accepted 3, active 0, refused 0; {AFTER_THE_VISIT}3: clean 2, oversize 1");
    assert_eq!(serve.program.err_line_with("active 0"), last);
    let ran = serve.stop();
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.last(), Some(&&*last), "at the end also without a change");
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("stats: ")).count(),
        1,
        "and else only after one: {lines:?}"
    );
}

#[test]
fn a_server_that_did_nothing_has_stats_too() {
    let ran = Serve::start(&["--stats", "1000"]).stop();
    let expected = "stats: accepted 0, active 0, refused 0; in 0 frames, 0 bytes; out 0 frames, 0 bytes; \
        buffered 0 bytes; accept failures 0; closed 0";
    assert_eq!(ran.err.lines().last(), Some(expected));
}

/// A server with metrics at a free port, and where.
fn start_with_metrics(flags: &[&str]) -> (Serve, SocketAddr) {
    let serve = Serve::start(&[&["--metrics", "127.0.0.1:0"], flags].concat());
    let line = serve.program.err_line();
    let addr = line.strip_prefix("metrics at http://").and_then(|url| url.strip_suffix("/metrics")).expect("the URL");
    (serve, addr.parse().unwrap())
}

/// What HTTP says to a request line: the head, and the body.
fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // In one write: bytes that arrive after the response would reset the connection, and it could be lost.
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
    (head.to_owned(), body.to_owned())
}

/// Each sample by its name with labels; every line is a comment that announces its metric, or a sample of it.
fn samples(body: &str) -> BTreeMap<String, u64> {
    let mut samples = BTreeMap::new();
    let mut family = "";
    let lines = body.strip_suffix("# EOF\n").expect("the end mark").lines();
    for line in lines {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            assert!(matches!(words.next(), Some("HELP" | "TYPE" | "UNIT")), "{line}");
            family = words.next().unwrap();
            assert!(words.next().is_some(), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let plain = name.split('{').next().unwrap();
        assert!(plain.starts_with("unstick_") && plain.strip_suffix("_total").unwrap_or(plain) == family, "{line}");
        assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    samples
}

#[test]
fn metrics_are_the_account() {
    let (serve, addr) = start_with_metrics(&["--echo", "--max-payload", "1KiB"]);
    let stream = visit(&serve);
    // What was sent is counted a moment after it was received.
    let mut answers = iter::repeat_with(|| ask(addr, "GET /metrics")).take(1000);
    let (head, body) = answers.find(|(_, body)| body.contains("unstick_frames_sent_total 6\n")).expect("six frames");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let content = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == content), "{head}");
    let samples = samples(&body);
    for (name, expected) in [
        ("unstick_connections_accepted_total", 3),
        ("unstick_connections_active", 1),
        ("unstick_connections_closed_total{reason=\"clean\"}", 1),
        ("unstick_connections_closed_total{reason=\"oversize\"}", 1),
        ("unstick_connections_closed_total{reason=\"slow reader\"}", 0),
        ("unstick_accept_failures_total", 0),
        ("unstick_frames_received_total", 3),
        ("unstick_frames_sent_total", 6),
        ("unstick_received_bytes_total", 27),
        ("unstick_sent_bytes_total", 104),
        ("unstick_buffered_bytes", 0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name}: {body}");
    }
    let closed: Vec<u64> = samples.iter().filter(|(name, _)| name.contains("closed")).map(|(_, n)| *n).collect();
    assert_eq!(closed.len(), CloseKind::ALL.len());
    let (accepted, active) = (samples["unstick_connections_accepted_total"], samples["unstick_connections_active"]);
    assert_eq!(accepted, active + closed.iter().sum::<u64>());
    drop(stream);
    serve.stop();
}

#[test]
fn other_requests_are_told_where_the_metrics_are() {
    let (serve, addr) = start_with_metrics(&[]);
    for (request, status) in [
        ("GET /", "404 Not Found"),
        ("GET /metrics/", "404 Not Found"),
        ("POST /metrics", "405 Method Not Allowed"),
        ("HEAD /metrics", "200 OK"),
        ("GET /metrics?x=1", "200 OK"),
        ("frames, please", "400 Bad Request"),
    ] {
        let (head, body) = ask(addr, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {head}");
        assert_eq!(body.is_empty(), request.starts_with("HEAD") || status.starts_with("400"), "{request}: {body}");
    }
    serve.stop();
}

/// As many connections as are answered at a time send no request; one that sends a request after them gets its
/// response.
#[test]
fn idle_connections_do_not_keep_requests_out() {
    let (serve, addr) = start_with_metrics(&[]);
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
    assert!(ask(addr, "GET /metrics").0.starts_with("HTTP/1.1 200 OK\r\n"));
    drop(silent);
    serve.stop();
}

#[test]
fn metrics_that_cannot_be_are_an_error_before_anything_is_served() {
    let serve = Serve::start(&[]);
    let ran = run(&["serve", "127.0.0.1:0", "--metrics", &serve.addr.to_string()], b"");
    assert_eq!((ran.code, ran.text()), (1, ""));
    assert!(ran.err.contains(&format!("cannot listen on {} (--metrics): ", serve.addr)), "{}", ran.err);
    serve.stop();
}
