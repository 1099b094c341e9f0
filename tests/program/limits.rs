//! `unstick serve` at each of its limits: the connection ends, for the reason of that name.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use socket2::SockRef;

use crate::harness::{GREETING, Program, Serve, frame, read, rest, run};

const REFUSED: &str = "refused: 1 connections are served already";

/// The line that tells of this connection's end, without the address.
fn closed(serve: &Serve, stream: &TcpStream) -> String {
    let begin = format!("{} closed: ", stream.local_addr().unwrap());
    serve.program.err_line_with(&begin)[begin.len()..].to_owned()
}

/// Sends until the server ends the connection, and reads nothing.
fn send_without_reading(stream: &TcpStream, bytes: &[u8]) {
    let mut writer = stream;
    while writer.write_all(bytes).is_ok() {}
}

#[test]
fn one_connection_too_many_is_refused_with_a_text() {
    let serve = Serve::start(&["--max-connections", "1", "--echo"]);
    let mut first = serve.greeted();
    let mut second = serve.connect();
    assert_eq!(rest(&mut second), frame(REFUSED.as_bytes()));
    drop(second);

    let addr = serve.addr.to_string();
    for input in [&b""[..], b"hello\n"] {
        let ran = run(&["connect", &addr], input);
        assert_eq!((ran.code, ran.text()), (7, &*format!("{REFUSED}\n")), "{ran:?}");
        assert!(ran.err.contains(&format!("closed: {REFUSED} (")), "{ran:?}");
    }
    let mut waiting = Program::start(&["connect", &addr]);
    assert_eq!(waiting.out_line(), REFUSED);
    waiting.stdin.take();
    assert_eq!(waiting.end().code, 7, "also where standard input is still open");

    first.write_all(&frame(b"still here")).unwrap();
    assert_eq!(read(&mut first, 14), frame(b"still here"), "who was there is served on");
    drop(first);
    serve.program.err_line_with("closed: clean");
    let mut next = serve.greeted();
    next.write_all(&frame(b"a place")).unwrap();
    assert_eq!(read(&mut next, 11), frame(b"a place"));
    drop(next);
    serve.stop();
}

#[test]
fn a_refusal_is_plain_text_where_the_greeting_is() {
    for flag in ["--raw-greeting", "--raw"] {
        let serve = Serve::start(&["--max-connections", "1", flag]);
        let mut first = serve.connect();
        read(&mut first, GREETING.len() - 4);
        let mut second = serve.connect();
        assert_eq!(rest(&mut second), REFUSED.as_bytes(), "{flag}");
        assert!(closed(&serve, &second).starts_with(REFUSED), "{flag}");
        let ran = run(&["connect", &serve.addr.to_string(), flag], b"");
        assert_eq!((ran.code, ran.text()), (7, REFUSED), "{flag}: {ran:?}");
        drop(first);
        serve.stop();
    }
}

#[test]
fn a_text_like_a_refusal_is_none_in_the_midst_of_others() {
    let serve = Serve::start(&["--echo"]);
    let ran = run(&["connect", &serve.addr.to_string()], format!("{REFUSED}\n").as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    serve.stop();
}

#[test]
fn who_never_sends_a_frame_is_silent() {
    let serve = Serve::start(&["--first-frame-timeout", "0.2"]);
    let mut stream = serve.connect();
    assert_eq!(rest(&mut stream), GREETING);
    assert!(closed(&serve, &stream).starts_with("silent: no whole frame within 200ms (0 frames and 0 bytes in"));
    serve.stop();
}

#[test]
fn who_sends_nothing_between_frames_is_idle() {
    let serve = Serve::start(&["--idle-timeout", "0.2", "--echo"]);
    let mut stream = serve.connect();
    stream.write_all(&frame(b"one")).unwrap();
    assert_eq!(rest(&mut stream), [GREETING, &frame(b"one")].concat());
    assert!(closed(&serve, &stream).starts_with("idle: nothing sent for 200ms (1 frames and 7 bytes in"));
    serve.stop();
}

#[test]
fn who_does_not_finish_a_frame_is_slow() {
    let serve = Serve::start(&["--frame-timeout", "0.2", "--min-rate", "off"]);
    let mut stream = serve.connect();
    stream.write_all(&[&frame(b"one")[..], b"\x10\0\0\0half"].concat()).unwrap();
    assert_eq!(rest(&mut stream), GREETING);
    assert!(closed(&serve, &stream).starts_with("slow frame: 8 bytes within 200ms, and 12 missing (1 frames"));
    serve.stop();
}

/// Clients of other servers, whose first bytes are a length within the limit, wait for an answer, and so does the server.
#[test]
fn a_slow_first_frame_says_what_it_looks_like() {
    for (format, hello, expected) in [
        // What redis-cli asks first, and psql.
        (
            "u16be",
            &b"*1\r\n$7\r\nCOMMAND\r\n"[..],
            "slow frame: 17 bytes within 200ms, and 10786 missing (looks like text without framing)",
        ),
        (
            "u32be",
            b"\0\0\0\x08\x04\xD2\x16\x2F",
            "slow frame: 8 bytes within 200ms, and 4 missing (the length may count its own 4 bytes: try u32be-inclusive)",
        ),
    ] {
        let serve = Serve::start_as_it_is(&["--format", format, "--frame-timeout", "0.2", "--min-rate", "off"]);
        let mut stream = serve.connect();
        stream.write_all(hello).unwrap();
        assert_eq!(rest(&mut stream), b"", "{format}: it waits, and then it is told the end");
        let line = closed(&serve, &stream);
        assert!(line.starts_with(expected), "{format}: {line}");
        serve.stop();
    }
}

#[test]
fn who_reads_nothing_is_a_slow_reader() {
    let serve = Serve::start(&["--write-timeout", "0.2", "--echo", "--print", "none"]);
    let mut other = serve.greeted();
    let stream = serve.connect();
    send_without_reading(&stream, &frame(&[7; 100_000]));
    let line = closed(&serve, &stream);
    assert!(line.starts_with("slow reader: nothing read for 200ms, with "), "{line}");
    other.write_all(&frame(b"not moved")).unwrap();
    assert_eq!(read(&mut other, 13), frame(b"not moved"));
    drop(other);
    serve.stop();
}

#[test]
fn who_declares_too_much_is_oversize() {
    let serve = Serve::start(&["--max-payload", "1KiB"]);
    let mut stream = serve.connect();
    stream.write_all(b"\x01\x04\0\0").unwrap();
    assert_eq!(rest(&mut stream), GREETING);
    let line = closed(&serve, &stream);
    assert!(line.starts_with("oversize: at byte 0: a payload of 1025 bytes is over the limit of 1024"), "{line}");
    serve.stop();
}

/// Of six frames that lack a byte there is memory for less than four.
#[test]
fn who_holds_more_than_its_part_of_the_memory_is_over_budget() {
    let serve = Serve::start(&["--memory", "64KiB", "--max-payload", "16KiB"]);
    let mut streams: Vec<TcpStream> = (0..6).map(|_| serve.greeted()).collect();
    for stream in &mut streams {
        _ = stream.write_all(&frame(&[7; 16 * 1024])[..16 * 1024]);
    }
    let line = serve.program.err_line_with(" closed: ");
    assert!(line.contains(" over budget: ") && line.contains(" the fair share of 65536 is "), "{line}");
    serve.stop();
}

/// The frame would have ten seconds.
#[test]
fn a_drain_is_given_up_at_its_deadline() {
    let serve = Serve::start(&["--drain-timeout", "0.2"]);
    let mut stream = serve.greeted();
    stream.write_all(&[&frame(b"one")[..], b"\x10\0\0\0half"].concat()).unwrap();
    serve.program.out_line();
    serve.program.signal(Signal::TERM);
    assert!(closed(&serve, &stream).starts_with("stopped ("));
    assert_eq!(serve.program.end().code, 0);
}

#[test]
fn raw_has_deadlines_too() {
    let serve = Serve::start(&["--raw", "--idle-timeout", "0.2"]);
    let mut stream = serve.connect();
    assert_eq!(rest(&mut stream), &GREETING[4..]);
    assert_eq!(closed(&serve, &stream), "idle: nothing sent for 200ms");
    serve.stop();

    let serve = Serve::start(&["--raw", "--write-timeout", "0.2", "--echo", "--print", "none"]);
    let stream = serve.connect();
    send_without_reading(&stream, &[7; 100_000]);
    let line = closed(&serve, &stream);
    assert!(line.starts_with("slow reader: nothing read for 200ms, with "), "{line}");
    // The writer waits for who does not read: a stop gives it up at the deadline.
    serve.stop();
}

#[test]
fn raw_tells_of_a_peer_that_resets_while_its_echo_waits() {
    let serve = Serve::start(&["--raw", "--keepalive", "off", "--write-timeout", "off", "--echo", "--print", "none"]);
    let stream = serve.connect();
    let addr = stream.local_addr().unwrap();
    // Both directions are full once nothing more is taken for so long: the echo waits for its peer to read.
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    send_without_reading(&stream, &[7; 100_000]);
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let line = serve.program.err_line_with(&format!("{addr} closed: "));
    assert!(line.contains("closed: reset: "), "{line}");
    serve.stop();
}

#[test]
fn raw_is_given_up_at_the_drain_deadline() {
    let serve =
        Serve::start(&["--raw", "--write-timeout", "off", "--drain-timeout", "0.2", "--echo", "--print", "none"]);
    let stream = serve.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    send_without_reading(&stream, &[7; 100_000]);
    assert!(!serve.stop().err.contains("closed: "), "its echo waits for ever, and the program does not");
}

/// With no room above the high-water mark, a handler that waits for its replies to be written still has its way.
#[test]
fn the_narrowest_queue_is_wide_enough() {
    let serve = Serve::start(&["--echo", "--print", "none", "--high-water", "1", "--outbox-limit", "1"]);
    let mut stream = serve.greeted();
    let frames = [frame(b""), frame(b"one"), frame(&[7; 100_000]), frame(b"two")].concat();
    stream.write_all(&frames).unwrap();
    assert_eq!(read(&mut stream, frames.len()), frames);
    drop(stream);
    assert_eq!(serve.stop().err.matches("closed: clean").count(), 1);
}

#[test]
fn more_connections_than_files_are_warned_of() {
    let serve = Serve::start(&["--max-connections", "4000000000"]);
    let line = serve.program.err_line();
    assert!(line.starts_with("unstick: --max-connections 4000000000 is over the "), "{line}");
    serve.stop();
}

/// An address space of 200 MiB, of which frames may take an eighth.
const SMALL: &str = "ulimit -v 204800; exec \"$@\"";

#[test]
fn more_memory_than_there_is_is_warned_of() {
    let serve = Serve::start_by_shell(SMALL, &["--memory", "1GiB"]);
    let line = serve.program.err_line();
    assert!(line.starts_with("unstick: --memory 1073741824 is over 26214400: "), "{line}");
    serve.stop();
    let serve = Serve::start_by_shell(SMALL, &["--memory", "25MiB"]);
    assert_eq!(serve.stop().err.lines().filter(|line| line.contains("--memory")).count(), 0);
}

/// 60 MiB of frames that lack a byte, where 25 MiB may be held.
#[test]
fn frames_that_are_never_whole_do_not_use_up_the_memory_of_the_process() {
    let flags = ["--threads", "2", "--echo", "--print", "none", "--stats", "1000"];
    let serve = Serve::start_by_shell(SMALL, &flags);
    let unfinished = &frame(&vec![7; 1 << 20])[..1 << 20];
    let streams: Vec<TcpStream> = (0..60).map(|_| serve.connect()).collect();
    thread::scope(|scope| {
        for mut stream in &streams {
            scope.spawn(move || _ = stream.write_all(unfinished));
        }
        serve.program.err_line_with(" closed: over budget: ");
        let ran = run(&["connect", &serve.addr.to_string()], b"still here\n");
        assert_eq!((ran.code, ran.text()), (0, "still here\n"), "{ran:?}");
        // A client that is not read from any more is left with what it could not send.
        streams.iter().for_each(|stream| _ = stream.shutdown(Shutdown::Both));
    });
    drop(streams);
    let ran = serve.stop();
    assert!(ran.err.lines().last().unwrap().starts_with("stats: accepted 61, active 0, "), "{ran:?}");
}

#[test]
fn a_turn_without_frames_is_none() {
    let ran = run(&["serve", "127.0.0.1:0", "--max-frames-per-turn", "0"], b"");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("write a number, 1 to 4294967295"), "{ran:?}");
}
