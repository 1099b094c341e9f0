//! Authorities and their certificates, made anew in each test.

#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, process};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An authority that certifies servers and clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Certified {
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    pub key_pem: String,
    key: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// A self-signed certificate for a server that is an authority's, too.
    pub fn alone() -> Certified {
        let mut params = server_params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Certified::new(&params.self_signed(&key).expect("a certificate"), &key)
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        roots
    }

    /// For localhost and 127.0.0.1.
    pub fn server(&self) -> Certified {
        self.certify(&server_params())
    }

    pub fn client(&self, name: &str) -> Certified {
        let mut params = params(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.certify(&params)
    }

    /// For a server or a client; expired in 2001.
    pub fn expired(&self) -> Certified {
        let mut params = server_params();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        self.certify(&params)
    }

    fn certify(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().expect("a key");
        Certified::new(&params.signed_by(&key, &self.0).expect("a certificate"), &key)
    }
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn server_params() -> CertificateParams {
    let mut params = params("a server", &["localhost", "127.0.0.1"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

impl Certified {
    fn new(certificate: &Certificate, key: &KeyPair) -> Certified {
        Certified {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The certificate and its key.
    pub fn own(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        (self.certificate.clone(), self.key())
    }

    /// A server that asks clients for no certificate.
    pub fn serving(&self) -> ServerConfig {
        let config = ServerConfig::builder().with_no_client_auth();
        config.with_single_cert(vec![self.certificate.clone()], self.key()).expect("a certificate and its key")
    }

    /// A server whose clients need a certificate from this authority.
    pub fn serving_clients_of(&self, authority: &Authority) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder(Arc::new(authority.roots())).build().expect("an authority");
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        config.with_single_cert(vec![self.certificate.clone()], self.key()).expect("a certificate and its key")
    }
}

/// A client that trusts this authority, and sends this certificate, if any.
pub fn trusting(authority: &Authority, shows: Option<&Certified>) -> ClientConfig {
    let config = ClientConfig::builder().with_root_certificates(authority.roots());
    match shows {
        None => config.with_no_client_auth(),
        Some(own) => config.with_client_auth_cert(vec![own.certificate.clone()], own.key()).expect("a certificate"),
    }
}

/// A folder for the files of one test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("unstick-{}-{name}", process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// Writes a file, and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    }

    /// Writes a certificate and its key, and returns their paths.
    pub fn files(&self, name: &str, certified: &Certified) -> [String; 2] {
        let certificate = self.file(&format!("{name}.pem"), &certified.certificate_pem);
        [certificate, self.file(&format!("{name}.key"), &certified.key_pem)]
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
