//! `unstick serve` and `connect` at a Unix socket.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::Signal;

use crate::harness::{Folder, Program, run};

fn serve(folder: &Folder, flags: &[&str]) -> Program {
    let serve = Program::start(&[&["serve", &folder.socket()], flags].concat());
    assert_eq!(serve.out_line(), format!("listening on {}", folder.socket()));
    serve
}

fn stop(serve: Program, folder: &Folder) -> String {
    serve.signal(Signal::TERM);
    let ran = serve.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!folder.0.join("socket").exists(), "it goes with the server");
    ran.err
}

#[test]
fn a_unix_socket_is_served_and_connected_to() {
    let folder = Folder::new("served");
    let server = serve(&folder, &["--echo", "--greeting", "--stats", "1000"]);
    let mut client = Program::start(&["connect", &folder.socket()]);
    let peer = format!("unix:(pid {}, uid {})", client.id(), rustix::process::geteuid().as_raw());
    assert_eq!(server.err_line(), format!("{peer} connected"));
    assert_eq!(client.err_line(), format!("{} connected", folder.socket()));
    client.write("你好\n\n".as_bytes());
    for line in ["Hello client! 你好...", "你好", ""] {
        assert_eq!(client.out_line(), line);
    }
    for line in ["你好", ""] {
        assert_eq!(server.out_line(), format!("{peer} {line}"));
    }
    client.stdin = None;
    let passed = "(3 frames and 41 bytes in, 2 frames and 14 bytes out)";
    assert_eq!(client.err_line(), format!("{} closed: clean {passed}", folder.socket()));
    assert_eq!(client.end().code, 0);
    let passed = "(2 frames and 14 bytes in, 3 frames and 41 bytes out)";
    assert_eq!(server.err_line(), format!("{peer} closed: clean {passed}"));
    let ran = run(&["connect", &folder.socket(), "--raw"], b"\x02\0\0\0hi");
    assert_eq!(ran.out, b"\x17\0\0\0Hello client! \xE4\xBD\xA0\xE5\xA5\xBD...\x02\0\0\0hi");
    let err = stop(server, &folder);
    assert!(err.lines().last().unwrap().starts_with("stats: accepted 2, active 0, refused 0; in 3 frames, "), "{err}");
}

#[test]
fn the_limits_hold_and_a_stop_drains() {
    let folder = Folder::new("limits");
    let server =
        serve(&folder, &["--max-connections", "1", "--frame-timeout", "0.2", "--min-rate", "off", "--greeting"]);
    let waiting = Program::start(&["connect", &folder.socket()]);
    waiting.out_line();
    let ran = run(&["connect", &folder.socket()], b"");
    assert_eq!((ran.code, ran.text()), (7, "refused: 1 connections are served already\n"));
    waiting.signal(Signal::KILL);
    waiting.end();
    server.err_line_with(" closed: clean");
    let mut slow = Program::start(&["connect", &folder.socket(), "--raw"]);
    slow.write(b"\x10\0\0\0half");
    server.err_line_with("closed: slow frame: 8 bytes within 200ms, and 12 missing");
    slow.end();
    let idle = Program::start(&["connect", &folder.socket()]);
    idle.out_line();
    assert!(stop(server, &folder).contains("closed: stopped ("));
    assert_eq!(idle.end().code, 0);
}

/// A socket without a listener is replaced; any other file is kept.
#[test]
fn a_path_that_is_taken_is_told() {
    let folder = Folder::new("taken");
    let socket = folder.0.join("socket");
    let cannot = format!("unstick: cannot listen on {}: ", folder.socket());

    let server = serve(&folder, &[]);
    let ran = run(&["serve", &folder.socket()], b"");
    assert_eq!((ran.code, ran.text(), ran.err.lines().count()), (1, "", 1));
    assert!(ran.err.starts_with(&cannot) && ran.err.contains("another program listens there: choose another path"));
    UnixStream::connect(&socket).unwrap();
    stop(server, &folder);

    fs::write(&socket, "precious").unwrap();
    let ran = run(&["serve", &folder.socket()], b"");
    assert_eq!((ran.code, ran.text(), &*ran.err), (1, "", &*format!("{cannot}what is there is no socket\n")));
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
    let ran = run(&["connect", &folder.socket()], b"");
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1));
    assert!(ran.err.starts_with(&format!("unstick: {}: cannot connect: ", folder.socket())), "{}", ran.err);
    fs::remove_file(&socket).unwrap();

    drop(UnixListener::bind(&socket).unwrap());
    stop(serve(&folder, &[]), &folder);
}

#[test]
fn a_path_that_is_too_long_is_told() {
    let addr = format!("unix:/{}", "x".repeat(200));
    for command in ["serve", "connect"] {
        let ran = run(&[command, &addr], b"");
        assert_eq!((ran.code, ran.text(), ran.err.lines().count()), (1, "", 1), "{command}: {}", ran.err);
        assert!(ran.err.contains("a path of 201 bytes is too long for a socket: "), "{command}: {}", ran.err);
    }
}

#[test]
fn raw_is_for_tcp() {
    let ran = run(&["serve", "unix:/nowhere/socket", "--raw"], b"");
    assert_eq!((ran.code, ran.text()), (2, ""));
    assert!(ran.err.starts_with("unstick: --raw is for TCP: write HOST:PORT"), "{}", ran.err);
}
