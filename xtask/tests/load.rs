//! `cargo xtask load` as a process: it starts the crate's own server, loads it, measures it, and ends it.

#![cfg(target_os = "linux")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

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

/// The program as a test run of the whole workspace has just built it, beside the xtask; built now where it is not there.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(format!("unstick{}", env::consts::EXE_SUFFIX));
    if !program.exists() {
        let args = ["build", "--quiet", "--package", "unstick", "--features", "cli", "--bin", "unstick"];
        let built = Command::new(env!("CARGO")).args(args).status().expect("cargo runs this test");
        assert!(built.success(), "cargo ended with {built}");
    }
    program
}

#[test]
fn the_program_is_started_loaded_measured_and_ended() {
    let program = program();
    let args = ["--program", program.to_str().unwrap(), "--threads", "2", "--seconds", "1", "--json", "-"];
    for format in ["u32le", "offset=3,width=2,endian=be,adjustment=-5,trailer=1"] {
        let (stdout, stderr) = ends_with(0, &[&args[..], &["--format", format]].concat());
        assert!(stderr.starts_with("every byte of ") && stderr.contains("2 threads"), "{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&json["verdict"], &json["server"]["threads"]), (&"verified".into(), &2.into()));
        assert!(json["server"]["system_seconds"].is_number(), "{json}");
        assert!(json["server"]["peak_memory"].as_u64().unwrap() > 100_000, "{json}");
    }
}

#[test]
fn large_payloads_are_served() {
    let program = program();
    let args = ["--payload", "8MiB", "--connections", "2", "--in-flight", "1", "--seconds", "1"];
    let (stdout, _) = ends_with(0, &[&["--program", program.to_str().unwrap()], &args[..]].concat());
    assert!(stdout.contains("payloads of 8388608 B"), "{stdout}");
}

/// Without a flag: a peak, a search, and a run at half of what was found, or the reason why there is none.
#[test]
#[ignore = "it takes 15 s: .ci/full runs it, and .ci/run the command itself"]
fn a_newcomer_is_shown_around() {
    let program = program();
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (folder.path().join("load.json"), folder.path().join("load.html"));
    let [json, html] = [&file, &page].map(|path| path.to_str().unwrap());
    let (stdout, _) = ends_with(0, &["--program", program.to_str().unwrap(), "--json", json, "--html", html]);
    assert!(stdout.ends_with(&format!("A page with charts, for a browser: {html}\n")), "{stdout}");
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("How busy was the server?") && page.contains("<code>cargo xtask load "), "{page}");
    assert!(stdout.starts_with("1. As fast as it answers") && stdout.contains("\n2. At a steady rate"), "{stdout}");
    assert!(stdout.contains("every byte of "), "{stdout}");
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    match json["greatest_healthy_rate"].as_f64() {
        Some(rate) => {
            assert!(
                stdout.contains("\n3. At half of the greatest healthy rate") && stdout.contains("response"),
                "{stdout}"
            );
            assert_eq!(json["half"]["rate_asked"].as_f64(), Some((rate / 2.0).round()));
            assert_eq!(json["curve"]["knee"].as_f64(), Some(rate));
        }
        None => assert!(stdout.contains("No rate is healthy on this machine as it is now"), "{stdout}"),
    }
    assert!(!stdout.to_lowercase().contains("nan"), "{stdout}");
}

#[test]
fn ours_is_compared_with_tokio_in_turn() {
    let program = program();
    let args = ["--program", program.to_str().unwrap(), "--compare", "tokio", "--runs", "2", "--seconds", "0.3"];
    let (stdout, stderr) = ends_with(0, &[&args[..], &["--json", "-"]].concat());
    let order: Vec<&str> =
        stderr.lines().filter_map(|line| line.strip_prefix("  ")?.split("   ").next()).take(4).collect();
    assert_eq!(order, ["unstick", "tokio", "tokio", "unstick"], "{stderr}");
    assert!(stderr.contains("2 runs, beside 2 before: no difference seen"), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(["runs", "baseline"].map(|side| json[side].as_array().unwrap().len()), [2, 2]);
    let measures: Vec<&Value> =
        json["comparison"]["differences"].as_array().unwrap().iter().map(|it| &it["measure"]).collect();
    assert!(measures.contains(&&"frames/s".into()) && measures.contains(&&"server CPU/frame".into()), "{measures:?}");
}

#[test]
fn what_cannot_be_is_refused_with_its_numbers() {
    let cases: [(i32, &[&str], &str); 7] = [
        (2, &["--compare", "tokio", "--threads", "2"], "cannot be used with"),
        (2, &["--compare", "nobody"], "tokio"),
        (1, &["--format", "u8", "--payload", "256"], "256"),
        (1, &["--format", "width=2,adjustment=10", "--payload", "9"], "least of 10"),
        (2, &["--connections", "0"], "--connections"),
        (2, &["--payload", "1.5KiB"], "as in 64, 16KiB or 1MiB"),
        (2, &["--format", "u17"], "no format is named"),
    ];
    for (code, args, expected) in cases {
        let (_, stderr) = ends_with(code, args);
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn an_output_that_is_gone_is_an_error_and_no_panic() {
    let program = program();
    let mut load = load(&["--program", program.to_str().unwrap(), "--seconds", "1"]);
    let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(load.stdout.take());
    let Output { status, stderr, .. } = load.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: standard output: "), "{stderr}");
}

/// The server's own end is seen as well as what it does to the connections.
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
    // It is measured by now.
    thread::sleep(Duration::from_millis(500));
    let server = rustix::process::Pid::from_raw(server.unwrap()).unwrap();
    rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
    let Output { status, stdout, .. } = load.wait_with_output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(8), "{stdout}");
    assert!(stdout.starts_with("WRONG") && stdout.contains("  ! the server ended with signal: 9"), "{stdout}");
    assert!(stdout.contains("broken off") || stdout.contains("ended early"), "{stdout}");
}
