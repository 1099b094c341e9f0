//! `unstick connect`, piped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::harness::{GREETING, PATIENCE, Program, Serve, frame, read, run};

/// A server of one connection that does as it is told.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        serve(stream);
    });
    addr
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn lines_are_frames_and_frames_are_lines() {
    let serve = Serve::start(&["--echo"]);
    let addr = serve.addr.to_string();
    let ran = run(&["connect", &addr], "a\n\n你好\nc\nlast".as_bytes());
    assert_eq!((ran.code, ran.text()), (0, "Hello client! 你好...\na\n\n你好\nc\nlast\n"));
    let expected =
        format!("{addr} connected\n{addr} closed: clean (6 frames and 59 bytes in, 5 frames and 32 bytes out)\n");
    assert_eq!(ran.err, expected);
    // Bytes that are no text are sent as they are, and shown escaped or in hexadecimal.
    let ran = run(&["connect", &addr], b"\xFF\0\r\n");
    assert_eq!(ran.text(), "Hello client! 你好...\n\\\"\\xff\\x00\\r\"\n");
    let ran = run(&["connect", &addr, "--hex"], b"\xFF\0\r\n");
    assert_eq!(ran.text().lines().last(), Some("ff000d"));
    assert_eq!(run(&["connect", &addr], b"").code, 0);
    serve.stop();
}

/// What is shown of any payload is read back as that payload, by `connect` and by `encode`.
#[test]
fn what_is_shown_can_be_sent_again() {
    let payloads: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte, b'"', byte]).collect();
    let more =
        ["", "c", "\\", "\\\"", "\\n", "a\u{202E}b", "a\tb", "two\nlines\r\n"].map(|text| text.as_bytes().to_vec());
    let wire: Vec<u8> = payloads.iter().chain(&more).flat_map(|payload| frame(payload)).collect();
    let shown = run(&["decode"], &wire).out;
    assert_eq!(run(&["encode"], &shown).out, wire);
    let sent = wire.clone();
    let addr = server(move |mut stream| {
        assert!(read_to_end(&mut stream) == sent);
        stream.write_all(&sent).unwrap();
    });
    let ran = run(&["connect", &addr.to_string()], &shown);
    assert!(ran.code == 0 && ran.out == shown, "{}", ran.err);
}

#[test]
fn a_wrong_escape_ends_our_stream_after_the_lines_before() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    let ran = run(&["connect", &serve.addr.to_string()], b"abc\n\\\"a\\qb\"\nabc\n");
    assert_eq!((ran.code, ran.text()), (3, "abc\n"), "{}", ran.err);
    assert!(ran.err.contains("unstick: line 2 of standard input: column 4 has no escape"), "{}", ran.err);
    serve.stop();
    let ran = run(&["encode"], b"abc\n\\\"abc\nabc\n");
    assert_eq!((ran.code, ran.text()), (3, "\x03\0\0\0abc"), "{}", ran.err);
    assert!(ran.err.contains("unstick: line 2 of standard input: ") && ran.err.contains("closing"), "{}", ran.err);
}

#[test]
fn formats_with_a_prefix_are_spoken() {
    let serve = Serve::start_as_it_is(&["--echo", "--format", "offset=1,width=3"]);
    let addr = serve.addr.to_string();
    let ran = run(&["connect", &addr, "--format", "offset=1,width=3", "--prefix", "2a"], b"hi\n");
    assert_eq!((ran.code, ran.text()), (0, "hi\n"));
    serve.stop();
    let addr = server(|mut stream| {
        assert_eq!(read_to_end(&mut stream), b"\x2A\0\0\x02hi");
        stream.write_all(b"\0\0\0\x02ok").unwrap();
    });
    let ran = run(&["connect", &addr.to_string(), "--format", "offset=1,width=3", "--prefix", "2a"], b"hi\n");
    assert_eq!((ran.code, ran.text()), (0, "ok\n"));
}

#[test]
fn formats_with_a_trailer_are_spoken() {
    let serve = Serve::start(&["--echo", "--format", "u32be,trailer=4"]);
    let ran = run(&["connect", &serve.addr.to_string(), "--format", "u32be,trailer=4"], b"hi\n\n");
    assert_eq!((ran.code, ran.text()), (0, "Hello client! 你好...\nhi\n\n"), "{}", ran.err);
    serve.stop();
    let addr = server(|mut stream| {
        assert_eq!(read_to_end(&mut stream), b"\x02hi\r\n\0\r\n");
        stream.write_all(b"\x02ok\xFF\xFF").unwrap();
    });
    let ran = run(&["connect", &addr.to_string(), "--format", "u8,trailer=2", "--trailer", "0D0A"], b"hi\n\n");
    assert_eq!((ran.code, ran.text()), (0, "ok\n"), "{}", ran.err);
}

#[test]
fn much_input_against_an_echo_does_not_deadlock() {
    let serve = Serve::start_as_it_is(&["--echo", "--print", "none"]);
    let lines: String = (0..400_000).map(|n| format!("a line of some bytes, number {n}\n")).collect();
    let ran = run(&["connect", &serve.addr.to_string()], lines.as_bytes());
    assert!(ran.code == 0 && ran.text() == lines, "{}", ran.err);
    serve.stop();
}

#[test]
fn timestamps_stand_before_each_line() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    let ran = run(&["connect", &serve.addr.to_string(), "--timestamps"], b"one\ntwo\n");
    assert_eq!((ran.code, ran.text().lines().count()), (0, 2), "{ran:?}");
    for (line, text) in ran.text().lines().zip(["one", "two"]) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!((time.len(), &time[4..5], &time[10..11], &time[19..20], &time[23..]), (24, "-", "T", ".", "Z"));
        assert_eq!(rest, text);
    }
    serve.stop();
}

#[test]
fn what_comes_after_the_end_of_input_is_shown() {
    let addr = server(|mut stream| {
        let sent = read_to_end(&mut stream);
        assert_eq!(sent, frame(b"question"));
        stream.write_all(&frame(b"answer")).unwrap();
    });
    let ran = run(&["connect", &addr.to_string(), "--wait", "60"], b"question\n");
    assert_eq!((ran.code, ran.text()), (0, "answer\n"));
}

#[test]
fn the_exit_code_is_that_of_the_end() {
    for (sent, code, name) in [
        (&b"\x01\0\0\0a"[..], 0, "clean"),
        (b"\x01\0\0\0a\x05\0\0\0hel", 4, "truncated"),
        (b"\x01\0\0\0a\x05\0\0\0", 4, "truncated"),
        (b"\x01\0\0\0a\xFF\xFF\xFF\xFF", 3, "oversize"),
        (b"\x01\0\0\0aSSH-", 3, "oversize"),
    ] {
        let addr = server(move |mut stream| {
            stream.write_all(sent).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            read_to_end(&mut stream);
        });
        let ran = run(&["connect", &addr.to_string()], b"");
        assert_eq!((ran.code, ran.text()), (code, "a\n"), "{}", ran.err);
        let line = ran.err.lines().last().unwrap();
        assert!(line.contains(&format!("{addr} closed: {name}")), "{line}");
        assert_eq!(line.starts_with("unstick: "), code != 0, "{line}");
    }
    let addr = server(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
    let ran = run(&["connect", &addr.to_string()], b"");
    assert_eq!((ran.code, ran.text()), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("looks like HTTP") && ran.err.contains("28 bytes in"), "{}", ran.err);
    let addr = server(|mut stream| stream.write_all(b"+OK ready\r\n").unwrap());
    let ran = run(&["connect", &addr.to_string(), "--format", "u16be"], b"");
    assert_eq!((ran.code, ran.text()), (4, ""), "{}", ran.err);
    assert!(ran.err.contains("closed: truncated: ") && ran.err.contains("looks like text"), "{}", ran.err);
    let addr = server(|mut stream| {
        read(&mut stream, 5);
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let ran = run(&["connect", &addr.to_string()], b"a\n");
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains(&format!("unstick: {addr} closed: reset")), "{}", ran.err);
}

#[test]
fn an_end_by_the_server_is_noticed_while_input_is_open() {
    // The standard input of these stays open until they have ended.
    let addr = server(|mut stream| stream.write_all(&frame(b"bye")).unwrap());
    let mut program = Program::start(&["connect", &addr.to_string()]);
    let stdin = program.stdin.take();
    let ran = program.end();
    drop(stdin);
    assert_eq!((ran.code, ran.text()), (0, "bye\n"), "{}", ran.err);
    assert!(ran.err.contains("closed: clean"), "{}", ran.err);

    let addr = server(|mut stream| stream.write_all(b"\x05\0\0\0he").unwrap());
    let mut program = Program::start(&["connect", &addr.to_string()]);
    let stdin = program.stdin.take();
    let ran = program.end();
    drop(stdin);
    assert_eq!(ran.code, 4, "{}", ran.err);
}

/// The number before `what` in `text`.
fn number_before(text: &str, what: &str) -> usize {
    let (before, _) = text.split_once(what).unwrap_or_else(|| panic!("nothing of {what:?} in {text}"));
    before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn a_connection_that_ended_before_all_was_sent_is_not_called_clean() {
    const LINE: &[u8] = b"a line of thirty-two bytes.....\n";
    for (flags, unit) in [(&[][..], "frames"), (&["--raw"], "bytes")] {
        // The server ends its stream and reads no more: what we have to send does not fit between us.
        let (done, wait_for_client) = std::sync::mpsc::channel::<()>();
        let (count, counted) = std::sync::mpsc::channel();
        let addr = server(move |mut stream| {
            read(&mut stream, 1);
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            _ = wait_for_client.recv_timeout(PATIENCE);
            count.send(1 + read_to_end(&mut stream).len()).unwrap();
        });
        let ran = run(&[&["connect", &addr.to_string()], flags].concat(), &LINE.repeat(1_000_000));
        drop(done);
        assert_eq!(ran.code, 8, "{}", ran.err);
        let line = ran.err.lines().last().unwrap();
        assert!(line.starts_with(&format!("unstick: {addr} closed: before all was sent (")), "{line}");
        assert!(!line.contains("clean"), "{line}");
        // What we say we sent is what came, whole frames of it.
        let came = counted.recv_timeout(PATIENCE).unwrap();
        assert_eq!(number_before(line, " bytes out"), came, "{line}");
        if unit == "frames" {
            let (_, out) = line.split_once(" bytes in, ").unwrap();
            assert_eq!(number_before(out, " frames and "), came / 35, "{line}");
        }
        let unsent = number_before(line, &format!(" {unit} not sent"));
        assert!(line.contains("at least ") && unsent > 0, "{line}");
    }
}

#[test]
fn a_reset_tells_what_was_not_sent() {
    let addr = server(|mut stream| {
        read(&mut stream, 1);
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let ran = run(&["connect", &addr.to_string()], &b"a line of thirty-two bytes.....\n".repeat(1_000_000));
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains("closed: reset") && number_before(&ran.err, " frames not sent") > 0, "{}", ran.err);
}

#[test]
fn wait_bounds_the_time_after_the_end_of_input() {
    let (done, wait_for_client) = std::sync::mpsc::channel::<()>();
    let addr = server(move |mut stream| {
        stream.write_all(&frame(b"never ends")).unwrap();
        _ = wait_for_client.recv_timeout(PATIENCE);
    });
    let ran = run(&["connect", &addr.to_string(), "--wait", "0.5"], b"");
    drop(done);
    assert_eq!((ran.code, ran.text()), (6, "never ends\n"), "{}", ran.err);
    assert!(ran.err.contains("--wait"), "{}", ran.err);
}

/// A link-local address needs its interface. Not every machine has one: then there is nothing to listen at.
#[cfg(target_os = "linux")]
#[test]
fn an_address_with_an_interface_is_served_and_connected_to() {
    let interfaces = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    // Address, index, length of the prefix, scope (20 is link-local), flags (40 is not yet usable), name.
    let is_usable = |fields: &[&str]| fields.len() == 6 && fields[3] == "20" && !fields[4].starts_with(['4', 'c']);
    let all = interfaces.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    for fields in all.filter(|fields| is_usable(fields)) {
        let groups: Vec<&str> = (0..8).map(|group| &fields[0][4 * group..][..4]).collect();
        let host = format!("[{}%{}]", groups.join(":"), fields[5]);
        for flags in [&[][..], &["--raw"]] {
            let mut program = Program::start(&[&["serve", &format!("{host}:0"), "--echo"], flags].concat());
            let line = program.out_line();
            let (_, port) = line.rsplit_once(':').unwrap();
            let raw = if flags.len() > 1 { &["--raw"][..] } else { &[] };
            let ran = run(&[&["connect", &format!("{host}:{port}")], raw].concat(), b"hi\n");
            assert_eq!((ran.code, ran.text()), (0, "hi\n"), "{}", ran.err);
            // The address that the program prints is one that it takes, too.
            let ran = run(&[&["connect", line.strip_prefix("listening on ").unwrap()], raw].concat(), b"hi\n");
            assert_eq!((ran.code, ran.text()), (0, "hi\n"), "{}", ran.err);
            program.stdin = None;
            program.signal(rustix::process::Signal::TERM);
            assert_eq!(program.end().code, 0);
        }
    }
}

#[test]
fn no_server_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ran = run(&["connect", &addr], b"");
    assert_eq!((ran.code, ran.text()), (1, ""));
    assert!(ran.err.starts_with(&format!("unstick: {addr}: cannot connect: ")), "{}", ran.err);
}

#[test]
fn a_line_over_the_limit_ends_our_stream_after_the_lines_before() {
    let serve = Serve::start_as_it_is(&["--echo"]);
    let ran = run(&["connect", &serve.addr.to_string(), "--max-payload", "3"], b"abc\nabcd\nabc\n");
    assert_eq!((ran.code, ran.text()), (3, "abc\n"), "{}", ran.err);
    assert!(ran.err.contains("line 2 of standard input") && ran.err.contains("--max-payload"), "{}", ran.err);
    serve.stop();
}

#[test]
fn raw_is_what_the_other_side_sends_and_nothing_else() {
    let serve = Serve::start(&["--raw", "--echo"]);
    let addr = serve.addr.to_string();
    let sent = "你好\nno line end, \u{1b} and \0";
    let ran = run(&["connect", &addr, "--raw"], sent.as_bytes());
    assert_eq!((ran.code, ran.text()), (0, &*format!("Hello client! 你好...{sent}")));
    serve.stop();
}

#[test]
fn raw_reads_are_shown_in_hexadecimal_and_with_what_the_end_left_unfinished() {
    let answer = |bytes: &'static [u8]| {
        let addr = server(move |mut stream| {
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            read_to_end(&mut stream);
        });
        addr.to_string()
    };
    let ran = run(&["connect", &answer(b"\0\xFFhi"), "--raw", "--hex"], b"");
    assert_eq!((ran.code, ran.text()), (0, "00ff6869\n"), "{}", ran.err);
    // Two of the three bytes of a character, and then the end.
    let ran = run(&["connect", &answer(b"hi\n\xE4\xBD"), "--raw", "--timestamps"], b"");
    let shown: Vec<&str> = ran.text().lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!((ran.code, &shown[..]), (0, &["hi", "\u{FFFD}"][..]), "{}", ran.err);
}

#[test]
fn a_line_that_the_format_cannot_say_ends_our_side() {
    let serve = Serve::start_as_it_is(&["--echo", "--format", "width=1,adjustment=3"]);
    let ran = run(&["connect", &serve.addr.to_string(), "--format", "width=1,adjustment=3"], b"abc\nab\n");
    assert_eq!((ran.code, ran.text()), (3, "abc\n"), "{}", ran.err);
    assert!(
        ran.err.contains("line 2 of standard input: a payload of 2 bytes is below the format's least of 3"),
        "{}",
        ran.err
    );
    serve.stop();
    let ran = run(&["encode", "--format", "width=1,adjustment=3"], b"abc\nab\n");
    assert_eq!((ran.code, ran.text()), (3, "\0abc"), "{}", ran.err);
}

#[test]
fn the_tutorials_framed_server_is_spoken_to() {
    // It greets without framing, and parses what comes.
    let addr = server(|mut stream| {
        stream.write_all(&GREETING[4..10]).unwrap();
        let sent = read_to_end(&mut stream);
        let expected: Vec<u8> = (0..100).flat_map(|n| frame(format!("客户端发送了消息{n}").as_bytes())).collect();
        assert!(sent == expected, "what was sent");
        stream.write_all(&GREETING[10..]).unwrap();
    });
    let lines: String = (0..100).map(|n| format!("客户端发送了消息{n}\n")).collect();
    let ran = run(&["connect", &addr.to_string(), "--raw-greeting"], lines.as_bytes());
    assert_eq!((ran.code, ran.text()), (0, "Hello client! 你好..."), "{}", ran.err);
}

#[test]
fn the_tutorials_framed_client_is_served() {
    let serve = Serve::start(&["--raw-greeting"]);
    let mut stream = serve.connect();
    assert_eq!(read(&mut stream, 23), GREETING[4..]);
    let peer = stream.local_addr().unwrap();
    for n in 0..100 {
        stream.write_all(&frame(format!("客户端发送了消息{n}").as_bytes())).unwrap();
    }
    for n in 0..100 {
        assert_eq!(serve.program.out_line(), format!("{peer} 客户端发送了消息{n}"));
    }
    drop(stream);
    serve.stop();
}
