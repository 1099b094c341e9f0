//! Mutual TLS: a server that serves only clients with a certificate from its authority, and such a client.

use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use unstick::framing::Frame;
use unstick::{Client, ClientConfig, Peer, Responder, Server, ServerConfig, Stats};

/// A certificate and its key.
pub(crate) type Own = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A server whose clients need a certificate from one of these authorities. Other clients never reach a handler.
pub(crate) fn server(authorities: RootCertStore, (certificate, key): Own) -> Result<Server, Box<dyn Error>> {
    let verifier = WebPkiClientVerifier::builder(Arc::new(authorities)).build()?;
    let tls = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let tls = tls.with_single_cert(vec![certificate], key)?;
    Ok(Server::bind("127.0.0.1:0", ServerConfig::default())?.tls(Arc::new(tls)))
}

/// Replies with the length of the client's certificate. Crates such as `x509-parser` read the names in it.
pub(crate) async fn serve(server: Server) -> io::Result<Stats> {
    let new_handler = |peer: Peer| {
        let certificate = peer.name().as_tls().and_then(|tls| tls.certificates.first()).map_or(0, Vec::len);
        async move |_frame: Frame<'_>, responder: &mut Responder| {
            responder.send(format!("you have a certificate of {certificate} bytes").as_bytes()).await
        }
    };
    server.serve(new_handler, pending()).await
}

/// Connects with a certificate, sends a request, and returns the reply.
pub(crate) async fn ask(addr: SocketAddr, roots: RootCertStore, own: Own) -> Result<String, Box<dyn Error>> {
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots);
    let tls = Arc::new(tls.with_client_auth_cert(vec![own.0], own.1)?);
    let mut client = Client::connect_tls(addr, "localhost".try_into()?, tls, ClientConfig::default()).await?;
    Ok(client.call(b"who am I?").await?.text()?.to_owned())
}

fn main() -> Result<(), Box<dyn Error>> {
    // To keep the example short, both ends use the same self-signed certificate.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let own = || Ok::<Own, &str>((made.cert.der().clone(), made.signing_key.serialize_der().try_into()?));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let server = server(roots.clone(), own()?)?;
    let addr = server.local_addr()?;
    let _serving = smol::spawn(serve(server));
    println!("{}", smol::block_on(ask(addr, roots, own()?))?);
    Ok(())
}
