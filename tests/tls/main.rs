//! The server and the client over TLS: with each other, with OpenSSL, with Python's `ssl`, and with peers that break
//! the rules of TLS.

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../common/mod.rs"]
mod common;

mod hostile;
mod openssl;
mod ours;
mod python;
mod simulated;

use std::net::SocketAddr;
use std::sync::Arc;

use certificates::{Authority, trusting};
use common::{Running, echo, run};
use unstick::{Client, ClientConfig, ConnectError, Server, ServerConfig};

fn server(config: ServerConfig, tls: rustls::ServerConfig) -> Server {
    Server::bind("127.0.0.1:0", config).expect("a port").tls(Arc::new(tls))
}

/// An echo server with a certificate from this authority.
fn echo_of(authority: &Authority) -> Running {
    run(server(ServerConfig::default(), authority.server().serving()), |_| echo)
}

async fn connect(addr: SocketAddr, tls: rustls::ClientConfig) -> Result<Client, ConnectError> {
    let name = "localhost".try_into().expect("a name");
    Client::connect_tls(addr, name, Arc::new(tls), ClientConfig::default()).await
}

async fn client_of(addr: SocketAddr, authority: &Authority) -> Client {
    connect(addr, trusting(authority, None)).await.expect("connected")
}
