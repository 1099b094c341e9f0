//! `cargo xtask load` as a process, against the crate's own server, over real sockets.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use unstick::framing::{Format, Frame};
use unstick::{Greeting, Replies, Server, ServerConfig};

/// An echo server on a thread of this process, for as long as the test runs.
fn echo_server(config: ServerConfig) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", config).expect("the loopback has a free port");
    let addr = server.local_addr();
    let echo = |_| async |frame: Frame<'_>, replies: &mut Replies| replies.send(frame.payload()).await;
    thread::spawn(move || smol::block_on(server.serve(echo, std::future::pending())));
    addr
}

fn quiet() -> ServerConfig {
    ServerConfig::default().greeting(Greeting::None)
}

fn load(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("load").args(args);
    command
}

/// Runs a load that must end with `code`; its standard output and standard error.
#[track_caller]
fn ends_with(code: i32, args: &[&str]) -> (String, String) {
    let Output { status, stdout, stderr } = load(args).output().expect("the program was built");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("what is printed is UTF-8"));
    assert_eq!(status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

#[test]
fn a_second_of_load_is_verified_and_reported() {
    let addr = echo_server(quiet()).to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.json");
    let (stdout, stderr) = ends_with(0, &["--addr", &addr, "--seconds", "1", "--json", file.to_str().unwrap()]);
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("every byte of ") && lines[0].ends_with(" on 64 connections"), "{stdout}");
    assert!(stdout.contains("frames/s") && stdout.contains("p99.9") && stderr.is_empty(), "{stdout}{stderr}");

    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["verdict"], "verified");
    assert_eq!(json["frames_sent"], json["frames_verified"]);
    assert!(json["frames_verified"].as_u64().unwrap() >= 64 * 16, "{json}");
    let quantiles = ["p50", "p90", "p99", "p99.9", "max"].map(|name| json["round_trip_ns"][name].as_u64().unwrap());
    assert!(quantiles[0] > 0 && quantiles.is_sorted(), "{json}");
}

#[test]
fn formats_payloads_and_greetings_go_together() {
    let with = |config| echo_server(config).to_string();
    let frame = ServerConfig::default();
    let raw = ServerConfig::default().greeting(Greeting::Raw(b"hello".to_vec()));
    let cases: [(String, &[&str], &str); 5] = [
        (with(quiet().format(Format::VARINT)), &["--format", "varint", "--payload", "200"], "varint"),
        (with(quiet().format(Format::U16_BE_INCLUSIVE)), &["--format", "u16be-inclusive"], "u16be-inclusive"),
        (with(frame), &["--greeting", "frame", "--payload", "1MiB", "--in-flight", "2"], "1048576 B"),
        (with(raw), &["--greeting", "raw:5", "--payload", "1"], "× 1 B"),
        (with(quiet()), &["--payload", "0"], "an empty payload has no byte to verify"),
    ];
    for (addr, args, expected) in cases {
        let all = [&["--addr", &addr, "--connections", "3", "--frames", "60", "--seconds", "60"], args].concat();
        let (stdout, _) = ends_with(0, &all);
        assert!(stdout.contains(expected) && stdout.contains("60 "), "{stdout}");
    }
}

#[test]
fn the_json_alone_goes_to_standard_output() {
    let addr = echo_server(quiet()).to_string();
    let (stdout, stderr) = ends_with(0, &["--addr", &addr, "--frames", "1000", "--seconds", "60", "--json", "-"]);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["frames_verified"], 1000);
    assert!(stderr.starts_with("every byte of 1,000 frames verified"), "{stderr}");
}

#[test]
fn a_server_that_does_not_echo_fails_the_run() {
    let server = Server::bind("127.0.0.1:0", quiet()).unwrap();
    let addr = server.local_addr().to_string();
    let upper =
        |_| async |frame: Frame<'_>, replies: &mut Replies| replies.send(&frame.payload().to_ascii_uppercase()).await;
    thread::spawn(move || smol::block_on(server.serve(upper, std::future::pending())));
    let (stdout, _) = ends_with(1, &["--addr", &addr, "--seconds", "60"]);
    assert!(stdout.starts_with("FAILED") && stdout.contains("  ! 64 connections, altered: the first: "), "{stdout}");
}

#[test]
fn what_cannot_be_is_refused_with_its_numbers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let cases: [(i32, &[&str], &str); 8] = [
        (1, &["--addr", &free], "connected 0 times"),
        (1, &["--addr", &free, "--format", "u8", "--payload", "256"], "limit of 256"),
        (1, &["--addr", &free, "--format", "width=2,adjustment=10", "--payload", "9"], "9 bytes is below the 10"),
        (1, &["--addr", &free, "--frames", "63"], "--frames 63 are fewer than --connections 64"),
        (2, &["--connections", "0"], "--connections"),
        (2, &["--payload", "1.5KiB"], "as in 64, 16KiB or 1MiB"),
        (2, &["--format", "u17"], "no format is named"),
        (2, &["--addr", &free, "--greeting", "raw"], "raw:N"),
    ];
    for (code, args, expected) in cases {
        let (_, stderr) = ends_with(code, args);
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_reported_as_incomplete() {
    let server = Server::bind("127.0.0.1:0", quiet()).unwrap();
    let addr = server.local_addr().to_string();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let echo = move |_| {
        let begun = begun.clone();
        async move |frame: Frame<'_>, replies: &mut Replies| {
            _ = begun.send(());
            replies.send(frame.payload()).await
        }
    };
    thread::spawn(move || smol::block_on(server.serve(echo, std::future::pending())));
    let mut load = load(&["--addr", &addr, "--seconds", "600", "--connections", "2"]);
    let mut load = load.stdout(Stdio::piped()).spawn().unwrap();
    has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&load), rustix::process::Signal::INT).unwrap();
    let mut first = String::new();
    BufReader::new(load.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("INCOMPLETE: interrupted after "), "{first}");
    assert_eq!(load.wait().unwrap().code(), Some(1));
}
