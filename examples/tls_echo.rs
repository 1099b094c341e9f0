//! An echo over TLS.
//!
//!     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
//!         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//!     cargo run --example tls_echo -- cert.pem key.pem
//!     cargo unstick connect localhost:4747 --tls --tls-ca cert.pem     in another terminal

use std::error::Error;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use unstick::framing::Frame;
use unstick::{Responder, Server, ServerConfig, Stats};

/// The rustls configuration: a certificate and its key. Clients need no certificate.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Result<rustls::ServerConfig, Box<dyn Error>> {
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    Ok(rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?)
}

pub(crate) async fn serve(server: Server) -> io::Result<Stats> {
    let echo = async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
    server.serve(move |_peer| echo, pending()).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (args.next(), args.next()) else {
        return Err("usage: tls_echo CERT KEY".into());
    };
    let tls = tls(certificate.as_ref(), key.as_ref())?;
    let server = Server::bind("127.0.0.1:4747", ServerConfig::default())?.tls(Arc::new(tls));
    smol::block_on(serve(server))?;
    Ok(())
}
