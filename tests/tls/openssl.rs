//! OpenSSL's client against our server, and our client against OpenSSL's server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use unstick::CloseKind;

use super::*;
use crate::certificates::Folder;
use crate::common::{frame, in_time};

/// `openssl` with standard input and output, which is killed when it is dropped.
struct OpenSsl(Child);

impl OpenSsl {
    fn start(args: &[&str]) -> OpenSsl {
        let mut command = Command::new("openssl");
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        OpenSsl(command.spawn().expect("openssl is installed, as .ci/run sees to"))
    }

    fn pipes(&mut self) -> (ChildStdin, ChildStdout) {
        (self.0.stdin.take().expect("piped"), self.0.stdout.take().expect("piped"))
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// `openssl s_client`, which trusts this authority and prints only what it receives.
fn client(addr: SocketAddr, folder: &Folder, authority: &Authority, more: &[&str]) -> OpenSsl {
    let (addr, ca) = (addr.to_string(), folder.file("ca.pem", &authority.pem()));
    let args = ["s_client", "-quiet", "-no_ign_eof", "-connect", &addr, "-CAfile", &ca, "-verify_return_error"];
    OpenSsl::start(&[&args[..], more].concat())
}

fn read_frame(out: &mut impl Read) -> Vec<u8> {
    let mut header = [0; 4];
    out.read_exact(&mut header).expect("a header");
    let mut payload = vec![0; u32::from_le_bytes(header) as usize];
    out.read_exact(&mut payload).expect("a payload");
    payload
}

#[test]
fn s_client_gets_its_frames_back() {
    let (folder, authority) = (Folder::new("s_client"), Authority::new("an authority"));
    let server = echo_of(&authority);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = client(server.addr, &folder, &authority, &[version, "-servername", "localhost"]);
        let (mut input, mut output) = client.pipes();
        for payload in [&b"hello"[..], &[7; 100_000], &[8; 1 << 20]] {
            let wire = frame(payload);
            let writing = std::thread::spawn(move || {
                input.write_all(&wire).expect("written");
                input
            });
            assert_eq!(read_frame(&mut output), payload);
            input = writing.join().expect("no panic");
        }
        // It sends close_notify when its input ends.
        drop(input);
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest, b"");
        let close = server.next_close();
        assert_eq!((close.reason, close.traffic.frames_in), ("clean", 3), "{version}: {}", close.text);
    }
}

#[test]
fn s_client_needs_a_certificate() {
    let (folder, authority) = (Folder::new("s_client-mutual"), Authority::new("an authority"));
    let serving = authority.server().serving_clients_of(&authority);
    let server = common::run(super::server(ServerConfig::default(), serving), |_| echo);
    let [certificate, key] = folder.files("alice", &authority.client("alice"));
    let mut with = client(server.addr, &folder, &authority, &["-cert", &certificate, "-key", &key]);
    let (mut input, mut output) = with.pipes();
    input.write_all(&frame(b"hello")).expect("written");
    assert_eq!(read_frame(&mut output), b"hello");
    drop(input);
    let close = server.next_close();
    assert_eq!(close.reason, "clean", "{}", close.text);
    // It sends the authority's certificate, too.
    let certificates = &close.peer.as_tls().expect("TLS").certificates;
    assert_eq!(certificates.len(), 2);

    let without = client(server.addr, &folder, &authority, &[]);
    let close = server.next_close();
    assert_eq!(close.text, "handshake: the TLS handshake failed: peer sent no certificates");
    drop(without);
    assert_eq!(server.served().0.closes(CloseKind::Handshake), 1);
}

/// The input `R` makes `s_client` ask for a renegotiation. rustls refuses it, and no other connection is affected.
#[test]
fn a_renegotiation_is_refused() {
    let (folder, authority) = (Folder::new("s_client-renegotiates"), Authority::new("an authority"));
    let server = echo_of(&authority);
    let ca = folder.file("ca.pem", &authority.pem());
    let addr = server.addr.to_string();
    let args = ["s_client", "-connect", &addr, "-CAfile", &ca, "-tls1_2", "-legacy_renegotiation"];
    let mut client = OpenSsl::start(&args);
    let (mut input, output) = client.pipes();
    let mut lines = BufReader::new(output).lines();
    // It prints this line after the handshake.
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("Verify return code"))).expect("a line");
    assert!(line.expect("text").contains("0 (ok)"));
    input.write_all(b"R\n").expect("written");
    let close = server.next_close();
    // OpenSSL answers the refusal with an alert.
    assert_eq!(close.text, "tls error: received fatal alert: HandshakeFailure");
    in_time(async {
        let mut client = client_of(server.addr, &authority).await;
        assert_eq!(client.call(b"hello").await.expect("a reply").payload(), b"hello");
    });
}

/// OpenSSL's server writes to its output what our client sends, and sends what it reads from its input.
#[test]
fn our_client_talks_to_s_server() {
    let (folder, authority) = (Folder::new("s_server"), Authority::new("an authority"));
    let [certificate, key] = folder.files("server", &authority.server());
    let (ca, alice) = (folder.file("ca.pem", &authority.pem()), authority.client("alice"));
    let mutual = ["-Verify", "1", "-CAfile", &ca, "-verify_return_error"];
    for (version, more, shows) in [
        ("-tls1_2", &[][..], None),
        ("-tls1_3", &[], None),
        ("-tls1_2", &mutual, Some(&alice)),
        ("-tls1_3", &mutual, Some(&alice)),
    ] {
        // A port that was free a moment ago.
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let accept = addr.to_string();
        let args = ["s_server", "-quiet", "-accept", &accept, "-cert", &certificate, "-key", &key, version];
        let mut openssl = OpenSsl::start(&[&args[..], more].concat());
        let (mut input, mut output) = openssl.pipes();
        in_time(async {
            let mut client = loop {
                match connect(addr, trusting(&authority, shows)).await {
                    Ok(client) => break client,
                    Err(ConnectError::Io(_)) => smol::Timer::after(std::time::Duration::from_millis(10)).await,
                    Err(error) => panic!("{error:?}"),
                };
            };
            for payload in [&b"hello"[..], &[7; 200_000]] {
                let expected = payload.to_vec();
                let reading = std::thread::spawn(move || {
                    assert_eq!(read_frame(&mut output), expected);
                    output
                });
                client.send(payload).await.expect("sent");
                output = reading.join().expect("no panic");
                let wire = frame(payload);
                let writing = std::thread::spawn(move || {
                    input.write_all(&wire).expect("written");
                    input
                });
                assert_eq!(client.recv().await.expect("no error").expect("a frame").payload(), payload);
                input = writing.join().expect("no panic");
            }
            let closed = client.finish().await;
            assert_eq!(closed.reason.name(), "clean", "{version}: {closed}");
        });
    }
}
