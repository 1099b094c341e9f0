//! The memory of an idle connection over TLS, as a counting allocator measures it, and what the budget is charged for
//! it.

#[path = "support/certificates.rs"]
mod certificates;
mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use certificates::{Authority, trusting};
use common::*;
use peak_alloc::PeakAlloc;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, StreamOwned, SupportedProtocolVersion};
use unstick::{Server, ServerConfig};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Connects, and gets one frame back.
fn idle(server: &Running, tls: &Arc<rustls::ClientConfig>) -> StreamOwned<ClientConnection, std::net::TcpStream> {
    let client = ClientConnection::new(Arc::clone(tls), "localhost".try_into().expect("a name")).expect("a client");
    let mut stream = StreamOwned::new(client, connect(server.addr));
    stream.write_all(&frame(b"hello")).expect("written");
    stream.read_exact(&mut [0; 9]).expect("a reply");
    stream
}

/// Bytes that a connection costs the server, and bytes that its budget is charged for it. When they are counted, only
/// the socket of a client is left, which makes no difference to the server.
fn cost(version: &'static SupportedProtocolVersion, mutual: bool) -> (usize, usize) {
    const CONNECTIONS: usize = 200;
    let authority = Authority::new("an authority");
    let own = authority.server();
    let alice = mutual.then(|| authority.client("alice"));
    let serving = if mutual { own.serving_clients_of(&authority) } else { own.serving() };
    // Sessions are not kept for another connection.
    let mut serving = serving;
    serving.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).expect("a port").tls(Arc::new(serving));
    let account = server.account();
    let server = run(server, |_| echo);
    let mut tls = rustls::ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    tls.client_auth_cert_resolver = trusting(&authority, alice.as_ref()).client_auth_cert_resolver;
    tls.resumption = rustls::client::Resumption::disabled();
    let tls = Arc::new(tls);
    let first = idle(&server, &tls);
    // A session is charged 6 KiB, and its client's certificates twice.
    let charged = 6 * 1024 + alice.map_or(0, |alice| 2 * alice.certificate.len());
    let await_idle = |connections: usize| {
        let begin = Instant::now();
        while account.stats().buffered != connections * charged {
            assert!(begin.elapsed() < DEADLINE, "{account:?}");
            std::thread::yield_now();
        }
    };
    await_idle(1);
    let before = MEMORY.current_usage();
    let sockets: Vec<_> = (0..CONNECTIONS).map(|_| idle(&server, &tls).sock).collect();
    await_idle(1 + CONNECTIONS);
    let bytes = (MEMORY.current_usage() - before) / CONNECTIONS;
    drop((first, sockets));
    server.served();
    assert_eq!(account.stats().buffered, 0, "all is given back");
    (bytes, charged)
}

#[test]
fn an_idle_connection_costs_no_more_than_its_charge() {
    for (version, mutual) in [(&TLS13, false), (&TLS13, true), (&TLS12, false), (&TLS12, true)] {
        let (bytes, charged) = cost(version, mutual);
        println!("{:?}, mutual {mutual}: {bytes} bytes, {charged} charged", version.version);
        assert!(bytes <= charged, "{bytes} bytes, {charged} charged");
        assert!(bytes > 1000, "the allocator counts");
    }
}
