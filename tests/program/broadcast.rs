//! `unstick serve --broadcast` and `--echo --delay`.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Serve, finish, frame, read, run};

const BROADCAST: [&str; 5] = ["--broadcast", "--threads", "2", "--print", "none"];

/// The greeting comes once the handler is there, and with it the client is in the room.
fn clients(serve: &Serve, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| serve.greeted()).collect()
}

#[test]
fn a_frame_goes_to_all_others_and_not_back() {
    let serve = Serve::start(&BROADCAST);
    let mut clients = clients(&serve, 5);
    let large = vec![7; 100_000];
    for (sender, payload) in [(0, &b"one"[..]), (3, b""), (4, &large)] {
        let wire = frame(payload);
        clients[sender].write_all(&wire).unwrap();
        for (_, client) in clients.iter_mut().enumerate().filter(|(number, _)| *number != sender) {
            assert!(read(client, wire.len()) == wire);
        }
    }
    for client in clients {
        assert_eq!(finish(client), b"", "nothing came back");
    }
    let ran = serve.stop();
    assert_eq!(ran.err.matches("closed: clean").count(), 5, "{ran:?}");
}

#[test]
fn a_client_that_has_left_gets_nothing() {
    let serve = Serve::start(&BROADCAST);
    let mut clients = clients(&serve, 3);
    assert_eq!(finish(clients.pop().unwrap()), b"");
    serve.program.err_line_with("closed: clean");
    clients[0].write_all(&frame(b"to who is here")).unwrap();
    assert_eq!(read(&mut clients[1], 18), frame(b"to who is here"));
    let mut late = serve.greeted();
    clients[1].write_all(&frame(b"again")).unwrap();
    for client in [&mut clients[0], &mut late] {
        assert_eq!(read(client, 9), frame(b"again"));
    }
    serve.stop();
}

#[test]
fn prefix_and_trailer_travel_along_and_frames_are_printed() {
    let serve = Serve::start_as_it_is(&["--broadcast", "--format", "offset=1,width=1,trailer=1", "--greeting=hi"]);
    let mut clients = [serve.connect(), serve.connect()];
    for client in &mut clients {
        assert_eq!(read(client, 5), b"\0\x02hi\0");
    }
    clients[0].write_all(b"A\x03abcZ").unwrap();
    assert_eq!(read(&mut clients[1], 6), b"A\x03abcZ");
    assert_eq!(serve.program.out_line(), format!("{} abc", clients[0].local_addr().unwrap()));
    serve.stop();
}

/// One client sends and never reads. The others get each frame before the next one is sent, so they never lag.
#[test]
fn a_client_that_never_reads_ends_as_overflow_and_the_others_continue() {
    let serve = Serve::start(&[&BROADCAST[..], &["--write-timeout", "off"]].concat());
    let mut clients = clients(&serve, 4);
    let unread = clients.pop().unwrap();
    let closed = format!("{} closed: ", unread.local_addr().unwrap());
    let mut number = 0;
    let line = loop {
        if let Some(line) = serve.program.err_line_at_hand()
            && line.starts_with(&closed)
        {
            break line;
        }
        assert!(number < 10_000, "500 MB wait for who reads nothing");
        let wire = frame(&[7; 50_000]);
        let sender = number % clients.len();
        clients[sender].write_all(&wire).unwrap();
        for (_, client) in clients.iter_mut().enumerate().filter(|(client, _)| *client != sender) {
            assert!(read(client, wire.len()) == wire);
        }
        number += 1;
    };
    assert!(line.contains("closed: overflow: ") && line.contains(" bytes queued, limit 262144"), "{line}");
    clients[0].write_all(&frame(b"still here")).unwrap();
    for client in &mut clients[1..] {
        assert_eq!(read(client, 14), frame(b"still here"));
    }
    for client in clients {
        assert_eq!(finish(client), b"");
    }
    let ran = serve.stop();
    assert_eq!(
        (ran.err.matches("closed: clean").count(), ran.err.matches("closed: overflow").count()),
        (3, 0),
        "{ran:?}"
    );
}

/// The statistics count what is sent to a client that only listens.
#[test]
fn a_client_that_only_listens_is_in_the_stats() {
    let serve = Serve::start(&[&BROADCAST[..], &["--stats", "0.05"]].concat());
    let mut clients = clients(&serve, 3);
    clients[0].write_all(&frame(b"news")).unwrap();
    // Three greetings, and what two of them got.
    let line = serve.program.err_line_with("in 1 frames, 8 bytes; out 5 frames, 97 bytes");
    assert!(line.starts_with("stats: accepted 3, active 3"), "{line}");
    serve.stop();
}

/// The reply does not come before its time; that it comes soon after is not asserted.
#[test]
fn a_delayed_echo_waits() {
    let serve = Serve::start_as_it_is(&["--echo", "--delay", "100ms"]);
    let begun = Instant::now();
    let ran = run(&["connect", &serve.addr.to_string()], b"one\ntwo\n");
    assert_eq!((ran.code, ran.text()), (0, "one\ntwo\n"), "{}", ran.err);
    assert!(begun.elapsed() >= Duration::from_millis(200), "one after the other");
    // A stop waits for the one that is in flight.
    let mut stream = serve.connect();
    stream.write_all(&frame(b"last")).unwrap();
    while !serve.program.out_line().ends_with(" last") {}
    serve.program.signal(rustix::process::Signal::TERM);
    assert_eq!(finish(stream), frame(b"last"));
    assert_eq!(serve.program.end().code, 0);
}
