//! Python's `ssl` against our server.

use std::process::Command;

use super::*;
use crate::certificates::Folder;

/// Runs `peer.py`; the error is its standard error.
fn peer(
    server: &Running,
    folder: &Folder,
    authority: &Authority,
    version: &str,
    shows: &[String],
) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/peer.py");
    let (port, ca) = (server.addr.port().to_string(), folder.file("ca.pem", &authority.pem()));
    let mut python = Command::new("python3");
    let output = python.args([script, &port, &ca, version]).args(shows).output();
    let output = output.expect("python3 is installed, as .ci/run sees to");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn serving(mut tls: rustls::ServerConfig) -> Running {
    tls.alpn_protocols = vec![b"frames/1".to_vec()];
    run(server(ServerConfig::default(), tls), |_| echo)
}

#[test]
fn python_gets_its_frames_back() {
    let (folder, authority) = (Folder::new("python"), Authority::new("an authority"));
    let server = serving(authority.server().serving());
    for version in ["TLSv1_2", "TLSv1_3"] {
        peer(&server, &folder, &authority, version, &[]).unwrap_or_else(|said| panic!("{version}: {said}"));
        let close = server.next_close();
        assert_eq!((close.reason, close.traffic.frames_in), ("clean", 505), "{version}: {}", close.text);
        assert_eq!(close.peer.as_tls().expect("TLS").alpn.as_deref(), Some(&b"frames/1"[..]));
    }
}

#[test]
fn python_needs_a_certificate() {
    let (folder, authority) = (Folder::new("python-mutual"), Authority::new("an authority"));
    let server = serving(authority.server().serving_clients_of(&authority));
    let alice = folder.files("alice", &authority.client("alice"));
    let mallory = folder.files("mallory", &Authority::new("another one").client("mallory"));
    for version in ["TLSv1_2", "TLSv1_3"] {
        peer(&server, &folder, &authority, version, &alice).unwrap_or_else(|said| panic!("{version}: {said}"));
        assert_eq!(server.next_close().reason, "clean");
        for shows in [&[][..], &mallory] {
            peer(&server, &folder, &authority, version, shows).expect_err("it is refused");
            assert_eq!(server.next_close().reason, "handshake");
        }
    }
}
