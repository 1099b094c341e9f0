//! The examples of the server, over real sockets.

#[path = "support/certificates.rs"]
mod certificates;
mod common;

#[allow(dead_code)]
#[path = "../examples/chat.rs"]
mod chat;
#[allow(dead_code)]
#[path = "../examples/job.rs"]
mod job;
#[allow(dead_code)]
#[path = "../examples/mutual_tls.rs"]
mod mutual_tls;
#[allow(dead_code)]
#[path = "../examples/relay.rs"]
mod relay;
#[allow(dead_code)]
#[path = "../examples/tls_echo.rs"]
mod tls_echo;

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use certificates::{Authority, Folder, trusting};
use common::{DEADLINE, connect, frame, in_time, read_frame, read_to_end, reset, write};
use smol::Task;
use unstick::{Account, Client, ClientConfig, CloseKind, Server, ServerConfig, Stats};

/// A server of one of the examples.
struct Example {
    addr: SocketAddr,
    account: Account,
    _serving: Task<std::io::Result<Stats>>,
}

impl Example {
    fn start<F>(config: ServerConfig, serve: impl FnOnce(Server) -> F) -> Example
    where
        F: Future<Output = std::io::Result<Stats>> + Send + 'static,
    {
        let server = Server::bind("127.0.0.1:0", config).expect("a port");
        let (addr, account) = (server.local_addr().expect("a TCP address"), server.account());
        Example { addr, account, _serving: smol::spawn(serve(server)) }
    }

    #[track_caller]
    fn client(&self) -> TcpStream {
        connect(self.addr)
    }

    /// Waits until this many frames have been handled.
    #[track_caller]
    fn wait_for_frames(&self, count: u64) {
        let begin = Instant::now();
        while self.account.stats().traffic.frames_in < count {
            assert!(begin.elapsed() < DEADLINE, "{:?}", self.account);
            std::thread::yield_now();
        }
    }

    /// Waits until this many connections have ended for this reason.
    #[track_caller]
    fn wait_for(&self, kind: CloseKind, count: u64) {
        let begin = Instant::now();
        while self.account.stats().closes(kind) < count {
            assert!(begin.elapsed() < DEADLINE, "{:?}", self.account);
            std::thread::yield_now();
        }
    }
}

#[track_caller]
fn send(client: &mut TcpStream, payload: &[u8]) {
    write(client, &frame(payload));
}

#[test]
fn what_one_says_in_the_chat_all_others_get() {
    let server = Example::start(ServerConfig::default(), chat::serve);
    let mut one = server.client();
    send(&mut one, b"one");
    server.wait_for_frames(1);
    let mut two = server.client();
    send(&mut two, b"two");
    server.wait_for_frames(2);
    let mut three = server.client();
    send(&mut three, b"three");
    assert_eq!(read_frame(&mut one), b"two");
    for other in [&mut one, &mut two] {
        assert_eq!(read_frame(other), b"three");
    }
    send(&mut two, "你好".as_bytes());
    for other in [&mut one, &mut three] {
        assert_eq!(read_frame(other), "你好".as_bytes());
    }
    drop(three);
    server.wait_for(CloseKind::Clean, 1);
    send(&mut one, b"two is left");
    assert_eq!(read_frame(&mut two), b"two is left");
}

#[test]
fn a_client_that_does_not_read_the_chat_is_broken_off() {
    let server = Example::start(ServerConfig::default(), chat::serve);
    let (mut speaks, mut slow) = (server.client(), server.client());
    send(&mut slow, b"hello");
    server.wait_for_frames(1);
    let (begin, mut sent) = (Instant::now(), 1);
    while server.account.stats().closes(CloseKind::Overflow) == 0 {
        assert!(begin.elapsed() < DEADLINE, "{:?}", server.account);
        send(&mut speaks, &[b'a'; 60_000]);
        sent += 1;
    }
    server.wait_for_frames(sent);
    let mut other = server.client();
    send(&mut other, b"hello");
    server.wait_for_frames(sent + 1);
    send(&mut speaks, b"go on");
    assert_eq!(read_frame(&mut other), b"go on");
}

/// Frames that come at once are more than an outbox holds, and are written one by one.
#[test]
fn a_client_that_reads_the_chat_gets_a_burst_that_no_outbox_holds() {
    let server = Example::start(ServerConfig::default().outbox_limit(20_000), chat::serve);
    let (mut speaks, mut other) = (server.client(), server.client());
    send(&mut other, b"hello");
    server.wait_for_frames(1);
    write(&mut speaks, &frame(&[b'a'; 1000]).repeat(60));
    for _ in 0..60 {
        assert_eq!(read_frame(&mut other), [b'a'; 1000]);
    }
}

#[test]
fn a_job_tells_how_far_it_is_and_answers() {
    let server = Example::start(ServerConfig::default(), job::serve);
    let mut client = server.client();
    send(&mut client, b"1000");
    send(&mut client, b"many");
    for percent in 1..=10 {
        assert_eq!(read_frame(&mut client), format!("progress: {percent}0 %").as_bytes());
    }
    assert_eq!(read_frame(&mut client), b"168 primes are less than 1000");
    assert_eq!(read_frame(&mut client), b"error: send a number of up to 4294967295");
}

/// A long job delays no other client, and ends with its own client.
#[test]
fn a_long_job_delays_no_other_client_and_ends_with_its_own() {
    let server = Example::start(ServerConfig::default(), job::serve);
    let (mut long, mut short) = (server.client(), server.client());
    send(&mut long, b"2000000");
    send(&mut short, b"10");
    for _ in 0..10 {
        assert!(read_frame(&mut short).starts_with(b"progress: "));
    }
    assert_eq!(read_frame(&mut short), b"4 primes are less than 10");
    reset(long);
    server.wait_for(CloseKind::Reset, 1);
}

#[test]
fn a_relay_forwards_both_directions_and_waits_for_a_slow_reader() {
    let server = Example::start(ServerConfig::default(), relay::serve);
    let (mut one, mut two) = (server.client(), server.client());
    send(&mut one, b"is anybody there?");
    assert_eq!(read_frame(&mut two), b"is anybody there?");
    send(&mut two, b"yes");
    assert_eq!(read_frame(&mut one), b"yes");

    // Much more than sockets and outbox hold.
    let payload = |number: u8| vec![number; 1 << 20];
    let writing = std::thread::spawn({
        let mut one = one.try_clone().expect("a descriptor");
        move || (0..40).for_each(|number| send(&mut one, &payload(number)))
    });
    let (mut three, mut four) = (server.client(), server.client());
    send(&mut three, b"others");
    assert_eq!(read_frame(&mut four), b"others", "meanwhile others go on");
    for number in 0..40 {
        assert!(read_frame(&mut two) == payload(number), "{number}");
    }
    writing.join().expect("written");

    // The end of one client ends the other one, too, after what was sent.
    send(&mut one, b"bye");
    one.shutdown(std::net::Shutdown::Write).expect("half-closed");
    assert_eq!(read_to_end(&mut two), frame(b"bye"));
    drop((one, two));
    server.wait_for(CloseKind::Ended, 1);
    server.wait_for(CloseKind::Clean, 1);
}

/// A client that leaves while it waits for a partner is not paired.
#[test]
fn a_relay_pairs_no_client_with_one_that_has_left() {
    let server = Example::start(ServerConfig::default(), relay::serve);
    drop(server.client());
    server.wait_for(CloseKind::Clean, 1);
    let (mut one, mut two) = (server.client(), server.client());
    send(&mut one, b"hello");
    assert_eq!(read_frame(&mut two), b"hello");
    // One that has said nothing ends the other one just as well.
    drop(two);
    assert_eq!(read_to_end(&mut one), b"");
}

#[test]
fn the_echo_over_tls_echoes() {
    let (folder, authority) = (Folder::new("tls_echo"), Authority::new("an authority"));
    let [certificate, key] = folder.files("server", &authority.server());
    let tls = tls_echo::tls(certificate.as_ref(), key.as_ref()).expect("a certificate and its key");
    let server = Example::start(ServerConfig::default(), |server| tls_echo::serve(server.tls(tls.into())));
    in_time(async {
        let name = "localhost".try_into().expect("a name");
        let tls = trusting(&authority, None).into();
        let mut client = Client::connect_tls(server.addr, name, tls, ClientConfig::default()).await.expect("connected");
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
        client.finish().await;
    });
    server.wait_for(CloseKind::Clean, 1);
}

#[test]
fn mutual_tls_tells_a_client_by_its_certificate() {
    let (authority, foreign) = (Authority::new("an authority"), Authority::new("another one"));
    let server = mutual_tls::server(authority.roots(), authority.server().own()).expect("a server");
    let (addr, account) = (server.local_addr().expect("an address"), server.account());
    let _serving = smol::spawn(mutual_tls::serve(server));
    let (alice, mallory) = (authority.client("alice"), foreign.client("mallory"));
    let told = in_time(mutual_tls::ask(addr, authority.roots(), alice.own())).expect("an answer");
    assert_eq!(told, format!("you have a certificate of {} bytes", alice.certificate.len()));
    let refused = in_time(mutual_tls::ask(addr, authority.roots(), mallory.own())).expect_err("no handler is reached");
    assert!(refused.to_string().contains("no reply"), "{refused}");
    let begin = Instant::now();
    while account.stats().closes(CloseKind::Handshake) < 1 {
        assert!(begin.elapsed() < DEADLINE, "{account:?}");
        std::thread::yield_now();
    }
}
