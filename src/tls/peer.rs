//! Who is at the other end of a session.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::session::{Session, Side};
use crate::peer::{PeerName, TlsPeer};

impl<C: Side> Session<C> {
    /// The peer, whose name below TLS is given, with what the handshake showed of it.
    pub(crate) fn peer(&self, name: PeerName) -> PeerName {
        let alpn = self.side.common().alpn_protocol();
        let certificates = self.certificates().iter().map(|certificate| certificate.to_vec()).collect();
        PeerName::Tls(Arc::new(TlsPeer { name, certificates, alpn: alpn.map(<[u8]>::to_vec) }))
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.side.common().peer_certificates().unwrap_or_default()
    }
}
