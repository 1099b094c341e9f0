//! `cargo xtask load` as a process, against the crate's own server, over real sockets.

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use unstick::framing::{Format, Frame};
use unstick::{Greeting, Responder, Server, ServerConfig, TUTORIAL_GREETING};

/// An echo server on a thread of this process, for as long as the test runs.
fn echo_server(config: ServerConfig) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", config).expect("the loopback has a free port");
    let addr = server.local_addr().expect("a TCP address");
    let echo = |_| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
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
    let frame = ServerConfig::default().greeting(Greeting::Frame(TUTORIAL_GREETING.into()));
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
    let addr = server.local_addr().unwrap().to_string();
    let upper = |_| {
        async |frame: Frame<'_>, responder: &mut Responder| responder.send(&frame.payload().to_ascii_uppercase()).await
    };
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
        (
            1,
            &["--addr", &free, "--format", "width=2,adjustment=10", "--payload", "9"],
            "9 bytes is below the format's least of 10",
        ),
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

#[test]
fn an_interrupted_run_is_reported_as_incomplete() {
    let server = Server::bind("127.0.0.1:0", quiet()).unwrap();
    let addr = server.local_addr().unwrap().to_string();
    let (begun, has_begun) = std::sync::mpsc::sync_channel(1);
    let echo = move |_| {
        let begun = begun.clone();
        async move |frame: Frame<'_>, responder: &mut Responder| {
            _ = begun.try_send(());
            responder.send(frame.payload()).await
        }
    };
    thread::spawn(move || smol::block_on(server.serve(echo, std::future::pending())));
    let mut load = load(&["--addr", &addr, "--seconds", "600", "--connections", "2"]);
    let load = load.stdout(Stdio::piped()).spawn().unwrap();
    has_begun.recv_timeout(Duration::from_secs(60)).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&load), rustix::process::Signal::INT).unwrap();
    let Output { status, stdout, .. } = load.wait_with_output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(stdout.starts_with("INCOMPLETE: interrupted after "), "{stdout}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn an_output_that_is_gone_is_an_error_and_no_panic() {
    let addr = echo_server(quiet()).to_string();
    let mut load = load(&["--addr", &addr, "--frames", "64", "--seconds", "60"]);
    let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(load.stdout.take());
    let Output { status, stderr, .. } = load.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: standard output: "), "{stderr}");
}

/// The whole command: the program as a process of its own, started, measured and ended by the load.
#[test]
fn the_program_is_started_loaded_measured_and_ended() {
    let program = program();
    let args = ["--program", program.to_str().unwrap(), "--threads", "2", "--seconds", "1", "--json", "-"];
    for format in ["u32le", "offset=3,width=2,endian=be,adjustment=-5"] {
        let (stdout, stderr) = ends_with(0, &[&args[..], &["--format", format]].concat());
        assert!(stderr.starts_with("every byte of ") && stderr.contains("2 threads"), "{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&json["verdict"], &json["server"]["threads"]), (&"verified".into(), &2.into()));
        if cfg!(target_os = "linux") {
            assert!(json["server"]["cpu"]["ns_per_frame"].as_f64().unwrap() > 0.0, "{json}");
            assert!(json["server"]["peak_memory_bytes"].as_u64().unwrap() > 100_000, "{json}");
        }
    }
}

/// The program beside the xtask, as a test run of the whole workspace builds it. If it does not exist, it is built now.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(format!("unstick{}", env::consts::EXE_SUFFIX));
    if !program.exists() {
        let args = ["build", "--quiet", "--package", "unstick", "--features", "cli", "--bin", "unstick"];
        let built = Command::new(env!("CARGO")).args(args).status().expect("cargo runs this test");
        assert!(built.success(), "cargo ended with {built}");
    }
    program
}

/// The server's own end is seen as well as what it does to the connections.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_killed_fails_the_run() {
    let program = program();
    let mut load = load(&["--program", program.to_str().unwrap(), "--seconds", "60", "--connections", "20"]);
    let load = load.stdout(Stdio::piped()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", load.id());
    let server = (0..6000).find_map(|_| {
        thread::sleep(Duration::from_millis(10));
        let server: i32 = std::fs::read_to_string(&children).ok()?.trim().parse().ok()?;
        let files = std::fs::read_dir(format!("/proc/{server}/fd")).ok()?.count();
        (files > 20).then_some(server)
    });
    let server = rustix::process::Pid::from_raw(server.unwrap()).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    let Output { status, stdout, .. } = load.wait_with_output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(1), "{stdout}");
    assert!(stdout.starts_with("FAILED") && stdout.contains("  ! the server ended with signal: 9"), "{stdout}");
    assert!(stdout.contains("connections, died") || stdout.contains("connections, ended early"), "{stdout}");
}
