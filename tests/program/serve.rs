//! `unstick serve`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{
    GREETING, PATIENCE, Program, Serve, command, command_of_shell, finish, frame, read, rest, run, wait,
};

#[test]
fn frames_are_printed_and_ends_are_told() {
    let serve = Serve::start(&[]);
    let mut stream = serve.greeted();
    let peer = stream.local_addr().unwrap();
    stream.write_all(&[frame("你好".as_bytes()), frame(b""), frame(b"a\nb"), frame(b"\xFF")].concat()).unwrap();
    for text in ["你好", "", "\\\"a\\nb\"", "\\\"\\xff\""] {
        assert_eq!(serve.program.out_line(), format!("{peer} {text}"));
    }
    assert_eq!(finish(stream), b"", "without --echo nothing is returned");
    assert_eq!(serve.program.err_line(), format!("{peer} connected"));
    let expected = format!("{peer} closed: clean (4 frames and 26 bytes in, 1 frames and 27 bytes out)");
    assert_eq!(serve.program.err_line(), expected);
    serve.stop();
}

#[test]
fn echo_returns_each_frame() {
    let serve = Serve::start(&["--echo", "--print", "hex", "--threads", "2"]);
    let mut stream = serve.greeted();
    let peer = stream.local_addr().unwrap();
    let wire = [frame(b"one"), frame(b""), frame(&[7; 100_000])].concat();
    stream.write_all(&wire).unwrap();
    assert_eq!(finish(stream), wire);
    assert_eq!(serve.program.out_line(), format!("{peer} 6f6e65"));
    assert_eq!(serve.program.out_line(), format!("{peer} "));
    assert_eq!(serve.program.out_line(), format!("{peer} {}", "07".repeat(100_000)));
    serve.stop();
}

#[test]
fn echo_returns_a_frame_with_its_prefix() {
    let serve = Serve::start(&["--echo", "--print", "none", "--format", "offset=2,width=2", "--greeting=hi"]);
    let mut stream = serve.connect();
    stream.write_all(b"\x01\x02\0\x03abc").unwrap();
    assert_eq!(finish(stream), b"\0\0\0\x02hi\x01\x02\0\x03abc");
    let ran = serve.stop();
    assert_eq!(ran.out, b"", "--print none prints nothing");
}

#[test]
fn echo_returns_a_frame_with_its_trailer() {
    let serve = Serve::start(&["--echo", "--print", "text", "--format", "u16be,trailer=4", "--greeting=hi"]);
    let mut stream = serve.connect();
    let peer = stream.local_addr().unwrap();
    let large = [&b"\xEA\x60"[..], &[b'x'; 60_000], b"end!"].concat();
    let wire = [&b"\0\x03abc\x01\x02\x03\x04"[..], b"\0\0\xFF\xFF\xFF\xFF", &large[..]].concat();
    stream.write_all(&wire).unwrap();
    assert_eq!(finish(stream), [&b"\0\x02hi\0\0\0\0"[..], &wire].concat());
    assert_eq!(serve.program.out_line(), format!("{peer} abc"), "the trailer is none of the payload");
    serve.stop();
}

#[test]
fn greetings() {
    for (flags, expected) in [
        (&[][..], &b""[..]),
        (&["--greeting"], GREETING),
        (&["--greeting=hi"], b"\x02\0\0\0hi"),
        (&["--greeting="], b"\0\0\0\0"),
        (&["--raw-greeting"], &GREETING[4..]),
        (&["--raw-greeting=hi"], b"hi"),
        (&["--raw"], b""),
        (&["--raw", "--greeting"], &GREETING[4..]),
        (&["--raw", "--greeting=hi"], b"hi"),
        (&["--raw", "--raw-greeting"], &GREETING[4..]),
    ] {
        let serve = Serve::start_as_it_is(flags);
        assert_eq!(finish(serve.connect()), expected, "{flags:?}");
        serve.stop();
    }
}

#[test]
fn raw_prints_each_read_and_never_a_torn_character() {
    let serve = Serve::start_as_it_is(&["--raw", "--echo"]);
    let mut stream = serve.connect();
    let peer = stream.local_addr().unwrap();
    // Each piece comes back before the next is sent, so each is a read of its own. 你 is E4 BD A0.
    for piece in [&b"one"[..], b"a\xE4", b"\xBD", b"\xA0b\n", b"\xE4"] {
        stream.write_all(piece).unwrap();
        assert_eq!(read(&mut stream, piece.len()), piece);
    }
    assert_eq!(finish(stream), b"");
    for line in ["one", "a", "\\\"你b\\n\"", "\u{FFFD}"] {
        assert_eq!(serve.program.out_line(), format!("{peer} {line}"));
    }
    assert_eq!(serve.program.err_line(), format!("{peer} connected"));
    assert_eq!(serve.program.err_line(), format!("{peer} closed: clean"));
    serve.stop();
}

#[test]
fn raw_reads_are_printed_in_hexadecimal_or_not_at_all() {
    let serve = Serve::start_as_it_is(&["--raw", "--print", "hex"]);
    let mut stream = serve.connect();
    let peer = stream.local_addr().unwrap();
    stream.write_all(b"\xE4\xBD").unwrap();
    assert_eq!(serve.program.out_line(), format!("{peer} e4bd"), "half a character is what it is");
    assert_eq!(finish(stream), b"");
    assert_eq!(serve.stop().out, b"", "nothing is printed of the end");

    let serve = Serve::start_as_it_is(&["--raw", "--print", "none", "--echo"]);
    let mut stream = serve.connect();
    stream.write_all(b"hello").unwrap();
    assert_eq!(finish(stream), b"hello");
    assert_eq!(serve.stop().out, b"");
}

#[test]
fn a_client_killed_in_the_middle_of_a_frame_is_told_and_the_others_are_served_on() {
    let serve = Serve::start(&["--echo"]);
    let mut other = serve.greeted();
    // A process of its own, which can be killed. Its whole frame and its half one leave it in one write.
    let mut client = Program::start(&["connect", &serve.addr.to_string(), "--raw"]);
    client.write(&[&frame(b"whole")[..], b"\x10\0\0\0half"].concat());
    let printed = serve.program.out_line();
    let peer = printed.strip_suffix(" whole").unwrap();
    client.signal(Signal::KILL);
    assert_eq!(client.end().code, -1);
    let closed = loop {
        let line = serve.program.err_line();
        if line.starts_with(&format!("{peer} closed: ")) {
            break line;
        }
    };
    let reason = &closed[peer.len() + " closed: ".len()..];
    assert!(reason.starts_with("reset: ") || reason.starts_with("truncated: "), "{closed}");
    assert!(reason.contains("1 frames and 17 bytes in"), "{closed}");

    other.write_all(&frame(b"still here")).unwrap();
    assert_eq!(read(&mut other, 14), frame(b"still here"));
    drop(other);
    assert_eq!(run(&["connect", &serve.addr.to_string()], b"and new ones\n").code, 0);
    serve.stop();
}

#[test]
fn what_clients_do_wrong_is_told() {
    let serve = Serve::start(&["--max-payload", "1KiB"]);
    for (sent, expected) in [
        (&b"\x10\0\0\0half"[..], "truncated: at byte 0: the stream ended inside a frame: 12 of 20 bytes missing"),
        (b"\xFF\xFF\xFF\xFF", "oversize: at byte 0: a payload of 4294967295 bytes is over the limit of 1024"),
        (b"GET / HTTP/1.1\r\n\r\n", "looks like HTTP"),
    ] {
        let mut stream = serve.greeted();
        stream.write_all(sent).unwrap();
        finish(stream);
        assert!(serve.program.err_line().ends_with(" connected"));
        let line = serve.program.err_line();
        assert!(line.contains(" closed: ") && line.contains(expected), "{line}");
    }
    serve.stop();
}

#[test]
fn a_signal_drains_and_closes_the_listener_first() {
    for signal in [Signal::INT, Signal::TERM] {
        for flags in [&["--echo"][..], &["--echo", "--raw"]] {
            let serve = Serve::start(flags);
            let mut idle = serve.connect();
            let greeting_len = if flags.len() == 1 { GREETING.len() } else { GREETING.len() - 4 };
            read(&mut idle, greeting_len);
            serve.program.signal(signal);
            let mut rest = Vec::new();
            idle.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"");
            TcpStream::connect(serve.addr).unwrap_err();
            drop(idle);
            let ran = serve.program.end();
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(ran.err.contains("closed: stopped"), "{ran:?}");
        }
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let serve = Serve::start(&["--echo"]);
        // In the middle of a frame: the server waits for the rest of it.
        let mut stream = serve.greeted();
        stream.write_all(&[&frame(b"whole")[..], b"\x10\0\0\0half"].concat()).unwrap();
        read(&mut stream, 9);
        serve.program.signal(signal);
        while !serve.program.err_line().starts_with("stopping: ") {}
        serve.program.signal(signal);
        assert_eq!(serve.program.end().code, code);
    }
}

#[test]
fn lines_of_many_clients_are_never_torn() {
    const CLIENTS: usize = 8;
    const FRAMES: usize = 500;
    let serve = Serve::start(&["--threads", "4"]);
    let addr = serve.addr;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(addr).unwrap();
                let peer = stream.local_addr().unwrap();
                for number in 0..FRAMES {
                    stream
                        .write_all(&frame(format!("client {client} frame {number} {}", "x".repeat(number)).as_bytes()))
                        .unwrap();
                }
                finish(stream);
                peer
            })
        })
        .collect();
    let peers: Vec<String> = clients.into_iter().map(|client| client.join().unwrap().to_string()).collect();
    let mut next = [0; CLIENTS];
    for _ in 0..CLIENTS * FRAMES {
        let line = serve.program.out_line();
        let client = peers.iter().position(|peer| line.starts_with(&format!("{peer} "))).expect("a line of a client");
        let number = next[client];
        assert_eq!(line, format!("{} client {client} frame {number} {}", peers[client], "x".repeat(number)));
        next[client] += 1;
    }
    serve.stop();
}

/// The server says why, stops as after a signal, and every connection is told of.
#[test]
fn a_reader_that_goes_away_stops_the_server_which_says_why_and_drains() {
    for flags in [&["--greeting", "--echo", "--stats", "1000"][..], &["--greeting", "--echo", "--raw"]] {
        let is_raw = flags.contains(&"--raw");
        let mut child = command(&[&["serve", "127.0.0.1:0"], flags].concat()).stdin(Stdio::null()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let (mut line, mut byte) = (String::new(), [0]);
        while byte != *b"\n" {
            out.read_exact(&mut byte).unwrap();
            line.push(char::from(byte[0]));
        }
        drop(out);
        let addr = line.trim().strip_prefix("listening on ").unwrap();
        let mut streams: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let greeting = if is_raw { &GREETING[4..] } else { GREETING };
        for stream in &mut streams {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(read(stream, greeting.len()), greeting);
        }
        // What cannot be printed is served all the same.
        let sent = frame(b"nobody reads this");
        streams[0].write_all(&sent).unwrap();
        assert_eq!(rest(&mut streams[0]), sent);
        assert_eq!(rest(&mut streams[1]), b"");
        assert_eq!(wait(&mut child).code(), Some(9));
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let peers: Vec<String> = streams.iter().map(|stream| stream.local_addr().unwrap().to_string()).collect();
        let why: Vec<&str> = err.lines().filter(|line| line.starts_with("unstick: ")).collect();
        let expected = format!("unstick: cannot write what {} sent to standard output: Broken pipe", peers[0]);
        assert!(why.len() == 1 && why[0].starts_with(&expected) && why[0].contains("stopping"), "{err}");
        for peer in &peers {
            assert_eq!(err.lines().filter(|line| *line == format!("{peer} connected")).count(), 1, "{err}");
            assert_eq!(err.lines().filter(|line| line.starts_with(&format!("{peer} closed: "))).count(), 1, "{err}");
        }
        if !is_raw {
            let last = err.lines().last().unwrap();
            assert!(last.starts_with("stats: accepted 2, active 0, refused 0; in 1 frames, "), "{err}");
        }
    }
}

/// Its reader is a shell and then `head`, or it goes to a file that may have 512 or 1024 bytes: the shells' units differ.
#[test]
fn where_its_output_ends_each_connection_and_the_last_stats_are_told() {
    for (script, code) in [
        ("\"$@\" | { read -r line; echo \"$line\" >\"$OUT\"; head -n 1 >/dev/null; }", 0),
        ("trap '' XFSZ; ulimit -f 1; exec \"$@\" >\"$OUT\"", 9),
    ] {
        let out = std::env::temp_dir().join(format!("unstick-output-{}", std::process::id()));
        let mut command =
            command_of_shell(script, &["serve", "127.0.0.1:0", "--echo", "--stats", "1000", "--threads", "2"]);
        command.env("OUT", &out);
        let program = Program::spawn(command);
        let first = || {
            thread::sleep(Duration::from_millis(5));
            Some(std::fs::read_to_string(&out).ok()?.split_once('\n')?.0.to_owned())
        };
        let line = std::iter::repeat_with(first).take(10_000).flatten().next().expect("the first line");
        let addr: SocketAddr = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        let mut streams: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();
        // Half a frame is in flight, and its rest does not come.
        streams[2].write_all(&frame(&[7; 100])[..50]).unwrap();
        let sent = frame(&[b'x'; 300]);
        let mut echoed = vec![0; sent.len()];
        let writes =
            (0..).find(|_| streams[0].write_all(&sent).is_err() || streams[0].read_exact(&mut echoed).is_err());
        assert!(writes > Some(1), "the first lines are written");
        streams[2].shutdown(std::net::Shutdown::Both).unwrap();
        let ran = program.end();
        assert_eq!(ran.code, code, "{script}: {ran:?}");
        assert_eq!(ran.err.matches("unstick: cannot write what ").count(), 1, "{script}: {ran:?}");
        assert_eq!(ran.err.matches(" connected\n").count(), 3, "{script}: {ran:?}");
        assert_eq!(ran.err.matches(" closed: stopped (").count(), 2, "{script}: {ran:?}");
        assert_eq!(ran.err.matches(" closed: truncated: ").count(), 1, "{script}: {ran:?}");
        let last = ran.err.lines().last().unwrap();
        assert!(last.starts_with("stats: accepted 3, active 0, refused 0; in "), "{script}: {ran:?}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    for flags in [&["--stats", "1000"][..], &["--raw"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut child = command(&[&["serve", "127.0.0.1:0"], flags].concat()).stdout(full).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(9));
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(err.starts_with("unstick: cannot write the address to standard output: No space left"), "{err}");
        let last = err.lines().last().unwrap();
        assert!(flags.contains(&"--raw") || last.starts_with("stats: accepted 0, "), "{err}");
    }
}

#[test]
fn a_reader_that_is_gone_from_the_start_is_told() {
    for flags in [&[][..], &["--raw"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command(&[&["serve", "127.0.0.1:0"], flags].concat()).stdout(writer).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(9));
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(err.starts_with("unstick: cannot write the address to standard output: Broken pipe"), "{err}");
    }
}

#[test]
fn an_address_that_is_not_ours_is_told() {
    for flags in [&[][..], &["--raw"]] {
        let ran = run(&[&["serve", "192.0.2.1:0"], flags].concat(), b"");
        assert_eq!((ran.code, ran.text()), (1, ""));
        assert!(ran.err.starts_with("unstick: cannot listen on 192.0.2.1:0: "), "{}", ran.err);
        assert!(!ran.err.contains("another program"), "{}", ran.err);
    }
}

#[test]
fn an_address_in_use_is_told() {
    let serve = Serve::start(&[]);
    for flags in [&[][..], &["--raw"]] {
        let ran = run(&[&["serve", &*serve.addr.to_string()], flags].concat(), b"");
        assert_eq!((ran.code, ran.text()), (1, ""));
        assert!(ran.err.starts_with(&format!("unstick: cannot listen on {}", serve.addr)), "{}", ran.err);
    }
    serve.stop();
}
