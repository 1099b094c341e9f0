//! What an idle connection over TLS costs, by an allocator that counts; and that the budget is charged with it.

#[path = "support/certificates.rs"]
mod certificates;
mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use certificates::{Authority, trusting};
use common::*;
use peak_alloc::PeakAlloc;
use rustls::{ClientConnection, StreamOwned};
use unstick::{Server, ServerConfig};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Connects, and has one frame back. The client has its memory in `clients`, which is counted apart.
fn idle(server: &Running, tls: &Arc<rustls::ClientConfig>) -> StreamOwned<ClientConnection, std::net::TcpStream> {
    let client = ClientConnection::new(Arc::clone(tls), "localhost".try_into().expect("a name")).expect("a client");
    let mut stream = StreamOwned::new(client, connect(server.addr));
    stream.write_all(&frame(b"hello")).expect("written");
    stream.read_exact(&mut [0; 9]).expect("a reply");
    stream
}

/// What `count` connections of this client cost the server, by the bytes of the whole process less those of the clients, which are
/// given back first: the server does not notice, as their sockets stay.
fn cost(mutual: bool) -> (usize, usize) {
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
    let mut tls = trusting(&authority, alice.as_ref());
    tls.resumption = rustls::client::Resumption::disabled();
    let tls = Arc::new(tls);
    let first = idle(&server, &tls);
    let before = MEMORY.current_usage();
    let buffered = account.stats().buffered;
    let sockets: Vec<_> = (0..CONNECTIONS).map(|_| idle(&server, &tls).sock).collect();
    let bytes = (MEMORY.current_usage() - before) / CONNECTIONS;
    let charged = (account.stats().buffered - buffered) / CONNECTIONS;
    drop((first, sockets));
    server.served();
    assert_eq!(account.stats().buffered, 0, "all is given back");
    (bytes, charged)
}

#[test]
fn an_idle_connection_costs_no_more_than_the_budget_is_charged_with() {
    for mutual in [false, true] {
        let (bytes, charged) = cost(mutual);
        println!("mutual {mutual}: {bytes} bytes, {charged} charged");
        assert!(bytes <= charged, "{bytes} bytes, and {charged} are charged");
        assert!(bytes > 1000, "the allocator counts");
    }
}
