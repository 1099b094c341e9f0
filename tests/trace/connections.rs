//! Which connections are in a capture, and which one is chosen.

use unstick::trace::{Capture, TraceError};

use crate::wire::{ACK, FIN, From, PSH, RST, SERVER_PORT, SYN, Talk};

/// The packets of several conversations, one after another.
fn capture(talks: &[&Talk]) -> Capture {
    Capture { packets: talks.iter().flat_map(|talk| talk.packets.clone()).collect(), notes: Vec::new() }
}

fn streams(capture: &Capture) -> Vec<(usize, u16, u16, usize)> {
    let connections = capture.connections();
    connections.iter().map(|one| (one.stream, one.client.port(), one.server.port(), one.packets.len())).collect()
}

#[test]
fn a_new_syn_after_a_close_begins_a_new_connection() {
    let mut first = Talk::open();
    first.send(From::Client, SYN, 0, 0, b""); // once more, before anything closed
    first.send(From::Server, FIN | ACK, 1, 1, b"");
    let mut second = Talk::open();
    second.send(From::Client, RST, 1, 0, b"");
    let mut third = Talk::new();
    third.began = [7, 8];
    third.shake_hands();
    let mut fourth = Talk::new();
    fourth.began = [9_000, 8];
    fourth.shake_hands(); // nothing closed, but another number
    let capture = capture(&[&first, &second, &third, &fourth]);
    let (client, server) = (first.ports[0], SERVER_PORT);
    assert_eq!(
        streams(&capture),
        [(0, client, server, 5), (1, client, server, 4), (2, client, server, 3), (3, client, server, 3)]
    );
}

#[test]
fn the_one_with_bytes_is_chosen_and_the_server_is_the_one_of_the_port() {
    let empty = Talk::open();
    let mut other = Talk::new();
    other.ports = [50_000, 5432];
    other.shake_hands();
    other.send(From::Client, PSH | ACK, 1, 1, b"hello");
    let mut late = Talk::new();
    late.ports = [9_000, 60_000]; // the client's port is the smaller one
    late.send(From::Server, ACK, 5, 5, b"what");
    let capture = capture(&[&empty, &other, &late]);
    assert_eq!(capture.choose(None, None).unwrap().stream, 1);
    assert_eq!(capture.choose(Some(0), None).unwrap().stream, 0);
    assert_eq!(capture.choose(None, Some(SERVER_PORT)).unwrap().stream, 0);
    let guessed = capture.choose(Some(2), None).unwrap();
    assert_eq!((guessed.server.port(), guessed.knows_client), (9_000, false));
    assert_eq!(capture.choose(None, Some(60_000)).unwrap().server.port(), 60_000);
    let known = capture.choose(None, Some(50_000)).unwrap();
    assert_eq!((known.client.port(), known.knows_client), (50_000, true));
    assert_eq!(capture.choose(Some(3), None), Err(TraceError::NoStream { stream: 3, count: 3 }));
    assert_eq!(capture.choose(None, Some(1)), Err(TraceError::NoPort { port: 1, stream: None, count: 3 }));
    let no_port = TraceError::NoPort { port: 1, stream: Some(0), count: 3 };
    assert_eq!(capture.choose(Some(0), Some(1)), Err(no_port));
    assert_eq!(Capture::default().choose(None, None), Err(TraceError::NoTcp { packets: 0 }));
}

#[test]
fn a_syn_that_comes_late_shows_which_end_is_the_client() {
    let mut talk = Talk::new();
    talk.ports = [80, 50_000];
    talk.send(From::Server, SYN | ACK, 0, 1, b"");
    talk.send(From::Client, SYN, 0, 0, b"");
    assert_eq!(streams(&talk.capture()), [(0, 80, 50_000, 2)]);
}

#[test]
fn what_is_no_tcp_is_left_out_with_a_note() {
    let mut talk = Talk::open();
    let fragment = talk.send(From::Client, ACK, 1, 1, b"some");
    fragment.bytes[6] = 0x20; // more fragments follow
    let udp = talk.send(From::Client, ACK, 1, 1, b"some");
    udp.bytes[9] = 17;
    let cut = talk.send(From::Client, ACK, 1, 1, b"some");
    cut.bytes.truncate(30);
    let trace = talk.trace(&Default::default());
    assert_eq!(trace.segments.len(), 3);
    let notes: Vec<&str> = trace.notes.iter().map(|note| &*note.text).collect();
    assert_eq!(
        notes,
        ["left out, as only parts of IP packets: 1 fragment", "left out, as cut or wrong in their headers: 1 packet"]
    );
}
