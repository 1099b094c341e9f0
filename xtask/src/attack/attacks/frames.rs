//! Frames that lie, or are none, or take their time.

use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// What a connection may cost besides what it holds, and a thread's buffers.
const EACH: u64 = 2048;
const FLAT: u64 = 4 << 20;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "declared-oversize",
        about: "1,000 × a length of 0xFFFFFFFF, then silence: refused at once, memory flat",
        act: |scene| {
            let mut peers = scene.crowd_of(1000, &[0xFF; 4])?;
            scene.see_the_end(&mut peers);
            let stats = scene.await_closes("oversize", peers.len())?;
            scene.check_said(&stats, "oversize", "as a signed number the field is -1");
            scene.check_memory(FLAT + 1000 * EACH + scene.of_tls(1000));
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "declared-silence",
        about: "1,000 × a length of 0xFFFFFFFF within the limit, then silence: memory flat, ended by the frame timeout",
        limits: |config, _| {
            config.format = config.format.with_max_payload_len(u32::MAX as usize).expect("it fits its field");
            config.frame_timeout = seconds(0.5);
        },
        act: |scene| {
            let mut peers = scene.crowd_of(1000, &[0xFF; 4])?;
            scene.see_the_end(&mut peers);
            scene.await_closes("slow frame", peers.len())?;
            scene.check_memory(FLAT + 1000 * EACH + scene.of_tls(1000));
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "oversize",
        about: "100 × two good frames, then 256 KiB of one a byte over the limit: the good ones are answered, then the end",
        act: |scene| {
            let over = ((1 << 20) + 1_u32).to_le_bytes();
            let wire = [&frame(b"one")[..], &frame(b"two"), &over, &vec![7; 256 << 10]].concat();
            scene.refuses(100, &wire, false, &[b"one", b"two"], ("oversize", ""))
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "flood-after-refusal",
        about: "goes on sending as fast as it can after it was refused: ended within a second, and other clients are served",
        act: |scene| {
            let mut peers = scene.crowd(4)?;
            let flood = vec![0xFF; 4 << 20];
            // Cut off, each of them fails to send in the end.
            let send = |peer: &mut Peer| {
                (0..4096).map(|_| peer.send_until_stuck(&flood, PATIENCE)).take_while(|n| *n > 0).sum::<usize>()
            };
            let sent: usize = of_each(&mut peers, send)?.into_iter().sum();
            scene.note(format!("{} MiB were sent in all", sent >> 20));
            scene.await_closes("oversize", peers.len()).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "negative",
        about: "a field that counts the header but is less than its length: malformed; negative numbers: oversize, shown as signed",
        limits: |config, _| {
            let layout = "u32le-inclusive".parse().expect("a layout");
            config.format = Format::with_default_limit(layout).expect("a format");
        },
        act: |scene| {
            for field in 0..4_u32 {
                scene.refuses(50, &field.to_le_bytes(), false, &[], ("malformed", ""))?;
            }
            [-1_i32, -4, -1000].into_iter().try_for_each(|field| {
                let text = format!("the field is {field}");
                scene.refuses(50, &field.to_le_bytes(), false, &[], ("oversize", &text))
            })
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "wrong-protocol",
        about: "a TLS ClientHello, long or short, an HTTP request, an SSH version: the close says what it looks like",
        limits: |config, _| config.frame_timeout = seconds(0.4),
        act: |scene| {
            let http = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
            scene.refuses(1, &client_hello(400), false, &[], ("oversize", "looks like TLS"))?;
            scene.refuses(1, http, false, &[], ("oversize", "looks like HTTP"))?;
            scene.refuses(1, b"SSH-2.0-OpenSSH_9.9\r\n", false, &[], ("oversize", "looks like SSH"))?;
            // Its first four bytes are the length of a frame of 66 KB, which is within the limit: only the end gives it
            // away.
            scene.refuses(1, &client_hello(0), true, &[], ("truncated", "looks like TLS"))?;
            scene.refuses(1, &client_hello(0), false, &[], ("slow frame", "looks like TLS"))
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "zero-flood",
        about: "4 × empty frames as fast as they can be sent: answered, and other clients are served",
        act: |scene| {
            let (mut peers, until) = (scene.crowd(4)?, Instant::now() + scene.span);
            let floods: std::io::Result<Vec<u64>> =
                of_each(&mut peers, |peer| flood(peer, until))?.into_iter().collect();
            let frames = floods?.iter().sum();
            scene.note(format!("{} empty frames were answered", crate::text::count(frames)));
            drop(peers);
            scene.await_closes("clean", 4).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "silent",
        about: "500 connections that send nothing: ended by the first-frame timeout",
        limits: |config, _| config.first_frame_timeout = seconds(0.3),
        act: |scene| scene.refuses(500, b"", false, &[], ("silent", "")),
        ..Attack::PLAIN
    },
    Attack {
        name: "drip",
        about: "200 × one byte of a frame every 50 ms: ended by the frame timeout",
        limits: |config, _| config.frame_timeout = seconds(0.4),
        act: |scene| {
            let (mut peers, begin) = (scene.crowd(200)?, Instant::now());
            for byte in frame(&[7; 1000]).chunks(1) {
                // Those that were ended may fail; the account tells how they were.
                peers.iter_mut().for_each(|peer| _ = peer.send(byte));
                if scene.stats()?.closes("slow frame") == 200 || begin.elapsed() > PATIENCE {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            scene.await_closes("slow frame", 200).map(drop)
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "partial-frame",
        about: "200 × a whole frame, half of the next one, then silence: the whole one is answered, then the frame timeout",
        limits: |config, _| config.frame_timeout = seconds(0.4),
        act: |scene| {
            let wire = [&frame(b"whole")[..], &frame(&[7; 1000])[..504]].concat();
            scene.refuses(200, &wire, false, &[b"whole"], ("slow frame", "504 bytes within"))?;
            let stats = scene.stats()?;
            scene.check_said(&stats, "slow frame", "500 missing");
            Ok(())
        },
        ..Attack::PLAIN
    },
    Attack {
        name: "idle",
        about: "500 × a frame, then silence, with an idle timeout: it ends these clients, not those that send",
        limits: |config, _| config.idle_timeout = seconds(1.0),
        act: |scene| scene.refuses(500, &frame(b"hello"), false, &[b"hello"], ("idle", "")),
        ..Attack::PLAIN
    },
    Attack {
        name: "never-reads",
        about: "20 × sends without end and reads no reply: not read from, then ended by the write timeout, memory flat",
        limits: |config, _| config.write_timeout = seconds(0.5),
        act: |scene| {
            let mut peers = scene.crowd(20)?;
            let wire: Vec<u8> = frame(&[7; 1000]).into_iter().cycle().take(1004 * 65_536).collect();
            let sent = of_each(&mut peers, |peer| peer.send_until_stuck(&wire, Duration::from_secs(2)))?;
            let sent = sent.into_iter().max().unwrap_or(0);
            scene.note(format!("{:.1} MiB at most were sent by one", sent as f64 / 1_048_576.0));
            scene.check(sent < wire.len(), || "the server took all 64 MiB from a peer that does not read".into());
            scene.await_closes("slow reader", 20)?;
            // What it read at once, and what it queued before it waited, for each.
            scene.check_memory(FLAT + 20 * (320 << 10));
            Ok(())
        },
        ..Attack::PLAIN
    },
];

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

/// Sends empty frames until then, with the replies to the last ones still to come, and half-closes; how many there were.
fn flood(peer: &mut Peer, until: Instant) -> std::io::Result<u64> {
    let (empty, mut replies) = (vec![0; 32 << 10], vec![1; 32 << 10]);
    let mut sent = empty.len();
    peer.send(&empty)?;
    while Instant::now() < until {
        peer.send(&empty)?;
        sent += empty.len();
        peer.read_exact(&mut replies)?;
        if replies != empty {
            return Err(std::io::Error::other("a reply is not an empty frame"));
        }
    }
    peer.half_close()?;
    match peer.rest()? == empty {
        true => Ok(sent as u64 / 4),
        false => Err(std::io::Error::other("the last replies are not as many empty frames as were sent")),
    }
}
