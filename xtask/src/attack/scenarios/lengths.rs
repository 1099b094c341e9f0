//! Lengths that lie, and lengths that are nothing.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use super::*;

/// What a connection may cost besides what it holds, and a thread's buffers.
const EACH: u64 = 2048;
const FLAT: u64 = 4 << 20;

pub(super) const DECLARED_OVERSIZE: Scenario = Scenario {
    name: "declared-oversize",
    about: "a length of 0xFFFFFFFF, then silence: refused at once, memory flat",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(1000, 100);
        scene.sent = format!("{count} connections declare 4 GiB − 1 over a limit of 1 MiB, then silence");
        let mut peers = scene.crowd(count)?;
        peers.iter_mut().try_for_each(|peer| peer.send(&[0xFF; 4]))?;
        see_the_end(scene, &mut peers);
        let stats = scene.await_closes("oversize", count)?;
        let said = stats.said("oversize");
        scene.check(said.contains("as a signed number the field is -1"), || format!("it does not say -1: {said}"));
        scene.check_memory(FLAT + count as u64 * EACH);
        Ok(())
    },
};

pub(super) const DECLARED_SILENCE: Scenario = Scenario {
    name: "declared-silence",
    about: "a length of 0xFFFFFFFF that is within the limit, then silence: memory flat, ended by the frame timeout",
    limits: "--max-payload 4294967295 --frame-timeout 0.5",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(1000, 100);
        scene.sent = format!("{count} connections declare 4 GiB − 1, which is within the limit, then silence");
        let mut peers = scene.crowd(count)?;
        peers.iter_mut().try_for_each(|peer| peer.send(&[0xFF; 4]))?;
        see_the_end(scene, &mut peers);
        scene.await_closes("slow frame", count)?;
        scene.check_memory(FLAT + count as u64 * EACH);
        Ok(())
    },
};

pub(super) const OVERSIZE: Scenario = Scenario {
    name: "oversize",
    about: "good frames, then one a byte over the limit: the good ones are answered, then the connection ends",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(100, 20);
        scene.sent = format!("{count} connections: two frames, then one of 1 MiB + 1 and 256 KiB of it");
        let over = ((1 << 20) + 1_u32).to_le_bytes();
        let wire = [&frame(b"one")[..], &frame(b"two"), &over, &vec![7; 256 << 10]].concat();
        let mut peers = scene.crowd(count)?;
        for peer in &mut peers {
            peer.send(&wire)?;
            peer.expect(b"one")?;
            peer.expect(b"two")?;
        }
        see_the_end(scene, &mut peers);
        drop(peers);
        scene.await_closes("oversize", count)?;
        Ok(())
    },
};

pub(super) const DEAF_FLOOD: Scenario = Scenario {
    name: "flood-after-refusal",
    about: "goes on sending as fast as it can after it was refused: ended within a second, and other clients are served",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let count = scene.pace.of(4, 2);
        let mut peers = scene.crowd(count)?;
        let flood = vec![0xFF; 4 << 20];
        // Cut off, each of them fails to send in the end.
        let sent: usize = thread::scope(|scope| {
            let send = |peer: &mut Peer| {
                (0..4096).map(|_| peer.send_until_stuck(&flood, PATIENCE)).take_while(|n| *n > 0).sum::<usize>()
            };
            let sending: Vec<_> = peers.iter_mut().map(|peer| scope.spawn(move || send(peer))).collect();
            sending.into_iter().map(|sent| sent.join().unwrap_or(0)).sum()
        });
        scene.sent = format!("{count} connections: 0xFF without end, {} MiB in all", sent >> 20);
        scene.await_closes("oversize", count)?;
        Ok(())
    },
};

pub(super) const NEGATIVE: Scenario = Scenario {
    name: "negative",
    about: "a field that counts the header but is less than its length: malformed; negative numbers: oversize, shown as signed",
    limits: "--format u32le-inclusive",
    beside: Beside::Healthy,
    attack: |scene| {
        let each = scene.pace.of(50, 5);
        scene.sent =
            format!("fields 0 to 3 where the 4 bytes of the header count, and −1, −4, −1000; {each} times each");
        for field in [0_u32, 1, 2, 3].into_iter().chain([-1_i32, -4, -1000].map(|field| field as u32)) {
            let mut peers = scene.crowd(each)?;
            peers.iter_mut().try_for_each(|peer| peer.send(&field.to_le_bytes()))?;
            see_the_end(scene, &mut peers);
        }
        scene.await_closes("malformed", 4 * each)?;
        let stats = scene.await_closes("oversize", 3 * each)?;
        for field in ["-1", "-4", "-1000"] {
            let said = stats.said("oversize");
            scene.check(said.contains(&format!("the field is {field}")), || format!("{field} is not told: {said}"));
        }
        Ok(())
    },
};

pub(super) const WRONG_PROTOCOL: Scenario = Scenario {
    name: "wrong-protocol",
    about: "a TLS ClientHello, long or short, an HTTP request, an SSH version: the close says what it looks like",
    limits: "--frame-timeout 0.4",
    beside: Beside::Healthy,
    attack: |scene| {
        scene.sent =
            "a TLS 1.3 ClientHello, an HTTP GET, an SSH version string; a short ClientHello, then FIN, or silence"
                .into();
        let hellos = [
            (client_hello(400), "looks like TLS"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".to_vec(), "looks like HTTP"),
            (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "looks like SSH"),
        ];
        for (index, (hello, looks)) in hellos.into_iter().enumerate() {
            let mut peer = scene.connect()?;
            peer.send(&hello)?;
            see_the_end(scene, std::slice::from_mut(&mut peer));
            drop(peer);
            let stats = scene.await_closes("oversize", index + 1)?;
            let said = stats.said("oversize");
            scene.check(said.contains(looks), || format!("nothing {looks}: {said}"));
            scene.noted.push(looks.to_owned());
        }
        // Its first four bytes are the length of a frame of 66 KB, which is within the limit: only the end gives it
        // away.
        for (reason, half_closes) in [("truncated", true), ("slow frame", false)] {
            let mut peer = scene.connect()?;
            peer.send(&client_hello(0))?;
            if half_closes {
                peer.half_close()?;
            }
            see_the_end(scene, std::slice::from_mut(&mut peer));
            drop(peer);
            let said = scene.await_closes(reason, 1)?.said(reason);
            scene.check(said.contains("looks like TLS"), || format!("nothing looks like TLS: {said}"));
        }
        Ok(())
    },
};

/// The `ClientHello` of TLS 1.3 (RFC 8446, 4.1.2) for `localhost`, with this many bytes of padding (RFC 7685).
fn client_hello(padding: usize) -> Vec<u8> {
    fn sized(len: usize, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[4 - len..], body].concat()
    }
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &sized(2, body)].concat();
    let name = [&[0][..], &sized(2, b"localhost")].concat();
    let key = [&[0, 0x1D][..], &sized(2, &[9; 32])].concat();
    let extensions = [
        extension(0, &sized(2, &name)),
        extension(10, &sized(2, &[0, 0x1D, 0, 0x17])),
        extension(13, &sized(2, &[4, 3, 8, 4])),
        extension(43, &sized(1, &[3, 4])),
        extension(51, &sized(2, &key)),
        extension(21, &vec![0; padding]),
    ];
    let body = [
        &[3, 3][..],
        &[0x5A; 32],
        &sized(1, &[0xA5; 32]),
        &sized(2, &[0x13, 1, 0x13, 2, 0x13, 3]),
        &sized(1, &[0]),
        &sized(2, &extensions.concat()),
    ];
    let handshake = [&[1][..], &sized(3, &body.concat())].concat();
    [&[22, 3, 1][..], &sized(2, &handshake)].concat()
}

pub(super) const ZERO_FLOOD: Scenario = Scenario {
    name: "zero-flood",
    about: "empty frames as fast as they can be sent: answered, and other clients are served",
    limits: "",
    beside: Beside::Healthy,
    attack: |scene| {
        let (count, span) = (scene.pace.of(4, 2), scene.pace.span);
        let flooding = AtomicBool::new(true);
        let peers = scene.crowd(count)?;
        let frames = thread::scope(|scope| -> Result<u64, Box<dyn std::error::Error>> {
            let floods: Vec<_> = peers.iter().map(|peer| scope.spawn(|| flood(peer, &flooding))).collect();
            thread::sleep(span);
            flooding.store(false, Relaxed);
            let mut frames = 0;
            for flood in floods {
                frames += flood.join().map_err(|_| "a flood panicked")??;
            }
            Ok(frames)
        })?;
        scene.sent = format!("{} empty frames on {count} connections, pipelined", crate::text::count(frames));
        scene.check(frames > 0, || "nothing was sent".into());
        drop(peers);
        scene.await_closes("clean", count)?;
        Ok(())
    },
};

/// Sends empty frames while it may, half-closes, and counts the replies; how many frames there were.
fn flood(peer: &Peer, flooding: &AtomicBool) -> std::io::Result<u64> {
    use std::io::{Read, Write};
    let mut socket = peer.stream();
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut socket = peer.stream();
            let (mut buffer, mut came) = (vec![1; 64 << 10], 0);
            loop {
                match socket.read(&mut buffer)? {
                    0 => return Ok::<u64, std::io::Error>(came),
                    n if buffer[..n].iter().all(|byte| *byte == 0) => came += n as u64,
                    n => return Err(std::io::Error::other(format!("a reply of {n} bytes that are not empty frames"))),
                }
            }
        });
        let mut sent = 0;
        while flooding.load(Relaxed) {
            socket.write_all(&[0; 32 << 10])?;
            sent += 32 << 10;
        }
        peer.half_close()?;
        let came = reading.join().map_err(|_| std::io::Error::other("the reading panicked"))??;
        match came == sent {
            true => Ok(sent / 4),
            false => Err(std::io::Error::other(format!("{sent} bytes of empty frames, and {came} of replies"))),
        }
    })
}
