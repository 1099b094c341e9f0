//! TLS configurations from certificates and keys in files.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};

use crate::args::Addr;
use crate::exit::{Chain, Failure};

/// TLS of a server.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeTls {
    /// Serve over TLS with the certificate chain in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "raw")]
    tls_cert: Option<PathBuf>,

    /// Private key of --tls-cert, in a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Require client certificates from an authority in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

impl ServeTls {
    /// The configuration, if TLS is asked for.
    pub(crate) fn config(&self) -> Result<Option<Arc<ServerConfig>>, Failure> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let (certificates, own_key) = own(certificate, key)?;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Failure::other(Chain(&error)))?;
        let builder = match &self.tls_client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let authorities = Arc::new(authorities("--tls-client-ca", file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| cannot("--tls-client-ca", file, &error))?)
            }
        };
        let config = builder.with_single_cert(certificates, own_key);
        config.map(|config| Some(Arc::new(config))).map_err(|error| unfit(certificate, key, &error))
    }
}

/// TLS of a client.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectTls {
    /// Connect over TLS
    #[arg(long)]
    tls: bool,

    /// Trust the authorities in this PEM file [default: the system's]
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca: Option<PathBuf>,

    /// Name that the server's certificate must be valid for [default: the host of ADDR]
    #[arg(long, value_name = "NAME", requires = "tls", value_parser = parse_name)]
    tls_name: Option<ServerName<'static>>,

    /// Send the server the certificate chain in this PEM file
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key"])]
    tls_cert: Option<PathBuf>,

    /// Private key of --tls-cert, in a PEM file
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_cert"])]
    tls_key: Option<PathBuf>,
}

impl ConnectTls {
    /// The configuration and the server's name, if TLS is asked for.
    pub(crate) fn config(&self, addr: &Addr) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, Failure> {
        if !self.tls {
            return Ok(None);
        }
        let name = match (&self.tls_name, addr) {
            (Some(name), _) => name.clone(),
            (None, Addr::Unix(_)) => return Err(Failure::usage("a Unix socket has no host name: add --tls-name NAME")),
            (None, Addr::Tcp(addr)) => {
                // The scope of an IPv6 address means nothing to the server.
                let host = addr.host_port().0.split('%').next().unwrap_or_default();
                parse_name(host)
                    .map_err(|error| Failure::usage(format_args!("{host}: {error}; add --tls-name NAME")))?
            }
        };
        let roots = match &self.tls_ca {
            Some(file) => authorities("--tls-ca", file)?,
            None => system()?,
        };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Failure::other(Chain(&error)))?.with_root_certificates(roots);
        let config = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let (certificates, own_key) = own(certificate, key)?;
                let config = builder.with_client_auth_cert(certificates, own_key);
                config.map_err(|error| unfit(certificate, key, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some((Arc::new(config), name)))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn parse_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_| "not a host name or an IP address".to_owned())
}

/// A certificate chain and its key.
fn own(certificate: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
    let file = certificate;
    let certificates = certificates("--tls-cert", file)?;
    if let Some(own) = certificates.first() {
        check_time(own).map_err(|error| cannot("--tls-cert", file, &error))?;
    }
    let own_key = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => missing("--tls-key", key, "private key"),
        error => cannot("--tls-key", key, &error),
    })?;
    Ok((certificates, own_key))
}

/// Checks that the certificate is valid today. Every peer would refuse it otherwise.
fn check_time(certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let algorithms = provider().signature_verification_algorithms.all;
    // Without any trusted authority this always fails; but validity in time is checked first.
    let no_roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &no_roots, &[], UnixTime::now(), algorithms) {
        Err(error) if is_about_time(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_about_time(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(error) = error else { return false };
    matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

fn certificates(flag: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(missing(flag, file, "certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(cannot(flag, file, &error)),
    }
}

fn authorities(flag: &str, file: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(flag, file)? {
        roots.add(certificate).map_err(|error| cannot(flag, file, &error))?;
    }
    Ok(roots)
}

/// The authorities that the system trusts. Unreadable certificates are left out, as the system's own programs do.
fn system() -> Result<RootCertStore, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(Failure::other(format_args!("the system trusts no authority{why}; use --tls-ca FILE")));
    }
    Ok(roots)
}

fn cannot(flag: &str, file: &Path, error: &(dyn Error + 'static)) -> Failure {
    // The error of an unreadable file is clear without what `pem` adds.
    let error = match error.downcast_ref() {
        Some(pem::Error::Io(error)) => error,
        _ => error,
    };
    Failure::other(format_args!("{flag} {}: {}", file.display(), Chain(error)))
}

fn missing(flag: &str, file: &Path, what: &str) -> Failure {
    Failure::other(format_args!("{flag} {}: no {what} in PEM format", file.display()))
}

fn unfit(certificate: &Path, key: &Path, error: &rustls::Error) -> Failure {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            Failure::other(format_args!("--tls-key {key}: not the key of --tls-cert {certificate}"))
        }
        error => Failure::other(format_args!("--tls-cert {certificate} with --tls-key {key}: {}", Chain(error))),
    }
}

/// The flag that would help, if a cause of the error is known.
pub(crate) fn hint(error: &(dyn Error + 'static)) -> &'static str {
    use CertificateError::{NotValidForName, NotValidForNameContext, Other};
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let found = causes.find_map(|error| {
        let io = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        io.and_then(|error| error.downcast_ref()).or_else(|| error.downcast_ref::<rustls::Error>())
    });
    match found {
        Some(error) if is_about_time(error) => "",
        Some(InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            "; to accept another name, use --tls-name NAME"
        }
        Some(InvalidCertificate(Other(error))) if error.to_string().contains("CaUsedAsEndEntity") => {
            "; it is an authority's: a server's certificate needs CA:FALSE"
        }
        Some(InvalidCertificate(_)) => "; to trust its authority, use --tls-ca FILE",
        Some(AlertReceived(AlertDescription::CertificateRequired)) => "; to send one, use --tls-cert FILE",
        _ => "",
    }
}
