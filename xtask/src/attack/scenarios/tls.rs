//! Attacks on TLS: on handshakes, on records, and on the end of a stream.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use super::super::healthy::CLIENTS;
use super::*;
use crate::socket::Addr;

/// All scenarios of this file.
pub(super) const ALL: [Scenario; 7] =
    [STALLED_HANDSHAKES, NO_HELLO, BROKEN_RECORDS, UNFINISHED_RECORDS, CUT_OFF, CLOSE_NOTIFY_INSIDE, RENEGOTIATION];

/// Connections without a TLS handshake.
fn sockets(scene: &Scene, count: usize) -> Result<Vec<Peer>, Box<dyn std::error::Error>> {
    (0..count).map(|_| Ok(Peer::of(scene.addr().connect(PATIENCE)?)?)).collect()
}

/// The first bytes of a `ClientHello`, which announces more of them.
const HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

pub(super) const STALLED_HANDSHAKES: Scenario = Scenario {
    name: "stalled-handshakes",
    about: "many more unfinished handshakes than are allowed at a time: another client is served within seconds, they are ended",
    limits: "--max-handshakes 100 --handshake-timeout 3",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(1000, 300);
        let mut peers = sockets(scene, count)?;
        for (index, peer) in peers.iter_mut().enumerate() {
            // Nothing, a byte, or half of a hello.
            peer.send([&HELLO[..0], &HELLO[..1], HELLO][index % 3])?;
        }
        let begin = Instant::now();
        scene.connect()?.echo(b"let me in")?;
        let waited = begin.elapsed();
        scene.sent = format!("{count} connections: nothing, a byte, or half of a hello; 100 handshakes at a time");
        scene.noted.push(format!("another client was served after {waited:.1?}"));
        scene.await_closes("handshake", count)?;
        scene.check_formula(256 << 20, count + 1 + CLIENTS, 1);
        Ok(())
    },
};

pub(super) const NO_HELLO: Scenario = Scenario {
    name: "no-hello",
    about: "frames without TLS, HTTP, SSH, garbage after the start of a hello: each close names it, each peer gets an alert",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let each = scene.pace.of(50, 5);
        scene.sent = format!("a frame, an HTTP request, an SSH version, garbage, all without TLS; {each} times each");
        let garbage = [HELLO, &[0xA5; 1000]].concat();
        for (index, (first, looks)) in [
            (frame(b"hello"), "looks like a frame without TLS"),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "looks like HTTP"),
            (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "looks like SSH"),
            (garbage, "the TLS handshake failed"),
        ]
        .into_iter()
        .enumerate()
        {
            for mut peer in sockets(scene, each)? {
                peer.send(&first)?;
                let alert = peer.rest()?;
                scene
                    .check(matches!(alert[..], [21, 3, _, 0, 2, 2, _]), || format!("{looks}: it answers {alert:02x?}"));
            }
            let said = scene.await_closes("handshake", (index + 1) * each)?.said("handshake");
            scene.check(said.contains(looks), || format!("nothing {looks}: {said}"));
        }
        Ok(())
    },
};

pub(super) const BROKEN_RECORDS: Scenario = Scenario {
    name: "broken-records",
    about: "after the handshake: an unencrypted record, one that is too long, no record at all; each ends as tls error",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let each = scene.pace.of(50, 5);
        scene.sent = format!("an unencrypted record, one of 65,535 bytes, HTTP; {each} times each");
        let unencrypted = [&b"\x17\x03\x03\x01\0"[..], &[7; 256]].concat();
        let too_long = [&b"\x17\x03\x03\xff\xff"[..], &[7; 65_535]].concat();
        for garbage in [&unencrypted[..], &too_long, b"GET / HTTP/1.1\r\n\r\n"] {
            for mut peer in scene.crowd(each)? {
                peer.echo(b"hello")?;
                // The server may have seen enough before all of it is sent.
                _ = peer.socket().write_all(garbage);
                let _alert = peer.rest();
                peer.stream().mute();
            }
        }
        let said = scene.await_closes("tls error", 3 * each)?.said("tls error");
        scene.noted.push(said);
        Ok(())
    },
};

pub(super) const UNFINISHED_RECORDS: Scenario = Scenario {
    name: "unfinished-records",
    about: "most of a long record, then silence: ended by the frame timeout, memory within the budget",
    limits: "--frame-timeout 0.4 --memory-budget 8MiB",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(300, 30);
        scene.sent = format!("{count} connections: 16,000 bytes of a record of 16,400, then silence");
        let mut peers = scene.crowd(count)?;
        let part = [&b"\x17\x03\x03\x40\x10"[..], &[7; 16_000]].concat();
        for peer in &mut peers {
            peer.socket().write_all(&part)?;
            peer.stream().mute();
        }
        let stats = scene.await_stats("their end", |stats| {
            stats.closes("slow frame") + stats.closes("over budget") == count as u64
        })?;
        scene.check(stats.closes("slow frame") > 0, || "the frame timeout ended nobody".into());
        scene.check_formula(8 << 20, count + CLIENTS, 1);
        Ok(())
    },
};

pub(super) const CUT_OFF: Scenario = Scenario {
    name: "cut-off",
    about: "FIN between frames without close_notify, as from someone on the way: ends as truncated, not as clean",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(100, 10);
        scene.sent = format!("{count} connections: a frame, and FIN without close_notify");
        let mut peers = scene.crowd(count)?;
        for peer in &mut peers {
            peer.echo(b"hello")?;
            peer.stream().mute();
            peer.half_close()?;
        }
        see_the_end(scene, &mut peers);
        let said = scene.await_closes("truncated", count)?.said("truncated");
        scene.check(said.contains("without TLS's close_notify"), || format!("it says {said}"));
        Ok(())
    },
};

pub(super) const CLOSE_NOTIFY_INSIDE: Scenario = Scenario {
    name: "close-notify-inside",
    about: "close_notify inside a frame, with and without a FIN after it: ends as truncated",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(100, 10);
        scene.sent = format!("{count} connections: half of a frame, and close_notify");
        let torn = frame(b"torn in the middle");
        let mut peers = scene.crowd(count)?;
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.send(&torn[..7])?;
            if index % 2 == 0 { peer.half_close()? } else { peer.stream().say_goodbye()? }
        }
        see_the_end(scene, &mut peers);
        let said = scene.await_closes("truncated", count)?.said("truncated");
        scene.check(said.contains("the stream ended inside a frame"), || format!("it says {said}"));
        Ok(())
    },
};

pub(super) const RENEGOTIATION: Scenario = Scenario {
    name: "renegotiation",
    about: "TLS 1.2 clients that ask for a renegotiation (openssl): refused, and they close",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(10, 2);
        scene.sent = format!("{count} connections of openssl s_client, with a renegotiation each");
        let Addr::Tls(addr) = *scene.addr() else { return Err("only TLS has handshakes".into()) };
        let renegotiate = || -> std::io::Result<()> {
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
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..count).map(|_| scope.spawn(renegotiate)).collect();
            clients.into_iter().try_for_each(|client| {
                client.join().map_err(|_| "a client panicked")?.map_err(Box::<dyn std::error::Error>::from)
            })
        })?;
        let said = scene.await_closes("tls error", count)?.said("tls error");
        scene.noted.push(said);
        Ok(())
    },
};
