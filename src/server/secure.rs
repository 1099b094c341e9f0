//! A server over TLS.

use std::sync::Arc;

use super::acceptor::Acceptor;
use super::serve::Server;

impl<H> Server<H> {
    /// Serves over TLS, on any listener. Needs feature `tls`.
    ///
    /// `config` is a [`rustls::ServerConfig`]: certificate, key, crypto provider, versions, ALPN, and whether a client
    /// needs a certificate and by which authority. A client that it refuses
    /// never reaches a handler. `new_handler` and `on_close` get the client's certificates and the protocol in a
    /// [`PeerName::Tls`](crate::PeerName::Tls); `on_open` is called before the handshake.
    ///
    /// ```toml
    /// unstick = { version = "0.1", features = ["tls"] }
    /// rustls = "0.23" # its default provider is aws-lc-rs
    /// ```
    /// For ring as the provider: `rustls = { version = "0.23", default-features = false, features = ["ring", "std",
    /// "tls12"] }`.
    ///
    /// A handshake may take [`handshake_timeout`](crate::ServerConfig::handshake_timeout), and at most
    /// [`max_handshakes`](crate::ServerConfig::max_handshakes) run at a time. If one fails, its connection ends as
    /// *handshake* ([`CloseReason::Handshake`](crate::CloseReason::Handshake)). If a peer ends its stream without
    /// `close_notify`, its connection ends as *truncated*, also between frames
    /// ([`CloseReason::CutOff`](crate::CloseReason::CutOff)). The
    /// [`first_frame_timeout`](crate::ServerConfig::first_frame_timeout) begins after the handshake. Bytes are counted
    /// as plaintext. Everything else is as without TLS.
    ///
    /// The [`refusal`](crate::ServerConfig::refusal) is sent over TLS, too. At most 16 refusals are sent at a time;
    /// further refused connections are closed without one.
    ///
    /// TLS sessions and received data share three quarters of the
    /// [`memory_budget`](crate::ServerConfig::memory_budget). A handshake waits while that share is used up. A session
    /// takes 6 KiB, and twice the certificates of its client; unfinished and unsent records take more while they wait.
    /// With 256 MiB, 30,000 idle connections leave room.
    ///
    /// The examples `tls_echo` and `mutual_tls`, in the folder `examples` of this crate, are whole programs: they read
    /// certificates from files, and check those of clients.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use unstick::framing::Frame;
    /// use unstick::{Client, ClientConfig, Responder, Server, ServerConfig};
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der().try_into()?);
    /// # let mut roots = rustls::RootCertStore::empty();
    /// # roots.add(certificate.clone())?;
    /// # let for_client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    /// # smol::block_on(async {
    /// let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    /// let server = Server::bind("127.0.0.1:0", ServerConfig::default())?.tls(Arc::new(tls));
    /// # let addr = server.local_addr()?;
    /// let serving = smol::spawn(server.serve(
    ///     |_peer| async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await,
    ///     std::future::pending(),
    /// ));
    ///
    /// let (name, tls) = ("localhost".try_into()?, Arc::new(for_client));
    /// let mut client = Client::connect_tls(addr, name, tls, ClientConfig::default()).await?;
    /// assert_eq!(client.call(b"hello").await?.payload(), b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Server<H> {
        self.shared.acceptor = Some(Acceptor::new(config, self.shared.config.max_handshakes));
        self
    }
}
