//! Limits over real sockets, as far as only those can show them; every deadline has its test in `tests/timeouts.rs`.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use smol::channel;
use unstick::framing::{EncodeError, Format, Frame};
use unstick::{CloseKind, Greeting, Halves, PeerName, Responder, Server, ServerConfig, serve_connection};

use crate::common::*;

#[test]
fn more_than_are_allowed_are_refused_at_once_in_the_way_that_is_configured_and_have_a_place_later() {
    let text = b"refused: 2 connections are served already";
    for (greeting, hello, refusal, told) in [
        (Greeting::None, vec![], Greeting::None, vec![]),
        (Greeting::Frame(b"hello".to_vec()), frame(b"hello"), Greeting::None, vec![]),
        (Greeting::None, vec![], Greeting::Frame(text.to_vec()), frame(text)),
        (Greeting::Frame(b"hello".to_vec()), frame(b"hello"), Greeting::Frame(text.to_vec()), frame(text)),
        (Greeting::Raw(b"hello".to_vec()), b"hello".to_vec(), Greeting::Raw(text.to_vec()), text.to_vec()),
    ] {
        let config = ServerConfig::default().greeting(greeting).refusal(refusal).max_connections(Some(2));
        let tells = config.refusal != Greeting::None;
        let server = Server::bind("127.0.0.1:0", config).expect("a port");
        let (open, opened) = channel::unbounded();
        let server = run(server.on_open(move |peer| open.try_send(peer.clone()).expect("a test")), |_| echo);
        let served = || {
            let mut socket = connect(server.addr);
            write(&mut socket, &frame(b"hi"));
            let mut reply = vec![0; hello.len() + 6];
            socket.read_exact(&mut reply).expect("a reply");
            assert_eq!(reply, [&hello[..], &frame(b"hi")].concat());
            socket
        };
        let first = [served(), served()];
        // More than are given time to read it.
        for _ in 0..40 {
            assert_eq!(read_to_end(&mut connect(server.addr)), told);
        }
        drop(first);
        while server.next_close().reason != "clean" {}
        let last = served();
        drop(last);
        let (stats, _) = server.served();
        assert_eq!((stats.refused(), stats.closes(CloseKind::Clean), stats.accepted), (40, 3, 43));
        // `on_open` is called for those that are served, and for those that get time to read the refusal: 16 at a time.
        let told_of = if tells { 3 + 16..=43 } else { 3..=3 };
        assert!(told_of.contains(&opened.len()), "{} of {told_of:?}", opened.len());
    }
}

/// While few connections are refused, each has time to read why. Further ones are told, too, but closed at once.
#[test]
fn however_many_are_refused_at_a_time_each_is_told_and_the_further_ones_are_not_waited_for() {
    let text = b"try again later";
    for (refusal, told) in
        [(Greeting::Frame(text.to_vec()), frame(text)), (Greeting::Raw(text.to_vec()), text.to_vec())]
    {
        let is_frame = matches!(refusal, Greeting::Frame(_));
        let config = ServerConfig::default().refusal(refusal).max_connections(Some(1));
        let server = start(config, |_| echo);
        let mut served = connect(server.addr);
        write(&mut served, &frame(b"hi"));
        assert_eq!(read_frame(&mut served), b"hi");
        // None of them closes before all are told.
        let mut refused: Vec<_> = (0..60).map(|_| connect(server.addr)).collect();
        for socket in &mut refused {
            assert_eq!(read_to_end(socket), told);
        }
        drop(refused);
        write(&mut served, &frame(b"here"));
        assert_eq!(read_frame(&mut served), b"here");
        drop(served);
        let (stats, _) = server.served();
        assert_eq!((stats.refused(), stats.closes(CloseKind::Clean), stats.accepted), (60, 1, 61));
        // Only those that were given time are among the served threads' figures.
        let bytes_out = stats.traffic.bytes_out - 6 - 8;
        let given_time = bytes_out / told.len() as u64;
        assert_eq!(stats.traffic.frames_out - 2, if is_frame { given_time } else { 0 });
        assert!(given_time < 60, "{given_time} were waited for");
    }
}

#[test]
fn a_stop_does_not_wait_for_a_handler_that_blocks_its_thread() {
    let (arrived, has_arrived) = channel::unbounded();
    let (open, gate) = channel::unbounded::<()>();
    let config = ServerConfig::default().drain_timeout(Duration::from_millis(50));
    let server = Server::bind("127.0.0.1:0", config).expect("a port");
    let (addr, account) = (server.local_addr().expect("a TCP address"), server.account());
    let (stop, stopped) = channel::bounded::<()>(1);
    let serving = smol::spawn(server.serve(
        move |_| {
            let (arrived, gate) = (arrived.clone(), gate.clone());
            async move |_: Frame<'_>, _: &mut Responder| {
                arrived.send(()).await.expect("a test");
                _ = gate.recv_blocking();
                Ok::<(), std::io::Error>(())
            }
        },
        async move { _ = stopped.recv().await },
    ));
    let mut socket = connect(addr);
    write(&mut socket, &frame(b"block"));
    in_time(has_arrived.recv()).expect("arrived");
    drop(stop);
    let stats = in_time(serving).expect("threads");
    assert_eq!((stats.accepted, stats.active, stats.closed()), (1, 1, 0), "it has not ended yet");
    drop(open);
    while account.stats().active > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(account.stats().closes(CloseKind::Stopped), 1);
    assert!(matches!(socket.read(&mut [0]), Ok(0) | Err(_)));
}

/// Sends the start of a frame of 1 MiB.
fn begin_frame(socket: &mut TcpStream, len: usize) {
    write(socket, &(1u32 << 20).to_le_bytes());
    write(socket, &vec![7; len]);
}

/// Three hold a frame each that is nearly whole, which is all that there is for what is received: another one waits,
/// and so one of them ends.
#[test]
fn more_than_the_fair_share_ends_a_connection_if_another_waits_and_the_others_are_served() {
    let config = ServerConfig::default().memory_budget(Some(4 << 20)).frame_timeout(None);
    let server = Server::bind("127.0.0.1:0", config).expect("a port");
    let account = server.account();
    let server = run(server, |_| echo);
    let mut greedy = [(); 3].map(|()| connect(server.addr));
    for socket in &mut greedy {
        begin_frame(socket, (1 << 20) - 1);
    }
    // They hold what they need of the 3 MiB for reading, and none waits.
    while account.stats().buffered < 3 * ((1 << 20) + 4 - 2048) {
        thread::sleep(Duration::from_millis(1));
    }
    let mut healthy = connect(server.addr);
    write(&mut healthy, &frame(&[7; 200_000]));
    assert_eq!(read_frame(&mut healthy).len(), 200_000);
    let ended = server.next_close();
    assert_eq!(ended.text, "over budget: 1046532 bytes held, the fair share of 4194304 is 629145");
    let (gone, mut served) =
        greedy.into_iter().partition::<Vec<_>, _>(|socket| ended.peer.as_socket() == socket.local_addr().ok());
    for mut socket in gone {
        let broken = socket.read(&mut [0]).map_err(|error| error.kind());
        assert!(matches!(broken, Ok(0) | Err(ErrorKind::ConnectionReset)), "{broken:?}");
    }
    for socket in &mut served {
        write(socket, &[7]);
        assert_eq!(read_frame(socket).len(), 1 << 20);
    }
    drop((healthy, served));
    for _ in 0..3 {
        assert_eq!(server.next_close().reason, "clean");
    }
    assert_eq!(account.stats().buffered, 0, "all is given back");
}

/// A handler that holds one of the longest payloads and waits to send another one must have room for both, beside
/// others; and one that pushes a short one must have room for what is charged at a time.
#[test]
fn a_budget_that_has_no_room_for_the_longest_payloads_is_refused() {
    for (longest, least) in [(1000, 16_384), (5000, 20_000)] {
        let format = Format::U32_LE.with_max_payload_len(longest).expect("a format");
        let config = |budget| ServerConfig::default().format(format).memory_budget(Some(budget));
        let error = Server::bind("127.0.0.1:0", config(least - 1)).expect_err("too little").to_string();
        let too_little = least - 1;
        let text = format!(
            "a memory_budget of {too_little} bytes is less than {least}: the longest payload has {longest} bytes"
        );
        assert_eq!(error, text);
        assert!(Server::bind("127.0.0.1:0", config(least)).is_ok());
    }
}

/// Its replies, and what it goes on sending meanwhile, are held for its sake: another one that needs memory has it.
#[test]
fn a_peer_that_does_not_read_its_replies_ends_if_another_waits() {
    let format = Format::U32_LE.with_max_payload_len(50_000).expect("a format");
    let config = ServerConfig::default().format(format).memory_budget(Some(224 << 10)).write_timeout(None);
    let server = Server::bind("127.0.0.1:0", config).expect("a port");
    let account = server.account();
    let server = run(server, |_| echo);
    let mut greedy = connect(server.addr);
    let frames = frame(&[7; 1000]).repeat(100_000);
    greedy.set_nonblocking(true).expect("an option");
    // Until nothing is taken any more: the server waits for it, and holds what it may.
    let (mut sent, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(200) {
        assert!(sent < frames.len(), "the server goes on reading");
        match std::io::Write::write(&mut greedy, &frames[sent..]) {
            Ok(n) => (sent, last) = (sent + n, Instant::now()),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    assert_eq!(account.stats().closed(), 0, "nobody else needs what it holds");
    let mut healthy = connect(server.addr);
    // A short frame needs no more than what each may hold, and a longer one does.
    write(&mut healthy, &frame(b"hi"));
    assert_eq!(read_frame(&mut healthy), b"hi");
    assert_eq!(account.stats().closed(), 0);
    write(&mut healthy, &frame(&[7; 10_000]));
    assert_eq!(read_frame(&mut healthy).len(), 10_000);
    assert_eq!(account.stats().closed(), 0);
    // There is not enough for two long ones beside it.
    let (long, mut two) = (frame(&[7; 50_000]), [healthy, connect(server.addr)]);
    two.iter_mut().for_each(|healthy| write(healthy, &long[..49_000]));
    let ended = server.next_close();
    assert_eq!(ended.reason, "over budget", "{}", ended.text);
    assert!(ended.traffic.frames_in > 0);
    for healthy in &mut two {
        write(healthy, &long[49_000..]);
        assert_eq!(read_frame(healthy).len(), 50_000);
    }
}

/// A connection with more frames than it may handle at once yields to others in between, empty frames or not.
#[test]
fn a_turn_ends_after_so_many_frames() {
    let config = ServerConfig::default().max_frames_per_turn(16);
    let memory = Halves { reader: &[0; 4 * 1000][..], writer: futures_lite::io::sink() };
    let mut served = pin!(serve_connection(PeerName::Other("memory".into()), memory, config, |_| echo));
    let mut turns = 1;
    let closed = smol::block_on(poll_fn(|cx| {
        let polled = served.as_mut().poll(cx);
        turns += usize::from(polled.is_pending());
        polled
    }))
    .expect("a configuration to serve with");
    assert_eq!((closed.traffic.frames_in, turns), (1000, 1 + 1000 / 16));
}

/// A flood of empty frames, and a peer beside it on the same thread: both are served, and neither waits for the other's
/// end.
#[test]
fn a_flood_of_empty_frames_and_a_peer_beside_it_are_served() {
    let server = start(ServerConfig::default().max_frames_per_turn(16), |_| echo);
    let mut flooding = connect(server.addr);
    let mut reading = flooding.try_clone().expect("a second handle");
    let flood = vec![0; 4 << 20];
    let frames = flood.len() / 4;
    let (begun, has_begun) = channel::unbounded::<()>();
    let reader = thread::spawn(move || {
        let mut reply = vec![0; 4 << 20];
        reading.read_exact(&mut reply[..4]).expect("a reply");
        begun.try_send(()).expect("sent");
        reading.read_exact(&mut reply[4..]).expect("all replies");
    });
    let writer = thread::spawn(move || write(&mut flooding, &flood));
    in_time(has_begun.recv()).expect("begun");
    let mut healthy = connect(server.addr);
    for n in 0..100u32 {
        write(&mut healthy, &frame(&n.to_le_bytes()));
        assert_eq!(read_frame(&mut healthy), n.to_le_bytes());
    }
    drop(healthy);
    writer.join().expect("written");
    reader.join().expect("read");
    let (stats, _) = server.served();
    assert_eq!((stats.traffic.frames_in, stats.closes(CloseKind::Clean)), (frames as u64 + 100, 2));
}

#[test]
fn what_cannot_be_said_in_the_format_is_refused_before_anybody_connects() {
    let config = ServerConfig::default();
    let long = || Greeting::Frame(vec![0; (1 << 20) + 1]);
    for (config, text) in [
        (config.clone().greeting(long()), "the greeting cannot be encoded"),
        (config.refusal(long()), "the refusal cannot be encoded"),
    ] {
        let error = Server::bind("127.0.0.1:0", config).expect_err("too long a text");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), text);
        let why = Error::source(&error).and_then(|source| source.downcast_ref());
        assert_eq!(why, Some(&EncodeError::Oversize { payload_len: (1 << 20) + 1, max_payload_len: 1 << 20 }));
    }
}

/// A limit of 0 is an error with its name, before any connection.
#[test]
fn a_limit_of_0_is_refused_by_its_name() {
    let config = ServerConfig::default;
    for (config, name) in [
        (config().threads(0), "threads"),
        (config().max_connections(Some(0)), "max_connections"),
        (config().memory_budget(Some(0)), "memory_budget"),
        (config().min_rate(Some(0)), "min_rate"),
        (config().high_water(0), "high_water"),
        (config().outbox_limit(0), "outbox_limit"),
        (config().max_frames_per_turn(0), "max_frames_per_turn"),
    ] {
        let error = Server::bind("127.0.0.1:0", config).expect_err("a limit of 0");
        let text = format!("{name} is 0; it must be at least 1");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, text));
    }
}
