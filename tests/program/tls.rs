//! `unstick serve` and `connect` over TLS.

use unstick::framing::Frame;
use unstick::{Responder, Server, ServerConfig};

use crate::certificates::{Authority, Certified, Folder};
use crate::harness::{Program, Ran, command_of_shell, run};

/// Files of an authority and a server.
struct Files {
    folder: Folder,
    authority: Authority,
    ca: String,
    server: [String; 2],
}

impl Files {
    fn new(name: &str) -> Files {
        let (folder, authority) = (Folder::new(&format!("program-{name}")), Authority::new("an authority"));
        let (ca, server) = (folder.file("ca.pem", &authority.pem()), folder.files("server", &authority.server()));
        Files { folder, authority, ca, server }
    }

    /// A server over TLS, and its address.
    fn serve(&self, more: &[&str]) -> (Program, String) {
        self.serve_with(&self.server, more)
    }

    fn serve_with(&self, [certificate, key]: &[String; 2], more: &[&str]) -> (Program, String) {
        let flags = ["serve", "127.0.0.1:0", "--echo", "--tls-cert", certificate, "--tls-key", key];
        let server = Program::start(&[&flags[..], more].concat());
        let line = server.out_line();
        let addr = line.strip_prefix("listening on ").unwrap().to_owned();
        (server, addr)
    }

    fn connect(&self, addr: &str, more: &[&str]) -> Ran {
        run(&[&["connect", addr, "--tls", "--tls-ca", &self.ca], more].concat(), b"hello\n")
    }

    fn files(&self, name: &str, certified: &Certified) -> [String; 2] {
        self.folder.files(name, certified)
    }
}

/// Asserts the exit code, and that the last line of standard error has all these parts.
#[track_caller]
fn failed(ran: &Ran, code: i32, parts: &[&str]) {
    let last = ran.err.lines().last().unwrap();
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(parts.iter().all(|part| last.contains(part)), "{parts:?} are not in {last}");
    assert!(!last.contains('\u{1b}') && last.len() < 400, "{last}");
}

#[test]
fn frames_pass_over_tls() {
    let files = Files::new("pass");
    let (server, addr) = files.serve(&["--stats", "1000"]);
    let ran = files.connect(&addr, &[]);
    assert_eq!((ran.code, ran.text()), (0, "hello\n"), "{ran:?}");
    assert_eq!(ran.err.lines().next(), Some(&*format!("{addr} connected")));
    let closed = server.err_line_with("closed");
    assert!(closed.ends_with("closed: clean (1 frames and 9 bytes in, 1 frames and 9 bytes out)"), "{closed}");
    server.signal(rustix::process::Signal::TERM);
    let ran = server.end();
    assert!(ran.code == 0 && ran.err.contains("stats: accepted 1, active 0"), "{ran:?}");
}

#[test]
fn a_unix_socket_and_the_systems_authorities() {
    let files = Files::new("unix");
    let addr = format!("unix:{}", files.folder.path().join("socket").display());
    let [certificate, key] = &files.server;
    let server = Program::start(&["serve", &addr, "--echo", "--tls-cert", certificate, "--tls-key", key]);
    assert_eq!(server.out_line(), format!("listening on {addr}"));
    let ran = files.connect(&addr, &["--tls-name", "localhost"]);
    assert_eq!((ran.code, ran.text()), (0, "hello\n"), "{ran:?}");
    failed(&files.connect(&addr, &[]), 2, &["a Unix socket has no host name: add --tls-name NAME"]);
    // A variable that OpenSSL reads, too, replaces the authorities of the system.
    let script = r#"echo hello | SSL_CERT_FILE="$CA" "$@""#;
    let mut command = command_of_shell(script, &["connect", &addr, "--tls", "--tls-name", "localhost"]);
    let ran = Program::spawn({
        command.env("CA", &files.ca);
        command
    })
    .end();
    assert_eq!((ran.code, ran.text()), (0, "hello\n"), "{ran:?}");
}

#[test]
fn a_client_shows_its_certificate_or_is_refused() {
    let files = Files::new("mutual");
    let (server, addr) = files.serve(&["--tls-client-ca", &files.ca]);
    let [certificate, key] = &files.files("alice", &files.authority.client("alice"));
    let ran = files.connect(&addr, &["--tls-cert", certificate, "--tls-key", key]);
    assert_eq!((ran.code, ran.text()), (0, "hello\n"), "{ran:?}");
    server.err_line_with("closed: clean");

    failed(
        &files.connect(&addr, &[]),
        1,
        &["closed: tls error: received fatal alert: CertificateRequired; to send one, use --tls-cert FILE"],
    );
    server.err_line_with("closed: handshake: the TLS handshake failed: peer sent no certificates");
    let [certificate, key] = &files.files("foreign", &Authority::new("another one").client("mallory"));
    let ran = files.connect(&addr, &["--tls-cert", certificate, "--tls-key", key]);
    failed(&ran, 1, &["closed: tls error: received fatal alert: UnknownCA"]);
    server.err_line_with("UnknownIssuer");
    // With an expired certificate, the program does not connect.
    let [certificate, key] = &files.files("expired", &files.authority.expired());
    let ran = files.connect(&addr, &["--tls-cert", certificate, "--tls-key", key]);
    failed(&ran, 1, &["--tls-cert", "certificate expired"]);
}

#[test]
fn an_untrusted_server_is_reported_with_the_flag_that_helps() {
    let files = Files::new("trust");
    let (_server, addr) = files.serve(&[]);
    let port = addr.rsplit_once(':').unwrap().1;
    let begin = format!("{addr}: cannot connect over TLS: the TLS handshake failed: invalid peer certificate: ");
    let foreign = files.folder.file("foreign.pem", &Authority::new("another one").pem());
    let ran = run(&["connect", &addr, "--tls", "--tls-ca", &foreign], b"");
    failed(&ran, 1, &[&begin, "UnknownIssuer; to trust its authority, use --tls-ca FILE"]);
    failed(
        &files.connect(&addr, &["--tls-name", "example.org"]),
        1,
        &["not valid for", "; to accept another name, use --tls-name NAME"],
    );
    failed(&run(&["connect", &format!("127.0.0.2:{port}"), "--tls", "--tls-ca", &files.ca], b""), 1, &["connect"]);

    // `openssl req -x509` makes such a certificate by default.
    let alone = files.files("alone", &Authority::alone());
    let (_alone, addr) = files.serve_with(&alone, &[]);
    let ran = run(&["connect", &addr, "--tls", "--tls-ca", &alone[0]], b"");
    failed(&ran, 1, &["CaUsedAsEndEntity", "; it is an authority's: a server's certificate needs CA:FALSE"]);

    // The program does not serve with an expired certificate, so this server is the library's.
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).unwrap();
    let addr = server.local_addr().unwrap().to_string();
    let server = server.tls(files.authority.expired().serving().into());
    let echo = async |frame: Frame<'_>, responder: &mut Responder| responder.send(frame.payload()).await;
    let _serving = smol::spawn(server.serve(move |_| echo, std::future::pending()));
    failed(&files.connect(&addr, &[]), 1, &["invalid peer certificate: certificate expired"]);
}

#[test]
fn bad_files_are_reported() {
    let files = Files::new("bad");
    let [certificate, key] = &files.server;
    let other = &files.files("other", &files.authority.server())[1];
    let text = &files.folder.file("text", "no PEM\n");
    let broken = &files.folder.file("broken", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let nonsense = &files.folder.file("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let [expired, expired_key] = &files.files("expired", &files.authority.expired());
    let missing = &files.folder.path().join("missing").display().to_string();
    for (certificate, key, more, parts) in [
        (missing, key, &[][..], &["--tls-cert", missing, "No such file"][..]),
        (certificate, missing, &[], &["--tls-key", missing, "No such file"]),
        (text, key, &[], &["--tls-cert", "no certificate in PEM format"]),
        (certificate, text, &[], &["--tls-key", "no private key in PEM format"]),
        (broken, key, &[], &["--tls-cert", "base64"]),
        (nonsense, key, &[], &["--tls-cert", "certificate"]),
        (certificate, certificate, &[], &["--tls-key", "no private key in PEM format"]),
        (certificate, other, &[], &[": not the key of --tls-cert"]),
        (expired, expired_key, &[], &["--tls-cert", "certificate expired"]),
        (certificate, key, &["--tls-client-ca", missing], &["--tls-client-ca", "No such file"]),
        (certificate, key, &["--tls-client-ca", text], &["--tls-client-ca", "no certificate in PEM format"]),
    ] {
        let flags = ["serve", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
        let ran = run(&[&flags[..], more].concat(), b"");
        failed(&ran, 1, parts);
        assert_eq!((ran.err.lines().count(), ran.out.len()), (1, 0), "{ran:?}");
    }
    // A flag that needs another one.
    for flags in [
        &["serve", "--tls-cert", certificate][..],
        &["serve", "--tls-client-ca", certificate],
        &["serve", "--raw", "--tls-cert", certificate, "--tls-key", key],
        &["connect", "127.0.0.1:1", "--tls-ca", certificate],
        &["connect", "127.0.0.1:1", "--tls", "--tls-cert", certificate],
    ] {
        assert_eq!(run(flags, b"").code, 2, "{flags:?}");
    }
}

#[test]
fn tls_at_one_end_only_is_reported() {
    let files = Files::new("one-end");
    let (server, addr) = files.serve(&[]);
    failed(&run(&["connect", &addr], b"hello\n"), 3, &["looks like TLS"]);
    server.err_line_with(
        "the peer does not speak TLS: its first bytes are 05 00 00 00 68 65 6c 6c (looks like a frame without TLS)",
    );
    let plain = Program::start(&["serve", "127.0.0.1:0", "--frame-timeout", "0.2"]);
    let addr = plain.out_line().strip_prefix("listening on ").unwrap().to_owned();
    failed(
        &files.connect(&addr, &[]),
        1,
        &["cannot connect over TLS: the peer ended its stream during the TLS handshake (does it speak TLS?)"],
    );
    plain.err_line_with("looks like TLS");
}
