//! `cargo xtask attack` as a process: what it says and how it ends. The attacks themselves are made by that command.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn attack(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("attack").args(args);
    command
}

#[test]
fn wrong_arguments_teach() {
    for (code, args, teaches) in [
        (2, &["slow-loris"][..], "there are declared-oversize, "),
        (2, &["--seconds", "soon"], "as in 5 or 0.5"),
        (2, &["--over", "udp"], "tcp, unix, tls"),
        (2, &["--thorough"], "--help"),
        (1, &["--over", "unix", "cut-off"], "none of these attacks is made over these transports"),
    ] {
        let Output { status, stderr, .. } = attack(args).output().expect("the program was built");
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(teaches), "{args:?}: {stderr}");
    }
}

/// Each attack is made once over each chosen transport, and is not held if it could not be made: here there are not enough
/// descriptors for its connections.
#[test]
fn the_exit_code_says_whether_every_attack_was_held() {
    let args = ["--over", "tcp,unix", "oversize", "handler-errs"];
    for (descriptors, code, says) in [("1000", 0, "held 4 of 4 "), ("50", 1, "NOT HELD: handler-errs over unix\n")] {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "ulimit -n \"$1\" && shift && exec \"$0\" attack \"$@\"",
            env!("CARGO_BIN_EXE_xtask"),
            descriptors,
        ]);
        let Output { status, stdout, .. } = shell.args(args).output().expect("a shell");
        let stdout = String::from_utf8(stdout).expect("text");
        assert_eq!(status.code(), Some(code), "{stdout}");
        assert!(stdout.contains(says), "{stdout}");
    }
}

/// An interrupted attack leaves no server running.
#[test]
fn a_server_ends_with_its_attacker() {
    let mut attack = attack(&["--seconds", "60", "zero-flood"]).stdout(Stdio::piped()).spawn().expect("a process");
    let mut header = String::new();
    BufReader::new(attack.stdout.take().expect("piped")).read_line(&mut header).expect("a line");
    let children = format!("/proc/{0}/task/{0}/children", attack.id());
    let begin = Instant::now();
    let server: u32 = loop {
        match fs::read_to_string(&children).expect("it runs").trim().parse() {
            Ok(server) => break server,
            Err(_) => assert!(begin.elapsed() < Duration::from_secs(20), "it starts no server"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    attack.kill().expect("killed");
    attack.wait().expect("ended");
    let begin = Instant::now();
    let runs =
        || fs::read_to_string(format!("/proc/{server}/cmdline")).is_ok_and(|line| line.contains("attack-server"));
    while runs() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the server is still there");
        thread::sleep(Duration::from_millis(5));
    }
}
