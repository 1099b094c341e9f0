//! Attacks on TLS: on handshakes, on records, and on the end of a stream.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;

/// The first bytes of a `ClientHello`, which announces more of them.
const HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

/// These break rules that only TLS has.
const ON_TLS: Attack = Attack { over: &[Over::Tls], ..Attack::PLAIN };

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "stalled-handshakes",
        about: "250 unfinished handshakes where 100 are allowed at a time: another client is served within seconds, they are ended",
        limits: |config, _| {
            config.max_handshakes = 100;
            config.handshake_timeout = Duration::from_secs(3);
        },
        act: |scene| {
            let mut peers = sockets(scene, 250)?;
            for (index, peer) in peers.iter_mut().enumerate() {
                // Nothing, a byte, or half of a hello.
                peer.send([&HELLO[..0], &HELLO[..1], HELLO][index % 3])?;
            }
            let begin = Instant::now();
            scene.connect()?.echo(b"let me in")?;
            scene.note(format!("another client was served after {:.1?}", begin.elapsed()));
            scene.await_closes("handshake", peers.len())?;
            scene.check_formula(peers.len() + 1);
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "no-hello",
        about: "frames without TLS, HTTP, SSH, garbage after the start of a hello, 50 times each: each close names it, each peer \
                gets an alert",
        act: |scene| {
            let garbage = [HELLO, &[0xA5; 1000]].concat();
            let firsts: [(&[u8], &str); 4] = [
                (&frame(b"hello"), "looks like a frame without TLS"),
                (b"GET / HTTP/1.1\r\n\r\n", "looks like HTTP"),
                (b"SSH-2.0-OpenSSH_9.9\r\n", "looks like SSH"),
                (&garbage, "the TLS handshake failed"),
            ];
            for (index, (first, looks)) in firsts.into_iter().enumerate() {
                for mut peer in sockets(scene, 50)? {
                    peer.send(first)?;
                    let alert = peer.rest()?;
                    let is_alert = matches!(alert[..], [21, 3, _, 0, 2, 2, _]);
                    scene.check(is_alert, || format!("{looks}: it answers {alert:02x?}"));
                }
                let stats = scene.await_closes("handshake", (index + 1) * 50)?;
                scene.check_said(&stats, "handshake", looks);
            }
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "broken-records",
        about: "after the handshake an unencrypted record, one that is too long, no record at all, 50 times each: each ends as \
                tls error",
        act: |scene| {
            let unencrypted = [&b"\x17\x03\x03\x01\0"[..], &[7; 256]].concat();
            let too_long = [&b"\x17\x03\x03\xff\xff"[..], &[7; 65_535]].concat();
            for garbage in [&unencrypted[..], &too_long, b"GET / HTTP/1.1\r\n\r\n"] {
                for mut peer in scene.crowd(50)? {
                    peer.echo(b"hello")?;
                    // The server may have seen enough before all of it is sent.
                    _ = peer.socket().write_all(garbage);
                    let _alert = peer.rest();
                    peer.mute();
                }
            }
            let said = scene.await_closes("tls error", 150)?.said("tls error");
            scene.note(said);
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "unfinished-records",
        about: "300 × 16,000 bytes of a record of 16,400, then silence: ended by the frame timeout, memory within the budget",
        limits: |config, over| {
            budget(config, over, 8, 0);
            config.frame_timeout = seconds(0.4);
        },
        act: |scene| {
            let mut peers = scene.crowd(300)?;
            let part = [&b"\x17\x03\x03\x40\x10"[..], &[7; 16_000]].concat();
            for peer in &mut peers {
                peer.socket().write_all(&part)?;
                peer.mute();
            }
            let stats = scene
                .await_stats("their end", |stats| stats.closes("slow frame") + stats.closes("over budget") == 300)?;
            scene.check(stats.closes("slow frame") > 0, || "the frame timeout ended nobody".into());
            scene.check_formula(300);
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "cut-off",
        about: "100 × FIN between frames without close_notify, as from someone on the way: ends as truncated, not as clean",
        act: |scene| {
            let mut peers = scene.crowd(100)?;
            for peer in &mut peers {
                peer.echo(b"hello")?;
                peer.mute();
                peer.half_close()?;
            }
            scene.see_the_end(&mut peers);
            let stats = scene.await_closes("truncated", peers.len())?;
            scene.check_said(&stats, "truncated", "without TLS's close_notify");
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "close-notify-inside",
        about: "100 × close_notify inside a frame, with and without a FIN after it: ends as truncated",
        act: |scene| {
            let mut peers = scene.crowd_of(100, &frame(b"torn in the middle")[..7])?;
            for (index, peer) in peers.iter_mut().enumerate() {
                if index % 2 == 0 { peer.half_close()? } else { peer.say_goodbye()? }
            }
            scene.see_the_end(&mut peers);
            let stats = scene.await_closes("truncated", peers.len())?;
            scene.check_said(&stats, "truncated", "the stream ended inside a frame");
            Ok(())
        },
        ..ON_TLS
    },
    Attack {
        name: "renegotiation",
        about: "10 clients of TLS 1.2 that ask for a renegotiation (openssl): refused, and they close",
        act: |scene| {
            let Addr::Tls(addr) = scene.addr else { return Err("only TLS has handshakes".into()) };
            let ended: std::io::Result<()> = of_each(&mut [(); 10], |()| renegotiate(addr))?.into_iter().collect();
            ended?;
            let said = scene.await_closes("tls error", 10)?.said("tls error");
            scene.note(said);
            Ok(())
        },
        ..ON_TLS
    },
];

/// Connections without a TLS handshake.
fn sockets(scene: &Scene, count: usize) -> Result<Vec<Peer>, Box<dyn Error>> {
    (0..count).map(|_| Ok(Peer::without_tls(scene.addr.connect(PATIENCE)?)?)).collect()
}

fn renegotiate(addr: std::net::SocketAddr) -> std::io::Result<()> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-legacy_renegotiation", "-connect", &addr.to_string()]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (Some(mut input), Some(output)) = (client.stdin.take(), client.stdout.take()) else { return Ok(()) };
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while !line.contains("Verify return code") && output.read_line(&mut line)? > 0 {}
    input.write_all(b"R\n")?;
    _ = output.read_to_end(&mut Vec::new());
    client.wait().map(drop)
}
