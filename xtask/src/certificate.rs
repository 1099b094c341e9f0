//! A certificate for a server of ours, and what server and client make of it.

use std::env;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

/// The variable by which a child gets it.
const GIVEN: &str = "XTASK_CERTIFICATE";

/// A self-signed certificate for `localhost`, with its key, in PEM format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Certificate {
    certificate: String,
    key: String,
}

impl Certificate {
    /// That of this process: the one that it was given by its parent, or one that is made when it is first asked for.
    pub(crate) fn own() -> &'static Certificate {
        static OWN: OnceLock<Certificate> = OnceLock::new();
        OWN.get_or_init(|| {
            if let Ok(given) = env::var(GIVEN) {
                return serde_json::from_str(&given).expect("a parent gives a certificate");
            }
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("the system is random");
            Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
        })
    }

    /// Gives it to a child.
    pub(crate) fn give(command: &mut Command) {
        command.env(GIVEN, serde_json::to_string(Certificate::own()).expect("text"));
    }

    /// A server with it. It issues no tickets, so only frames follow the handshake.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![self.der()], key);
        let mut config = config.expect("a certificate and its key");
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    /// A client that trusts it alone.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("an authority");
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }
}

/// Whom it is for.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}
